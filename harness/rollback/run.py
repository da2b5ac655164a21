"""Rehearses a rollback: the revert in git, the previous release on the new schema under load, and the return of the new one."""

from __future__ import annotations

import secrets as random_secrets
import threading
import time
import tomllib
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.errors import Failure, GateError, Inconclusive, NotApplicable
from gate.journal import Journal
from gate.masking import Masker
from gate.model import Evidence, Outcome, Severity, Status
from harness.errors import HarnessError
from harness.load.run import Record, Thresholds, Traffic, connected_units, drive, percentile
from harness.rollback.revert import Release, apply, commands
from harness.smoke.session import Answer, Session
from harness.smoke.walk import take
from harness.target import Pace, Target

if TYPE_CHECKING:
    from harness.evolution.client import EvolutionControl

__all__ = ["IDS", "PLATFORMS", "Serve", "run"]

IDS = ("rollback.revert-applies", "rollback.previous-serves", "rollback.nothing-lost", "rollback.returns")
_TITLES = {
    "rollback.revert-applies": "The release's commits can be reverted",
    "rollback.previous-serves": "The previous release serves on the new schema, under load",
    "rollback.nothing-lost": "Nothing that was accepted is lost, and nothing is sent twice",
    "rollback.returns": "The new release starts again on the same database",
}
PLATFORMS = Path(__file__).with_name("platforms.toml")
VISIBLE_S = 10.0
_PAGE = 100
_MOST_PAGES = 200

Serve = Callable[[], AbstractContextManager[Target]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Accepted:
    """A message that a release accepted: which text, in which direction, under which of the backend's ids (inbound: none)."""

    text: str
    inbound: bool
    internal_id: str = ""


@dataclass(slots=True, kw_only=True)
class _Rehearsal:
    """What the steps of one rehearsal share."""

    current: Serve
    previous: Serve | None
    no_previous: str
    pace: Pace
    recipient: str
    traffic: Traffic
    thresholds: Thresholds
    workdir: Path
    mark: str = field(default_factory=lambda: f"rollback-{uuid.uuid4().hex[:12]}")
    units: list[str] = field(default_factory=list)
    accepted: list[_Accepted] = field(default_factory=list)
    loaded: list[Record] = field(default_factory=list)
    # Set when the step before could not do its part.
    broken: str = ""


def run(
    *,
    journal: Journal,
    current: Serve,
    previous: Serve | None,
    pace: Pace,
    recipient: str,
    workdir: Path,
    release: Release | None = None,
    no_release: str = "no release in a git repository was given: a first and a last commit",
    no_previous: str = "there is no previous release that could be started here",
    traffic: Traffic | None = None,
    thresholds: Thresholds | None = None,
    secrets: Sequence[str] = (),
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Appends one outcome for each of IDS, and the facts `rollback.steps`, `rollback.commands` and `rollback.platforms`.

    `current` and `previous` start a release on the same database and at the same address, one at a time; with `previous` None
    the steps that need it are skipped for `no_previous`. The target must have a fake behind it and a connected unit.
    """
    rehearsal = _Rehearsal(
        current=current,
        previous=previous,
        no_previous=no_previous,
        pace=pace,
        recipient=recipient,
        traffic=traffic or Traffic(users=2, duration_s=2, recipients=(recipient,)),
        thresholds=thresholds or Thresholds(failure_ratio=0.01, p95_ms=1000.0, requests=10),
        workdir=workdir,
    )
    masker = Masker(secrets)
    steps: dict[str, Callable[[], Iterator[Evidence]]] = {
        "rollback.revert-applies": lambda: _revert(release, no_release, journal),
        "rollback.previous-serves": lambda: _previous_serves(rehearsal),
        # The new release returns before what it still knows can be counted.
        "rollback.returns": lambda: _returns(rehearsal),
        "rollback.nothing-lost": lambda: _nothing_lost(rehearsal),
    }
    with journal.part("rollback", expected=IDS):
        journal.fact("rollback.platforms", tomllib.loads(PLATFORMS.read_text(encoding="utf-8")))
        outcomes = []
        for outcome_id, step in steps.items():
            outcome = _answer(outcome_id, step, masker)
            if outcome.status is not Status.PASS and not rehearsal.broken and outcome_id != "rollback.revert-applies":
                rehearsal.broken = f"{outcome_id}: {outcome.reason}"
            journal.append(outcome)
            on_outcome(outcome)
            outcomes.append(outcome)
        journal.fact(
            "rollback.steps",
            [
                {
                    "name": outcome.id.removeprefix("rollback."),
                    "status": str(outcome.status),
                    "duration_s": round(outcome.duration_s, 3),
                    "detail": outcome.reason or "; ".join(map(str, outcome.evidence)),
                }
                for outcome in outcomes
            ],
        )
    return outcomes


def _answer(outcome_id: str, step: Callable[[], Iterator[Evidence]], masker: Masker) -> Outcome:
    began = time.monotonic()
    evidence: list[Evidence] = []
    status, reason = Status.PASS, ""
    try:
        for piece in step():
            evidence.append(piece)  # noqa: PERF402 – what was seen before a failure stays as its evidence
    except Failure as failure:
        status, reason = Status.FAIL, str(failure)
    except Inconclusive as little:
        status, reason = Status.INCONCLUSIVE, str(little)
    except NotApplicable as why:
        status, reason = Status.SKIP, str(why)
    except GateError as error:
        status, reason = Status.ERROR, str(error)
    except Exception as crash:
        status, reason = Status.ERROR, f"the step crashed: {type(crash).__name__}: {crash}"
    if status is Status.PASS and not evidence:
        status, reason = Status.ERROR, "passed without evidence: the step saw nothing"
    return Outcome(
        id=outcome_id,
        status=status,
        severity=Severity.CRITICAL,
        title=_TITLES[outcome_id],
        reason=masker.text(reason),
        evidence=tuple(replace(piece, value=masker.value(piece.value)) for piece in evidence),
        duration_s=time.monotonic() - began,
        observed_at=datetime.now(UTC),
    )


def _revert(release: Release | None, no_release: str, journal: Journal) -> Iterator[Evidence]:
    if release is None:
        raise NotApplicable(no_release)
    journal.fact("rollback.commands", list(commands(release).lines))
    yield from apply(release)


def _previous_serves(rehearsal: _Rehearsal) -> Iterator[Evidence]:
    if rehearsal.previous is None:
        raise NotApplicable(rehearsal.no_previous)
    # The new release accepts something first: that is what a rollback must not lose.
    with rehearsal.current() as target:
        rehearsal.units = connected_units(target)
        if not rehearsal.units:
            raise Inconclusive("no unit is connected: the previous release would have nothing to serve")
        with Session(target) as session, _control(target) as control:
            session.must_login()
            _exchange(rehearsal, session, control, "new")
    yield Evidence(label="messages the new release accepted before", value=len(rehearsal.accepted))
    before = len(rehearsal.accepted)
    with rehearsal.previous() as target, Session(target) as session, _control(target) as control:
        load = _Load(target, rehearsal)
        load.start()
        try:
            yield from _walk(rehearsal, session, control)
        finally:
            load.join()
        rehearsal.loaded = load.records()
    requests = [record for record in rehearsal.loaded if record.message or record.name.startswith("GET")]
    limits = rehearsal.thresholds
    if len(requests) < limits.requests:
        raise Inconclusive(f"{len(requests)} requests < {limits.requests}: the previous release was hardly loaded")
    failures = [record for record in requests if record.failed]
    if len(failures) / len(requests) > limits.failure_ratio:
        kind = Counter(f"{record.status or record.error} on {record.name}" for record in failures).most_common(1)[0][0]
        raise Failure(f"{len(failures)} of {len(requests)} requests failed under load > {limits.failure_ratio:.0%}, most: {kind}")
    p95 = percentile([record.latency_ms for record in requests], 95)
    if p95 > limits.p95_ms:
        raise Failure(f"p95 {p95:.0f} ms > {limits.p95_ms:.0f} ms under load")
    yield Evidence(label="messages it accepted by hand", value=len(rehearsal.accepted) - before)
    yield Evidence(label="requests under load", value=len(requests))
    yield Evidence(label="p95 under load", value=round(p95, 1), unit="ms")


class _Load(threading.Thread):
    """The load beside the walk. `records` raises what kept it from running."""

    def __init__(self, target: Target, rehearsal: _Rehearsal) -> None:
        super().__init__(name="rollback-load", daemon=True)
        self._target = target
        self._rehearsal = rehearsal
        self._records: list[Record] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._records = drive(
                self._target,
                self._rehearsal.traffic,
                units=self._rehearsal.units,
                mark=self._rehearsal.mark,
                workdir=self._rehearsal.workdir,
                enough=self._rehearsal.thresholds.requests,
            )
        except BaseException as error:
            self._error = error

    def records(self) -> list[Record]:
        if self._error is not None:
            raise self._error
        return self._records


def _walk(rehearsal: _Rehearsal, session: Session, control: EvolutionControl) -> Iterator[Evidence]:
    """Health, log-in, units, status, a message in each direction: what the previous release could do, it must still do."""
    unit = rehearsal.units[0]
    _expect(session.request("GET", "/health"), "GET /health", status="ok")
    login = session.login()
    if not session.logged_in:
        raise Failure(f"POST /admin/login: {login.told()}")
    units = _expect(session.request("GET", "/admin/units"), "GET /admin/units")
    known = [item.get("id") for item in units.body if isinstance(item, dict)] if isinstance(units.body, list) else []
    if unit not in known:
        raise Failure(f"GET /admin/units does not show the unit that the new release shows; {units.request}")
    _expect(session.status(unit), "GET /units/{unit}/whatsapp/status", status="connected")
    _exchange(rehearsal, session, control, "previous")
    yield Evidence(label="steps walked", value="health, login, units, status, send, inbound")


def _expect(answer: Answer, what: str, *, status: str = "") -> Answer:
    if answer.status != 200:
        raise Failure(f"{what}: {answer.told()}; expected 200")
    if status and answer.field("status") != status:
        raise Failure(f"{what} says status {answer.field('status')!r}, not {status!r}; {answer.request}")
    return answer


def _exchange(rehearsal: _Rehearsal, session: Session, control: EvolutionControl, who: str) -> None:
    """One message out and one in, through the first unit."""
    unit = rehearsal.units[0]
    out, inward = f"{rehearsal.mark} {who} out", f"{rehearsal.mark} {who} in"
    key = f"{rehearsal.mark}-{who}"
    sent = rehearsal.pace.call(lambda: session.send(unit=unit, phone=rehearsal.recipient, text=out, client_message_id=key))
    if sent.status != 200 or sent.field("success") is not True:
        raise Failure(f"POST /messages of the {who} release: {sent.told()}; expected 200 and success")
    rehearsal.accepted.append(_Accepted(text=out, inbound=False, internal_id=str(sent.field("internalId") or "")))
    instance = f"unit_{unit}"
    arrived = control.incoming(instance, rehearsal.recipient, inward)

    def delivered() -> dict[str, Any] | None:
        attempts = [one for one in control.deliveries(instance=instance, event="messages.upsert") if one["keyId"] == arrived]
        return next((one for one in attempts if one["status"] is not None or one["error"]), None)

    delivery = rehearsal.pace.eventually(delivered, within_s=VISIBLE_S, what=f"the webhook's delivery to the {who} release")
    if delivery["status"] is None or not 200 <= int(delivery["status"]) < 300:
        told = delivery["status"] if delivery["status"] is not None else delivery["error"]
        raise Failure(f"the webhook of an inbound message was answered {told} by the {who} release")
    rehearsal.accepted.append(_Accepted(text=inward, inbound=True))


def _returns(rehearsal: _Rehearsal) -> Iterator[Evidence]:
    if rehearsal.previous is None:
        raise NotApplicable(rehearsal.no_previous)
    with rehearsal.current() as target:
        outcomes = take(target, rehearsal.pace, recipient=rehearsal.recipient, unit=rehearsal.units[0] if rehearsal.units else "")
        bad = [outcome for outcome in outcomes if outcome.status is not Status.PASS]
        if bad:
            raise Failure(f"after the rollback {bad[0].id}: {bad[0].reason}")
    yield Evidence(label="smoke steps passed", value=len(outcomes))


def _nothing_lost(rehearsal: _Rehearsal) -> Iterator[Evidence]:
    if rehearsal.previous is None:
        raise NotApplicable(rehearsal.no_previous)
    if not rehearsal.accepted:
        raise Inconclusive(f"nothing was accepted that could have been lost ({rehearsal.broken or 'no message'})")
    with rehearsal.current() as target, _control(target) as control, Session(target) as admin:
        admin.must_login()
        texts = _texts_of_unit(target, admin, rehearsal.units[0])
        ledger = Counter(str(send["text"]) for send in control.ledger())
    loaded = {f"load {record.message}" for record in rehearsal.loaded if record.accepted}
    outbound = {one.text for one in rehearsal.accepted if not one.inbound} | loaded
    # The load goes to all units; the list that was read is that of the first one.
    first = rehearsal.units[0]
    expected = {one.text for one in rehearsal.accepted} | (loaded if rehearsal.units == [first] else set())
    problems = []
    for found, what in (
        (sorted(expected - set(texts)), "accepted and not in the backend any more"),
        (sorted(text for text in expected if texts[text] > 1), "in the backend more than once"),
        (sorted(outbound - set(ledger)), "accepted and never sent"),
        (sorted(text for text in outbound if ledger[text] > 1), "sent more than once"),
    ):
        if found:
            problems.append(f"{len(found)} {what} ({found[0]})")
    if problems:
        raise Failure("; ".join(problems))
    yield Evidence(label="messages accepted before and during the rollback", value=len(expected))
    yield Evidence(label="still there afterwards", value=sum(texts[text] for text in expected))
    yield Evidence(label="sends accounted in the provider's ledger", value=sum(ledger[text] for text in outbound))


def _texts_of_unit(target: Target, admin: Session, unit: str) -> Counter[str]:
    """How often each text stands in the unit's conversations, read by a member of the unit made for this."""
    email, password = f"{uuid.uuid4().hex}@rehearsal.invalid", random_secrets.token_urlsafe(18)
    made = admin.request(
        "POST",
        "/admin/users",
        body={"email": email, "password": password, "name": "Rollback rehearsal", "role": "agent", "unitId": unit},
    )
    if made.status != 201:
        raise HarnessError(f"POST /admin/users: {made.told()}; a member of the unit is needed to read its messages")
    member = replace(target, admin_email=email, admin_password=password)
    found: Counter[str] = Counter()
    with Session(member) as session:
        session.must_login()
        for conversation in _pages(session, "/conversations"):
            for message in _pages(session, f"/conversations/{conversation['id']}/messages"):
                found[str(message.get("content"))] += 1
    return found


def _pages(session: Session, path: str) -> Iterator[dict[str, Any]]:
    cursor = ""
    for _ in range(_MOST_PAGES):
        answer = session.request("GET", path, params={"limit": _PAGE} | ({"cursor": cursor} if cursor else {}))
        items = answer.field("items")
        if answer.status != 200 or not isinstance(items, list):
            raise HarnessError(f"GET {path.split('/')[1]}: {answer.told()}; expected a page of items")
        yield from items
        cursor = answer.field("nextCursor") or ""
        if not cursor:
            return
    raise HarnessError(f"GET {path.split('/')[1]}: more than {_MOST_PAGES} pages; the cursor may not move on")


def _control(target: Target) -> EvolutionControl:
    if not target.evolution_url:
        raise HarnessError("the rehearsal of a rollback needs a fake Evolution API behind the target")
    from harness.evolution.client import EvolutionControl

    return EvolutionControl(target.evolution_url, target.control_token)
