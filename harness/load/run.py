"""Runs locust in a process of its own and judges what it wrote down.

locust's own statistics round latencies to two digits and its exit status knows no thresholds, so both are ours: every answer is a
line in a file, and every rule that is broken is quoted with its numbers.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gate.errors import GateError
from gate.journal import Journal
from gate.model import Evidence, Outcome, Severity, Status
from harness.errors import HarnessError
from harness.smoke.session import Session
from harness.target import Target

__all__ = ["IDS", "Record", "Thresholds", "Traffic", "assess", "connected_units", "drive", "read_records", "run", "summarise"]

IDS = ("load.requests", "load.failures", "load.latency-p95", "load.accounted")
_TITLES = {
    "load.requests": "The load reached the backend",
    "load.failures": "Few requests fail under load",
    "load.latency-p95": "Answers stay quick under load",
    "load.accounted": "What was accepted under load was sent exactly once",
}
_LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_LOGIN = "POST /admin/login"
# Importing locust and ending its users, beyond the time of the load itself.
_STARTS_AND_ENDS_S = 30
_STOP_S = 5
_LOGIN_S = 20
_EXTRA_S = 30
_TAIL_CHARACTERS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What the load must keep: the part of failures (of 1), the p95 in ms, and how many requests make a judgement."""

    failure_ratio: float = 0.01
    p95_ms: float = 500.0
    requests: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Who is loaded: users at a time, for how long, to which numbers, and the longest pause of a user between two requests."""

    users: int
    duration_s: float
    recipients: Sequence[str]
    pause_s: float = 0.1

    def __post_init__(self) -> None:
        if self.users < 1 or not self.duration_s > 0 or not self.recipients:
            raise HarnessError("a load needs at least one user, a duration above 0 s and a recipient")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One answer as locust wrote it. `at` seconds since 1970; `status` 0 when none came; `message` the idempotency key."""

    at: float
    name: str
    latency_ms: float
    status: int
    error: str
    message: str
    accepted: bool

    @property
    def failed(self) -> bool:
        return bool(self.error) or not 200 <= self.status < 400


def run(
    target: Target,
    traffic: Traffic,
    *,
    journal: Journal,
    workdir: Path,
    thresholds: Thresholds | None = None,
    units: Sequence[str] = (),
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Loads the target and appends one outcome for each of IDS, and the facts `load.summary` and `load.series`.

    Without `units` all connected ones are used. Whatever keeps the load from running makes every outcome an ERROR. An interrupt
    ends the locust process and everything it started.
    """
    with journal.part("load", expected=IDS):
        began = time.monotonic()
        mark = f"load-{uuid.uuid4().hex[:12]}"
        limits = thresholds or Thresholds()
        try:
            chosen = list(units) or connected_units(target)
            if not chosen:
                outcomes = _all(Status.INCONCLUSIVE, "no unit is connected: nothing could be sent")
            else:
                records = drive(target, traffic, units=chosen, mark=mark, workdir=workdir, enough=limits.requests)
                summary, series = summarise(records, traffic.duration_s)
                journal.fact("load.summary", summary)
                journal.fact("load.series", series)
                outcomes = assess(records, limits, ledger=_ledger(target, mark))
        except (GateError, OSError) as error:
            outcomes = _all(Status.ERROR, str(error))
        seconds = time.monotonic() - began
        finished = [
            Outcome(
                id=outcome.id,
                status=outcome.status,
                severity=outcome.severity,
                title=outcome.title,
                reason=outcome.reason,
                evidence=outcome.evidence,
                duration_s=seconds if outcome.id == IDS[0] else 0.0,
                observed_at=outcome.observed_at,
            )
            for outcome in outcomes
        ]
        for outcome in finished:
            journal.append(outcome)
            on_outcome(outcome)
        return finished


def connected_units(target: Target) -> list[str]:
    """Ids of the units whose connection is open. Raises HarnessError when the backend cannot be asked."""
    with Session(target) as session:
        session.must_login()
        answer = session.request("GET", "/admin/units")
        if answer.status != 200 or not isinstance(answer.body, list):
            raise HarnessError(f"GET /admin/units was answered {answer.told()}")
        found = [str(unit["id"]) for unit in answer.body if isinstance(unit, dict) and "id" in unit]
        return [unit for unit in found if session.status(unit).field("status") == "connected"]


def drive(target: Target, traffic: Traffic, *, units: Sequence[str], mark: str, workdir: Path, enough: int = 0) -> list[Record]:
    """Runs the locust process to its end and returns every answer that it wrote down.

    A backend that was too slow to answer `enough` requests is loaded for longer, `_EXTRA_S` at most: what is slow is to be judged
    so, not called unseen.

    Raises HarnessError when locust is not installed, crashes, does not end in time, or leaves a damaged file.
    """
    if importlib.util.find_spec("locust") is None:
        raise HarnessError("the load needs locust: install golive[load]")
    workdir.mkdir(parents=True, exist_ok=True)
    records, output = workdir / f"{mark}.jsonl", workdir / f"{mark}.log"
    extra_s = _EXTRA_S if enough else 0
    plan = {
        "email": target.admin_email,
        "units": list(units),
        "recipients": list(traffic.recipients),
        "mark": mark,
        "pause_s": traffic.pause_s,
        "duration_s": traffic.duration_s,
        "enough": enough,
        "extra_s": extra_s,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")} | {
        "GOLIVE_LOAD_PLAN": json.dumps(plan),
        "GOLIVE_LOAD_PASSWORD": target.admin_password,
        "GOLIVE_LOAD_RECORDS": str(records.resolve()),
        "PYTHONUNBUFFERED": "1",
    }
    # The users end the load themselves, counted from their log-in; locust's own limit is for a log-in that never ends.
    limit_s = math.ceil(traffic.duration_s) + extra_s + _LOGIN_S
    arguments = (
        *("--headless", "--only-summary", "--exit-code-on-error", "0", "--host", target.url),
        *("--users", str(traffic.users), "--spawn-rate", str(traffic.users)),
        *("--run-time", f"{limit_s}s", "--stop-timeout", f"{_STOP_S}s"),
    )
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=workdir,
            start_new_session=True,
        )
        limit_s += _STOP_S + _STARTS_AND_ENDS_S
        with _ended_with_its_group(process):
            try:
                status = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                raise HarnessError(f"locust did not end within {limit_s:g} s and was stopped{_tail(output)}") from None
    if status != 0:
        raise HarnessError(f"locust ended with status {status}{_tail(output)}")
    return read_records(records)


@contextlib.contextmanager
def _ended_with_its_group(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        # The group outlives its leader when locust crashed and left something behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(output: Path) -> str:
    lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f": {' | '.join(lines[-3:])[-_TAIL_CHARACTERS:]}" if lines else ""


def read_records(path: Path) -> list[Record]:
    """Raises HarnessError when there is no file or a line of it is not a record: then the counts would not be true."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise HarnessError(f"{path.name}: locust wrote no answers down ({error.strerror})") from error
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            fields = json.loads(line)
            records.append(
                Record(
                    at=float(fields["at"]),
                    name=str(fields["name"]),
                    latency_ms=float(fields["latency_ms"]),
                    status=int(fields["status"]),
                    error=str(fields["error"]),
                    message=str(fields["message"]),
                    accepted=bool(fields["accepted"]),
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise HarnessError(f"{path.name}: line {number} is not an answer of locust ({error})") from error
    return records


def assess(records: Sequence[Record], thresholds: Thresholds, *, ledger: Sequence[str] | None) -> list[Outcome]:
    """Judges the answers. `ledger`: the texts of this load that the provider really got; None behind a real Evolution API."""
    load = [record for record in records if record.name != _LOGIN]
    failures = [record for record in load if record.failed]
    kinds = Counter(f"{record.status or record.error} on {record.name}" for record in failures)
    worst = ", ".join(f"{count} × {kind}" for kind, count in kinds.most_common(3))
    told = [Evidence(label="requests", value=len(load)), Evidence(label="failures", value=len(failures))]
    if len(load) < thresholds.requests:
        logins = ", ".join(f"{record.status or record.error}" for record in records if record.name == _LOGIN) or "none"
        reason = f"{len(load)} requests < {thresholds.requests}: too few to judge (answers to the log-in: {logins})"
        return _all(Status.INCONCLUSIVE, reason, told)
    ratio = len(failures) / len(load)
    p95 = percentile([record.latency_ms for record in load], 95)
    rule = f"≤ {thresholds.failure_ratio:.1%}"
    return [
        _outcome("load.requests", Status.PASS, "", told),
        _outcome(
            "load.failures",
            *_judged(ratio > thresholds.failure_ratio, f"failures {ratio:.1%} > {thresholds.failure_ratio:.1%}: {worst}"),
            [*told, Evidence(label="failure ratio", value=round(100 * ratio, 2), unit="%"), Evidence(label="limit", value=rule)],
        ),
        _outcome(
            "load.latency-p95",
            *_judged(p95 > thresholds.p95_ms, f"p95 {p95:.0f} ms > {thresholds.p95_ms:.0f} ms"),
            [
                Evidence(label="p95", value=round(p95, 1), unit="ms"),
                Evidence(label="limit", value=thresholds.p95_ms, unit="ms"),
                Evidence(label="requests", value=len(load)),
            ],
        ),
        _accounted(load, ledger),
    ]


def _accounted(load: Sequence[Record], ledger: Sequence[str] | None) -> Outcome:
    sends = [record for record in load if record.message]
    accepted = {record.message for record in sends if record.accepted}
    # Whether a message of these was sent is not known to the caller; 202 says so, no answer at all and 5xx do not exclude it.
    unsure = {record.message for record in sends if record.status == 202 or record.status == 0 or record.status >= 500}
    told = [Evidence(label="accepted", value=len(accepted)), Evidence(label="outcome not known", value=len(unsure))]
    if ledger is None:
        return _outcome("load.accounted", Status.INCONCLUSIVE, "what a real Evolution API sent cannot be counted from here", told)
    if not accepted:
        return _outcome("load.accounted", Status.INCONCLUSIVE, "no message was accepted: nothing to account for", told)
    counted = Counter(text.removeprefix("load ") for text in ledger)
    lost = accepted - set(counted)
    doubled = {message for message, times in counted.items() if times > 1}
    refused = set(counted) - accepted - unsure
    told.append(Evidence(label="in the provider's ledger", value=sum(counted.values())))
    problems = [
        f"{len(found)} {what}"
        for found, what in (
            (lost, "accepted and never sent"),
            (doubled, "sent more than once"),
            (refused, "sent although refused or never asked for"),
        )
        if found
    ]
    return _outcome("load.accounted", *_judged(bool(problems), "; ".join(problems)), told)


def summarise(records: Sequence[Record], duration_s: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The facts `load.summary` and `load.series` (one point a second); latencies in ms."""
    load = [record for record in records if record.name != _LOGIN]
    if not load:
        empty = {"requests": 0, "failures": 0, "rps": 0.0, "latency_ms": {}, "duration_s": duration_s, "endpoints": []}
        return empty, []
    first, last = min(record.at for record in load), max(record.at for record in load)
    names = sorted({record.name for record in load})
    summary = {
        **_counts(load),
        "rps": round(len(load) / max(last - first, 1e-3), 1),
        "duration_s": round(last - first, 2),
        "endpoints": [{"name": name, **_counts([record for record in load if record.name == name])} for name in names],
    }
    seconds: dict[int, list[Record]] = {}
    for record in load:
        seconds.setdefault(int(record.at - first), []).append(record)
    series = [
        {
            "t_s": second,
            "rps": len(seconds.get(second, ())),
            "failures": sum(record.failed for record in seconds.get(second, ())),
            "p95_ms": round(percentile([record.latency_ms for record in seconds[second]], 95), 1) if second in seconds else None,
        }
        for second in range(max(seconds) + 1)
    ]
    return summary, series


def _counts(records: Sequence[Record]) -> dict[str, Any]:
    latencies = [record.latency_ms for record in records]
    return {
        "requests": len(records),
        "failures": sum(record.failed for record in records),
        "latency_ms": {
            **{f"p{rank}": round(percentile(latencies, rank), 1) for rank in (50, 95, 99)},
            "max": round(max(latencies), 1),
        },
    }


def percentile(values: Iterable[float], rank: float) -> float:
    """The nearest-rank percentile: the smallest value that `rank` percent of all do not exceed. Raises ValueError for none."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values, no percentile")
    return ordered[max(0, math.ceil(rank / 100 * len(ordered)) - 1)]


def _ledger(target: Target, mark: str) -> list[str] | None:
    if not target.evolution_url:
        return None
    from harness.evolution.client import EvolutionControl

    with EvolutionControl(target.evolution_url, target.control_token) as control:
        return [str(send["text"]) for send in control.ledger() if str(send["text"]).startswith(f"load {mark}-")]


def _judged(broken: bool, rule: str) -> tuple[Status, str]:
    return (Status.FAIL, rule) if broken else (Status.PASS, "")


def _all(status: Status, reason: str, evidence: Sequence[Evidence] = ()) -> list[Outcome]:
    return [_outcome(outcome_id, status, reason, evidence) for outcome_id in IDS]


def _outcome(outcome_id: str, status: Status, reason: str, evidence: Sequence[Evidence]) -> Outcome:
    return Outcome(
        id=outcome_id,
        status=status,
        severity=Severity.CRITICAL if outcome_id == "load.accounted" else Severity.MAJOR,
        title=_TITLES[outcome_id],
        reason=reason,
        evidence=tuple(evidence),
        observed_at=datetime.now(UTC),
    )
