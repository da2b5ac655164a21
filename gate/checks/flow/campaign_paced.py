"""A campaign sends to one after the other, to each once, with the pause between any two.

Why: numbers that send in bursts are banned, and a ban takes the tenant's WhatsApp away for days.
Fix: keep the pace at the number's row, over all workers and campaigns, and give every recipient an idempotency key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from gate.errors import Failure, Inconclusive
from gate.facts.flow import FlowObservations
from gate.facts.worlds import PlantedFlow
from gate.model import Evidence, Severity
from gate.registry import check

LEAST_RECIPIENTS = 3
# A clock that is read before and after a send differs by this much without anybody being hasty.
TOLERANCE_S = 0.005


@check(severity=Severity.CRITICAL, order=53, tags={"seed"})
def run(flow: FlowObservations) -> Iterator[Evidence]:
    if flow.campaign_recipients < LEAST_RECIPIENTS:
        raise Inconclusive(f"the campaign had {flow.campaign_recipients} recipients, a pace shows with {LEAST_RECIPIENTS}")
    times = [send.at_s for send in flow.campaign_sends]
    counts = Counter(send.recipient for send in flow.campaign_sends)
    twice = sorted(recipient for recipient, count in counts.items() if count > 1)
    if twice:
        raise Failure(f"{len(twice)} of the recipients got more than one message ({twice[0]}: {counts[twice[0]]}), expected one")
    if len(counts) != flow.campaign_recipients:
        raise Failure(f"the provider sent to {len(counts)} recipients, expected {flow.campaign_recipients}")
    gaps = [after - before for before, after in pairwise(times)]
    least = min(gaps)
    if least < 0:
        raise Failure("the sends are not in the order of the provider's clock")
    if least < flow.campaign_interval_s - TOLERANCE_S:
        raise Failure(f"the shortest pause between two sends is {least:.2f} s, expected at least {flow.campaign_interval_s:g} s")
    yield Evidence(label="recipients, each sent to once", value=len(counts))
    yield Evidence(label="shortest pause", value=round(least, 3), unit="s")
    yield Evidence(label="longest pause", value=round(max(gaps), 3), unit="s")


@run.breaks
def paused_only_between_batches(flow: PlantedFlow) -> None:
    flow.plant("pause-between-batches")
