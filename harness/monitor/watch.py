"""Watches the first hour after a deploy: proves its sources, samples every minute, judges at the checkpoints.

Behind a fake with a virtual clock the hour is moved along minute by minute; behind a real Evolution API it takes an hour.
"""

from __future__ import annotations

import secrets as random_secrets
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gate.errors import GateError
from gate.journal import Journal
from gate.masking import Masker
from gate.model import Evidence, Outcome, Severity, Status
from gate.registry import Item, Kind, registry
from harness.errors import HarnessError, NotInTimeError
from harness.load.run import connected_units
from harness.monitor.assess import Assessment, Level, Sample, Series
from harness.monitor.database import DatabaseSource
from harness.monitor.decision import HOUR_MIN, Rate, required_sample
from harness.monitor.leaks import LeakDetector
from harness.monitor.sources import MAPPING, HealthSource, LogSource, MetricsSource, Readings, load_mapping
from harness.monitor.traffic import ACCEPTED, RECEIVED, REFUSED, Plan, Traffic, schedule
from harness.smoke.session import Session
from harness.target import Pace, Target, VirtualPace

if TYPE_CHECKING:
    from harness.evolution.client import ControlVerbs

__all__ = ["CHECKPOINTS", "SOURCES_ID", "Checkpoint", "run", "signals"]

SIGNALS = "harness.monitor.signals"
SOURCES_ID = "watch.sources"
CHECKPOINTS = (5, 10, 20, 30, HOUR_MIN)
# Access tokens live for 15 minutes.
LOGIN_EVERY_MIN = 10
DROP_AT_MIN = 3
INBOUND_PER_HOUR = 20
MARK_VISIBLE_S = 5.0
QUIET_S = 5.0
# Acknowledgements, and the return of a dropped connection, come within this time.
SOON_S = 0.6

_STATUS = {
    Level.OK: Status.PASS,
    Level.WARNING: Status.WARN,
    Level.CRITICAL: Status.FAIL,
    Level.LITTLE: Status.INCONCLUSIVE,
    Level.MISSING: Status.ERROR,
}
# What the report's table knows: a signal that saw too little has no level either.
_SHOWN = {Level.LITTLE: Level.MISSING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """All signals that are due at a minute, by id."""

    minute: int
    assessments: Mapping[str, Assessment]


class _Time(Protocol):
    """How the watch gets to the end of a minute, counted from its beginning."""

    def reach(self, minute: int) -> None: ...


class _RealTime:
    def __init__(self) -> None:
        self._began = time.monotonic()

    def reach(self, minute: int) -> None:
        time.sleep(max(0.0, self._began + 60 * minute - time.monotonic()))


class _MovedTime:
    """Moves the clock that fake and backend share; `step_s` at a time."""

    def __init__(self, control: ControlVerbs, step_s: float) -> None:
        self._control = control
        self._step_s = step_s
        self._began = self._now()

    def reach(self, minute: int) -> None:
        self._settle()
        # What follows at once must be over before the long jump, or its latency would be measured as a minute.
        self._control.advance(SOON_S, patience=QUIET_S)
        self._settle()
        while (left := self._began + 60 * minute - self._now()) > 0:
            self._control.advance(min(self._step_s, left), patience=QUIET_S)
        self._settle()

    def _now(self) -> float:
        return float(self._control.read_clock()["monotonic"])

    def _settle(self) -> None:
        # Deliveries that never end are what the signals are there to notice.
        try:
            self._control.quiesce(QUIET_S)
        except HarnessError:
            return


@dataclass(slots=True, kw_only=True)
class _Watch:
    """The state of one watch."""

    session: Session
    traffic: Traffic
    metrics: MetricsSource
    log: LogSource
    health: HealthSource
    database: DatabaseSource | None
    # Readings that could not be proven before the watch began, and why.
    unproven: dict[str, str]
    samples: list[Sample] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)

    def sample(self, minute: int, *, active: bool) -> None:
        readings = Readings()
        for part in (
            self.health.read(),
            self.metrics.read(active=active),
            self.log.read(active=active),
            self.traffic.readings(minute),
            self.database.read() if self.database is not None else Readings(),
        ):
            readings.add(part)
        self._compare(readings)
        for name, why in self.unproven.items():
            readings.values.pop(name, None)
            readings.buckets.pop(name, None)
            readings.errors[name] = why
        self.samples.append(Sample(minute=minute, values=readings.values, buckets=readings.buckets, errors=readings.errors))

    def _compare(self, readings: Readings) -> None:
        # A send that the backend refused is in no count of its own, and its sender has not been served.
        refused = self.traffic.done[REFUSED]
        for name in ("messages_tried", "messages_failed"):
            if name in readings.values:
                readings.values[name] += refused
        # What the watch did itself by the last minute must be in the backend's counts by now: a counter that does not count is
        # no source. One minute of grace, because a webhook may still be on its way.
        for name, what in (("messages_tried", ACCEPTED), ("outbound_sent", ACCEPTED), ("inbound_seen", RECEIVED)):
            known = self.counted.get(what, 0)
            seen = readings.values.get(name)
            if seen is not None and seen < known:
                del readings.values[name]
                readings.errors[name] = f"the backend counts {seen:g} where the watch itself made {known} ({what})"
        self.counted = dict(self.traffic.done)


def signals() -> list[Item]:
    """All signals, in order."""
    return list(registry(Kind.SIGNAL).load(SIGNALS))


def run(
    target: Target,
    pace: Pace,
    *,
    journal: Journal,
    minutes: int = HOUR_MIN,
    checkpoints: Sequence[int] = CHECKPOINTS,
    step_s: float = 60.0,
    plan: Plan | None = None,
    recipients: Sequence[str] = (),
    expected_sends: int = 0,
    database_url: str = "",
    secrets: Iterable[str] = (),
    mapping: Path = MAPPING,
    control: ControlVerbs | None = None,
    on_checkpoint: Callable[[Checkpoint], None] = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Watches `minutes` minutes; appends `watch.sources`, an outcome a signal, facts `plan`, `watch.checkpoints`, `watch.series`.

    Without a `plan`, one is made from `expected_sends` and `recipients` that suffices for a decision. `secrets` are values that
    must not be in the log. `control` reaches a fake in this process; otherwise the target's control plane is asked. A rule that
    says roll back ends the watch at once. Never raises for what the target does.
    """
    items = signals()
    hidden = tuple(secrets)
    masker = Masker((target.admin_password, target.control_token, target.metrics_token, *hidden))
    expected = [SOURCES_ID, *(item.id for item in items)]
    with journal.part("watch", expected=expected):
        began = time.monotonic()
        try:
            outcomes = _watched(
                target,
                pace,
                items,
                journal=journal,
                minutes=minutes,
                checkpoints=checkpoints,
                step_s=step_s,
                plan=plan or _plan(items, expected_sends, recipients, on_note),
                database_url=database_url,
                secrets=hidden,
                mapping=mapping,
                control=control,
                on_checkpoint=on_checkpoint,
            )
        except GateError as error:
            outcomes = [
                Outcome(
                    id=outcome_id, status=Status.ERROR, reason=f"the watch could not run: {error}", observed_at=datetime.now(UTC)
                )
                for outcome_id in expected
            ]
        finished = []
        for outcome in outcomes:
            masked = replace(
                outcome,
                reason=masker.text(outcome.reason),
                evidence=tuple(replace(piece, value=masker.value(piece.value)) for piece in outcome.evidence),
                duration_s=time.monotonic() - began if outcome.id == SOURCES_ID else 0.0,
            )
            journal.append(masked)
            finished.append(masked)
        return finished


def _rates(items: Sequence[Item]) -> list[Rate]:
    return [item.options["rate"] for item in items if "rate" in item.options]


def _plan(items: Sequence[Item], expected_sends: int, recipients: Sequence[str], on_note: Callable[[str], None]) -> Plan:
    inbound = INBOUND_PER_HOUR if recipients else 0
    plan, told = schedule(expected_sends=expected_sends, rates=_rates(items), recipients=recipients, inbound=inbound)
    if told:
        on_note(told)
    return plan


def _watched(
    target: Target,
    pace: Pace,
    items: Sequence[Item],
    *,
    journal: Journal,
    minutes: int,
    checkpoints: Sequence[int],
    step_s: float,
    plan: Plan,
    database_url: str,
    secrets: tuple[str, ...],
    mapping: Path,
    control: ControlVerbs | None,
    on_checkpoint: Callable[[Checkpoint], None],
) -> list[Outcome]:
    if minutes < 1 or step_s <= 0:
        raise HarnessError("a watch lasts at least a minute and moves time forward")
    marked_secret = random_secrets.token_urlsafe(24)
    detector = LeakDetector(
        secrets=(target.admin_password, target.control_token, target.metrics_token, marked_secret, *secrets),
        phones=plan.recipients,
    )
    journal.fact(
        "plan",
        {
            "traffic_per_hour": plan.expected_sends + plan.sends,
            "expected_sends_per_hour": plan.expected_sends,
            "synthetic_sends_per_hour": plan.sends,
            "synthetic_inbound_per_hour": plan.inbound,
            "required_sample": max(map(required_sample, _rates(items)), default=0),
            "minutes": minutes,
        },
    )
    with ExitStack() as stack:
        session = stack.enter_context(Session(target))
        session.must_login()
        if control is None and target.evolution_url:
            # Against a real provider the fake need not be installed.
            from harness.evolution.client import EvolutionControl

            control = stack.enter_context(EvolutionControl(target.evolution_url, target.control_token))
        traffic = Traffic(session, pace, plan, units=connected_units(target), control=control)
        stack.callback(traffic.close)
        metrics = MetricsSource(session, load_mapping(mapping), token=target.metrics_token)
        log = LogSource(target.log_path, detector)
        database, no_database = _database(database_url, stack)
        watch = _Watch(
            session=session,
            traffic=traffic,
            metrics=metrics,
            log=log,
            health=HealthSource(session),
            database=database,
            unproven={},
        )
        proof = _prove(watch, pace, load_mapping(mapping), marked_secret)
        watch.unproven |= _lost(no_database)
        moved = isinstance(pace, VirtualPace) and control is not None
        clock: _Time = _MovedTime(control, step_s) if moved and control is not None else _RealTime()
        skipped = _not_applicable(database_url, control)
        judged = [item for item in items if item.id not in skipped]
        values: dict[str, list[list[float]]] = {}
        reached: list[Checkpoint] = []
        found: dict[str, Assessment] = {}
        ended = ""
        for minute in range(1, minutes + 1):
            if minute % LOGIN_EVERY_MIN == 0:
                traffic.log_in_again()
            active = traffic.minute(minute)
            if minute == DROP_AT_MIN:
                traffic.drop_connection(minute)
            clock.reach(minute)
            watch.sample(minute, active=active)
            at_end = minute == minutes
            series = Series(samples=tuple(watch.samples), at_end=at_end)
            found = {item.id: _assess(item, series) for item in judged}
            for outcome_id, assessment in found.items():
                if assessment.value is not None:
                    values.setdefault(outcome_id, []).append([minute, assessment.value])
            ended = next((f"{outcome_id}: {one.reason}" for outcome_id, one in found.items() if one.roll_back), "")
            if minute in checkpoints or at_end or ended:
                due = {item.id: found[item.id] for item in judged if at_end or ended or minute >= item.options["first"]}
                reached.append(Checkpoint(minute=minute, assessments=due))
                on_checkpoint(reached[-1])
            if ended:
                break
        journal.fact("watch.checkpoints", [_shown(checkpoint) for checkpoint in reached])
        journal.fact("watch.series", values)
        return [
            proof,
            *(_outcome(item, found.get(item.id), skipped.get(item.id, ""), ended, watch, minutes) for item in items),
        ]


def _prove(watch: _Watch, pace: Pace, mapping: Mapping[str, Any], marked_secret: str) -> Outcome:
    """Sends a marked event through and looks for it in every source; what does not show it gives errors from here on."""
    instance = f"unit_{uuid.uuid4()}"
    evidence: list[Evidence] = []
    problems: list[str] = []
    sources: dict[str, Callable[[], None]] = {"/metrics": watch.metrics.begin, "log": watch.log.begin}
    readings = {"/metrics": tuple(mapping), "log": ("log_lines", "log_leaks")}
    for name, begin in sources.items():
        try:
            begin()
        except HarnessError as error:
            problems.append(str(error))
            watch.unproven |= dict.fromkeys(readings[name], str(error))
    try:
        answer = watch.session.request(
            "POST",
            f"/webhooks/whatsapp/evolution/{marked_secret}",
            body={"event": "connection.update", "instance": instance, "data": {"instance": instance, "state": "open"}},
        )
        evidence += [Evidence(label="marked webhook answered", value=answer.status)]
    except HarnessError as error:
        raise HarnessError(f"the marked event could not be sent: {error}") from error

    def counted() -> bool:
        seen = watch.metrics.read().values
        return seen.get("unknown_instance", 0) >= 1 and seen.get("http_requests", 0) >= 1

    looks = {"/metrics": counted, "log": lambda: watch.log.contains(instance, answer.request_id)}
    for name, look in looks.items():
        if any(reading in watch.unproven for reading in readings[name]):
            continue
        began = time.monotonic()
        try:
            pace.eventually(look, within_s=MARK_VISIBLE_S, what=f"the marked event in the {name}")
        except NotInTimeError:
            told = f"{name} does not show a marked event that was sent through: it is no source"
            problems.append(told)
            watch.unproven |= dict.fromkeys(readings[name], told)
            continue
        evidence.append(Evidence(label=f"marked event in {name} after", value=round(time.monotonic() - began, 3), unit="s"))
        # The mark itself belongs to no unit and must not count.
        if name == "/metrics":
            watch.metrics.begin()
    return Outcome(
        id=SOURCES_ID,
        status=Status.ERROR if problems else Status.PASS,
        severity=Severity.CRITICAL,
        title="The sources of the watch show what happens",
        reason="; ".join(problems),
        evidence=tuple(evidence),
        observed_at=datetime.now(UTC),
    )


def _database(url: str, stack: ExitStack) -> tuple[DatabaseSource | None, str]:
    if not url.startswith("postgresql"):
        return None, ""
    try:
        return stack.enter_context(DatabaseSource(url)), ""
    except HarnessError as error:
        return None, str(error)


def _lost(why: str) -> dict[str, str]:
    return dict.fromkeys(("lock_waits", "connections_used"), why) if why else {}


def _not_applicable(database_url: str, control: ControlVerbs | None) -> dict[str, str]:
    skipped = {}
    if not database_url:
        skipped["watch.database-locks"] = "no database URL was given, so locks cannot be looked at"
    elif not database_url.startswith("postgresql"):
        skipped["watch.database-locks"] = f"{database_url.partition(':')[0]} has no locks that others wait for"
    if control is None:
        skipped["watch.cross-tenant"] = "what a real Evolution API sent cannot be seen from here; a scenario asks"
    return skipped


def _assess(item: Item, series: Series) -> Assessment:
    try:
        found = item(series)
    except Exception as error:
        return Assessment(level=Level.MISSING, limit="", reason=f"the signal crashed: {type(error).__name__}: {error}")
    if isinstance(found, Assessment):
        return found
    return Assessment(level=Level.MISSING, limit="", reason=f"the signal answered {type(found).__name__}, not an assessment")


def _outcome(item: Item, found: Assessment | None, skipped: str, ended: str, watch: _Watch, minutes: int) -> Outcome:
    status, reason = Status.ERROR, "never assessed"
    evidence: tuple[Evidence, ...] = ()
    if skipped:
        status, reason = Status.SKIP, skipped
    elif found is not None:
        status, reason, evidence = _STATUS[found.level], found.reason, found.evidence
        # An hour that was cut short was not fine for its full length.
        if ended and status in (Status.PASS, Status.WARN):
            minute = watch.samples[-1].minute
            status, reason = Status.INCONCLUSIVE, f"the watch ended at minute {minute:g} of {minutes} ({ended})"
    if item.id == "watch.unmasked-output" and watch.log.rules:
        reason = f"{reason} ({', '.join(watch.log.rules)})"
    if item.id == "watch.message-failures" and status is not Status.PASS and watch.traffic.problems:
        reason = f"{reason}; first problem of the synthetic traffic: {watch.traffic.problems[0]}"
    return Outcome(
        id=item.id,
        status=status,
        severity=item.severity,
        title=item.title,
        reason=reason,
        evidence=evidence,
        observed_at=datetime.now(UTC),
    )


def _shown(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "minute": checkpoint.minute,
        "signals": [
            {
                "id": outcome_id,
                "value": found.value,
                "unit": found.unit,
                "level": str(_SHOWN.get(found.level, found.level)),
                "limit": found.limit,
            }
            for outcome_id, found in checkpoint.assessments.items()
        ],
    }
