"""Takes one unit once through a backend in front of the fake Evolution API, and writes down what the fake saw.

Connect, scan, a campaign of four, and a message that the provider refuses every time. The gate judges what is recorded here;
nothing is judged while looking. Works on any backend by its contract and leaves the fake's faults as they were.
"""

from __future__ import annotations

import contextlib
import secrets
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gate.facts.flow import FlowObservations, Send
from gate.masking import Masker
from harness.errors import HarnessError, NotInTimeError
from harness.evolution.client import ControlVerbs
from harness.smoke.session import Answer, Session
from harness.target import Pace, Target

__all__ = ["observe"]

# Four, so that a pause that is kept between batches of two alone is missing twice: a busy machine may stretch one.
RECIPIENTS = 4
# Longer than the contract's 5 s, so that a late status is told from none at all.
STATUS_WATCH_S = 20.0
CAMPAIGN_WATCH_S = 60.0
AFTER_LAST_CALL_S = 12.0
CALLER_NAME = "chosen-by-the-caller"


def observe(target: Target, pace: Pace, control: ControlVerbs) -> FlowObservations:
    """One pass. Raises HarnessError when the backend refuses a step that everything after it needs."""
    before = {str(instance["name"]) for instance in control.instances()}
    with Session(target) as admin:
        pace.call(admin.must_login)
        unit = _new_unit(admin, pace)
        member_target = _new_member(target, admin, pace, unit)
    with Session(member_target) as member:
        pace.call(member.must_login)
        flow = FlowObservations(unit_id=unit, caller_name=CALLER_NAME)
        body = {"provider": "evolution", "credentials": {"instanceName": CALLER_NAME}, "instanceName": CALLER_NAME}
        for _ in range(2):
            _ask(member, pace, "POST", f"/units/{unit}/whatsapp/connect", body, expected=(200, 201))
        created = Counter(
            str(record["body"].get("instanceName"))
            for record in control.requests(method="POST", path="/instance/create")
            if isinstance(record["body"], Mapping)
        )
        names = {str(instance["name"]) for instance in control.instances()} - before
        flow = replace(flow, instances={name: created[name] for name in sorted(names)})
        flow = _scan(flow, member, pace, control)
        if flow.scan_took_s is None:
            return flow
        flow = _campaign(flow, member, pace, control)
        return _refused_message(flow, member, pace, control)


def _scan(flow: FlowObservations, member: Session, pace: Pace, control: ControlVerbs) -> FlowObservations:
    def status() -> Mapping[str, object]:
        body = member.status(flow.unit_id).body
        return body if isinstance(body, Mapping) else {}

    flow = replace(flow, before_scan=dict(status()))
    if len(flow.instances) != 1:
        return flow
    seen: list[Mapping[str, object]] = []
    began = control.monotonic()
    control.scan(next(iter(flow.instances)))

    def connected() -> bool:
        now = status()
        if not seen or seen[-1] != now:
            seen.append(dict(now))
        return now.get("status") == "connected"

    try:
        pace.eventually(connected, within_s=STATUS_WATCH_S, what="the status after a scan")
    except NotInTimeError:
        return replace(flow, after_scan=tuple(seen), statuses_read_s=STATUS_WATCH_S)
    took = control.monotonic() - began
    return replace(flow, after_scan=tuple(seen), scan_took_s=took, statuses_read_s=took)


def _campaign(flow: FlowObservations, member: Session, pace: Pace, control: ControlVerbs) -> FlowObservations:
    contacts = [
        _identifier(
            _ask(member, pace, "POST", "/contacts", {"phone": _phone(), "name": f"Contact {number}"}, expected=(200, 201))
        )
        for number in range(RECIPIENTS)
    ]
    text = f"flow {uuid.uuid4().hex}"
    campaign = _identifier(
        _ask(
            member,
            pace,
            "POST",
            "/api/campaigns",
            {"name": "flow", "content": text, "contactIds": contacts},
            expected=(200, 201),
        )
    )
    _ask(member, pace, "POST", f"/api/campaigns/{campaign}/dispatch", {}, expected=(200,))

    def sends() -> list[dict[str, Any]]:
        return [send for send in control.ledger() if send["text"] == text]

    # The gate says what is missing; what was sent until then is its evidence.
    with contextlib.suppress(NotInTimeError):
        pace.eventually(lambda: len(sends()) >= RECIPIENTS, within_s=CAMPAIGN_WATCH_S, what="the campaign's sends")
    found = sends()
    # Numbered, because two masked phones may look alike.
    names: dict[str, str] = {}
    for send in found:
        names.setdefault(send["number"], f"recipient {len(names) + 1} ({Masker().text(str(send['number']))})")
    return replace(
        flow,
        campaign_recipients=RECIPIENTS,
        campaign_sends=tuple(Send(recipient=names[send["number"]], at_s=float(send["monotonic"])) for send in found),
    )


def _refused_message(flow: FlowObservations, member: Session, pace: Pace, control: ControlVerbs) -> FlowObservations:
    instance = f"unit_{flow.unit_id}"
    path = f"/message/sendText/{instance}"
    before = len(control.requests(method="POST", path=path))
    number = control.inject("rate-limited", instance=instance, seconds=1)
    try:
        answer = pace.call(
            lambda: member.send(unit=flow.unit_id, phone=_phone(), text="refused", client_message_id=str(uuid.uuid4()))
        )
        pace.let_pass(AFTER_LAST_CALL_S)
        calls = len(control.requests(method="POST", path=path)) - before
    finally:
        control.withdraw(number)
    attempts = answer.field("attempts")
    return replace(
        flow,
        failing_calls=calls,
        failing_status=answer.status,
        failing_attempts=attempts if isinstance(attempts, int) else None,
        watched_s=AFTER_LAST_CALL_S,
    )


def _new_unit(admin: Session, pace: Pace) -> str:
    slug = f"flow-{uuid.uuid4().hex[:12]}"
    return _identifier(_ask(admin, pace, "POST", "/admin/units", {"name": "Flow", "slug": slug}, expected=(201,)))


def _new_member(target: Target, admin: Session, pace: Pace, unit: str) -> Target:
    email, password = f"flow-{uuid.uuid4().hex[:12]}@golive.invalid", secrets.token_urlsafe(24)
    body = {"email": email, "password": password, "name": "Flow", "role": "unit_admin", "unitId": unit}
    _ask(admin, pace, "POST", "/admin/users", body, expected=(201,))
    return replace(target, admin_email=email, admin_password=password)


def _ask(session: Session, pace: Pace, method: str, path: str, body: Mapping[str, Any], *, expected: tuple[int, ...]) -> Answer:
    answer = pace.call(lambda: session.request(method, path, body=body))
    if answer.status not in expected:
        raise HarnessError(f"{method} {path}: {answer.told()}; expected {' or '.join(map(str, expected))}")
    return answer


def _identifier(answer: Answer) -> str:
    value = answer.field("id")
    if not isinstance(value, str | int) or value == "":
        raise HarnessError(f"the answer names no id, {answer.request}")
    return str(value)


def _phone() -> str:
    # A mobile number of area code 11: the ninth digit stays, so sent and received numbers are alike.
    return f"55119{secrets.randbelow(90_000_000) + 10_000_000}"
