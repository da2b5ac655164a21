from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gate.journal import Journal, read
from gate.model import Outcome, Status
from harness.errors import HarnessError
from harness.load import expected_ids
from harness.load import run as load
from harness.load.run import Record, Thresholds, Traffic, assess, drive, percentile, read_records, run, summarise
from harness.target import RealPace
from harness.tests.monitor.backend import PASSWORD, World, world

RECIPIENT = "5511987650001"
SHORT = Traffic(users=2, duration_s=1, recipients=[RECIPIENT], pause_s=0.02)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as running:
        yield running


def _record(number: int, **changes: Any) -> Record:
    fields: dict[str, Any] = {
        "at": 100.0 + number / 10,
        "name": "POST /messages",
        "latency_ms": 10.0,
        "status": 200,
        "error": "",
        "message": f"m-{number}",
        "accepted": True,
    }
    return Record(**fields | changes)


def _judge(records: list[Record], ledger: list[str] | None = None, **thresholds: Any) -> dict[str, Outcome]:
    sent = [f"load {record.message}" for record in records if record.accepted] if ledger is None else ledger
    outcomes = assess(records, Thresholds(**thresholds), ledger=sent)
    assert [outcome.id for outcome in outcomes] == expected_ids()
    return {outcome.id.removeprefix("load."): outcome for outcome in outcomes}


FINE = [_record(number) for number in range(100)]


def test_a_fine_load_passes() -> None:
    assert {outcome.status for outcome in _judge(FINE).values()} == {Status.PASS}


@pytest.mark.parametrize("requests", [0, 1, 19])
def test_no_or_few_requests_are_never_a_pass(requests: int) -> None:
    outcomes = _judge([_record(0, name="POST /admin/login", message="", accepted=False, status=401), *FINE[:requests]])
    assert {outcome.status for outcome in outcomes.values()} == {Status.INCONCLUSIVE}
    assert f"{requests} requests < 20" in outcomes["requests"].reason
    assert "401" in outcomes["requests"].reason


def test_failures_beyond_the_threshold_quote_the_rule_and_name_the_most_frequent() -> None:
    failing = [_record(number, status=503, error="HTTPError", accepted=False) for number in range(2)]
    found = _judge(failing + FINE[2:])["failures"]
    assert found.status is Status.FAIL
    assert found.reason == "failures 2.0% > 1.0%: 2 × 503 on POST /messages"
    assert _judge(failing[:1] + FINE[1:])["failures"].status is Status.PASS


def test_a_slow_tail_quotes_the_rule() -> None:
    slow = [_record(number, latency_ms=612.0) for number in range(6)]
    assert _judge(slow + FINE[6:])["latency-p95"].reason == "p95 612 ms > 500 ms"
    assert _judge(slow[:5] + FINE[5:])["latency-p95"].status is Status.PASS


def test_every_accepted_message_must_be_in_the_ledger_exactly_once() -> None:
    ledger = [f"load {record.message}" for record in FINE]
    assert _judge(FINE, ledger[1:])["accounted"].reason == "1 accepted and never sent"
    assert _judge(FINE, [*ledger, ledger[0]])["accounted"].reason == "1 sent more than once"
    assert _judge(FINE, [*ledger, "load m-unasked"])["accounted"].reason == "1 sent although refused or never asked for"


def test_a_message_of_unknown_outcome_may_or_may_not_be_in_the_ledger() -> None:
    unsure = [_record(0, status=202, accepted=False), *FINE[1:]]
    ledger = [f"load {record.message}" for record in FINE]
    assert _judge(unsure, ledger)["accounted"].status is Status.PASS
    assert _judge(unsure, ledger[1:])["accounted"].status is Status.PASS
    refused = [_record(0, status=409, error="HTTPError", accepted=False), *FINE[1:]]
    assert _judge(refused, ledger)["accounted"].status is Status.FAIL


def test_without_a_ledger_nothing_can_be_accounted_for() -> None:
    outcomes = assess(FINE, Thresholds(), ledger=None)
    assert outcomes[-1].status is Status.INCONCLUSIVE
    assert outcomes[0].status is Status.PASS


def test_the_summary_and_the_series_count_every_request_once() -> None:
    summary, series = summarise([_record(0, name="POST /admin/login"), *FINE], 10)
    assert summary["requests"] == 100 == sum(point["rps"] for point in series)
    assert summary["latency_ms"] == {"p50": 10.0, "p95": 10.0, "p99": 10.0, "max": 10.0}
    assert [endpoint["name"] for endpoint in summary["endpoints"]] == ["POST /messages"]
    assert summarise([], 10)[1] == []


def test_the_percentile_is_one_of_the_values() -> None:
    assert percentile([1, 2, 3, 4], 50) == 2
    assert percentile(range(1, 101), 95) == 95
    assert percentile([7], 99) == 7
    with pytest.raises(ValueError, match="no values"):
        percentile([], 95)


@pytest.mark.parametrize("line", ["{", '{"at": 1}', '{"at": "x"}', "[]"])
def test_a_damaged_line_is_an_error(tmp_path: Path, line: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(HarnessError, match="line 1"):
        read_records(path)


@pytest.mark.parametrize("change", [{"users": 0}, {"duration_s": 0}, {"recipients": []}])
def test_a_load_of_nothing_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(HarnessError, match="at least one user"):
        replace(SHORT, **change)


@pytest.mark.process
def test_a_real_load_is_driven_judged_and_written_down(here: World, tmp_path: Path) -> None:
    here.backend.add_unit(connected=True)
    journal = Journal.create(tmp_path / "journal.jsonl", release={"name": "test"})

    outcomes = run(here.target, SHORT, journal=journal, workdir=tmp_path / "load", thresholds=Thresholds(p95_ms=5000))

    assert [outcome.id for outcome in outcomes] == expected_ids()
    assert {(str(outcome.status), outcome.reason) for outcome in outcomes} == {("pass", "")}
    recording = read(journal.path)
    assert recording.damage == ()
    assert recording.facts["load.summary"]["requests"] == sum(point["rps"] for point in recording.facts["load.series"])
    texts = [send["text"] for send in here.evolution.ledger()]
    assert len(texts) == len(set(texts)) > 5
    assert all(PASSWORD not in path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.process
def test_a_load_goes_on_until_enough_is_answered_to_be_judged(here: World, tmp_path: Path) -> None:
    unit = here.backend.add_unit(connected=True)
    short = Traffic(users=1, duration_s=0.01, recipients=[RECIPIENT], pause_s=0.02)
    few, enough = (
        [
            record
            for record in drive(here.target, short, units=[unit], mark=mark, workdir=tmp_path, enough=count)
            if record.message
        ]
        for mark, count in (("few", 0), ("enough", 60))
    )
    assert len(few) < 30 < len(enough)


@pytest.mark.process
def test_messages_that_are_sent_twice_are_found(here: World, tmp_path: Path) -> None:
    here.backend.add_unit(connected=True)
    here.backend.faults.double_sends = True
    journal = Journal.create(tmp_path / "journal.jsonl", release={"name": "test"})

    outcomes = run(here.target, SHORT, journal=journal, workdir=tmp_path / "load", thresholds=Thresholds(p95_ms=5000))

    assert outcomes[-1].status is Status.FAIL
    assert "sent more than once" in outcomes[-1].reason


def test_without_a_connected_unit_nothing_is_loaded(here: World, tmp_path: Path) -> None:
    here.backend.add_unit(connected=False)
    journal = Journal.create(tmp_path / "journal.jsonl", release={"name": "test"})
    outcomes = run(here.target, SHORT, journal=journal, workdir=tmp_path)
    assert {outcome.status for outcome in outcomes} == {Status.INCONCLUSIVE}


@pytest.mark.process
def test_a_refused_log_in_ends_the_load_at_once_without_a_pass(here: World, tmp_path: Path) -> None:
    here.backend.faults.answers = {"POST /admin/login": 401}
    records = drive(here.target, SHORT, units=["unit"], mark="m", workdir=tmp_path)
    assert [(record.name, record.status) for record in records] == [("POST /admin/login", 401)]
    assert {outcome.status for outcome in _judge(records).values()} == {Status.INCONCLUSIVE}


def test_without_locust_the_extra_is_named(here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    journal = Journal.create(tmp_path / "journal.jsonl", release={"name": "test"})
    outcomes = run(here.target, SHORT, journal=journal, workdir=tmp_path, units=["unit"])
    assert {outcome.status for outcome in outcomes} == {Status.ERROR}
    assert all("install golive[load]" in outcome.reason for outcome in outcomes)


@pytest.mark.process
def test_a_crash_of_locust_is_an_error_with_its_last_words(here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "locustfile.py"
    broken.write_text("raise SystemExit('the users are on strike')\n")
    monkeypatch.setattr(load, "_LOCUSTFILE", broken)
    with pytest.raises(HarnessError, match=r"ended with status 1.*on strike"):
        drive(here.target, SHORT, units=["unit"], mark="m", workdir=tmp_path)


_SLEEPER = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({pids!r}).write_text(f"{{os.getpid()}} {{child.pid}}")
time.sleep(600)
"""


def _gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    # Dead, and waiting for its new parent to collect it.
    return state == "Z"


@pytest.mark.process
def test_the_time_limit_ends_locust_and_what_it_started(here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids, sleeper = tmp_path / "pids", tmp_path / "locustfile.py"
    sleeper.write_text(_SLEEPER.format(pids=str(pids)))
    monkeypatch.setattr(load, "_LOCUSTFILE", sleeper)
    monkeypatch.setattr(load, "_STARTS_AND_ENDS_S", 0)
    monkeypatch.setattr(load, "_LOGIN_S", 0)
    monkeypatch.setattr(load, "_STOP_S", 3)

    with pytest.raises(HarnessError, match="did not end within 4 s"):
        drive(here.target, SHORT, units=["unit"], mark="m", workdir=tmp_path)

    # A killed process is gone a moment after the signal, not with it.
    RealPace().eventually(lambda: all(_gone(int(pid)) for pid in pids.read_text().split()), within_s=10, what="the end of all")


@pytest.mark.process
def test_an_interrupt_ends_locust_and_what_it_started(here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids, sleeper = tmp_path / "pids", tmp_path / "locustfile.py"
    sleeper.write_text(_SLEEPER.format(pids=str(pids)))
    monkeypatch.setattr(load, "_LOCUSTFILE", sleeper)

    def interrupt() -> None:
        here.pace.eventually(lambda: pids.exists() and len(pids.read_text().split()) == 2, within_s=3600, what="the child")
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        drive(here.target, SHORT, units=["unit"], mark="m", workdir=tmp_path)

    # A killed process is gone a moment after the signal, not with it.
    RealPace().eventually(lambda: all(_gone(int(pid)) for pid in pids.read_text().split()), within_s=10, what="the end of all")


def test_locust_is_imported_by_the_locustfile_alone() -> None:
    code = "import harness.load.run, sys; print('locust' in sys.modules or 'gevent' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
