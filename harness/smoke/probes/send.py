"""A test message is sent, once.

Why: it is the first that goes through token, unit, connection, provider and database together.
Fix: the answer names the cause; 409 is the connection, 502 the provider, 202 means that nobody knows yet and it is looked up.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive
from gate.model import Evidence
from gate.registry import probe
from harness.smoke.walk import Walk


@probe(order=80)
def run(walk: Walk) -> Iterator[Evidence]:
    text = f"golive smoke test {walk.mark}"
    body = {"phone": walk.recipient, "message": text, "clientMessageId": walk.mark, "unitId": walk.unit}
    answer = walk.ask("POST", "/messages", body=body, expected=(200, 202))
    yield from answer.evidence()
    yield Evidence(label="recipient", value=f"****{walk.recipient[-4:]}")
    if answer.status == 202:
        raise Inconclusive(f"whether the message was sent is not known yet (202); {answer.request}")
    if answer.field("success") is not True or not answer.field("messageId"):
        raise Failure(f"POST /messages answered 200 without success and messageId; {answer.request}")
    yield Evidence(label="attempts", value=int(answer.field("attempts") or 0))
    if walk.control is not None:
        sends = [send for send in walk.control.ledger(instance=walk.instance) if send["text"] == text]
        if len(sends) != 1:
            raise Failure(f"the provider got the message {len(sends)} times, not once; {answer.request}")
        yield Evidence(label="sends in the provider's ledger", value=len(sends))
