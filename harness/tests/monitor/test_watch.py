from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gate.journal import Journal, read
from gate.model import Outcome, Status
from harness.monitor import expected_ids
from harness.monitor.traffic import Plan
from harness.monitor.watch import Checkpoint, run
from harness.target import RealPace
from harness.tests.monitor.backend import PASSWORD, World, world

RECIPIENTS = ("5511987650001", "5511987650002")
SHORT: dict[str, Any] = {"minutes": 12, "checkpoints": (5, 10)}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as running:
        running.backend.add_unit(connected=True)
        yield running


def _watch(here: World, tmp_path: Path, **options: Any) -> dict[str, Outcome]:
    journal = Journal.create(tmp_path / "journal.jsonl", release={"name": "test"})
    options = {"recipients": RECIPIENTS, **options}
    outcomes = run(here.target, here.pace, journal=journal, **options)
    recording = read(journal.path)
    assert recording.damage == ()
    assert sorted(outcome.id for outcome in outcomes) == sorted(expected_ids()) == sorted(recording.planned)
    assert [one.as_json() for one in recording.outcomes] == [one.as_json() for one in outcomes]
    for secret in (PASSWORD, *RECIPIENTS):
        assert secret not in journal.path.read_text()
    return {outcome.id.removeprefix("watch."): outcome for outcome in outcomes}


def _bad(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {name: str(one.status) for name, one in outcomes.items() if one.status not in (Status.PASS, Status.SKIP)}


def test_a_healthy_hour_passes_every_signal(here: World, tmp_path: Path) -> None:
    checkpoints: list[Checkpoint] = []
    notes: list[str] = []

    outcomes = _watch(here, tmp_path, on_checkpoint=checkpoints.append, on_note=notes.append)

    assert _bad(outcomes) == {}
    assert outcomes["database-locks"].status is Status.SKIP
    assert [checkpoint.minute for checkpoint in checkpoints] == [5, 10, 20, 30, 60]
    assert "watch.retries" not in checkpoints[0].assessments
    assert "watch.retries" in checkpoints[2].assessments
    assert notes == ["0 messages an hour are expected and a decision needs 36: 65 synthetic ones are scheduled"]
    facts = read(tmp_path / "journal.jsonl").facts
    assert facts["plan"]["required_sample"] == 36
    assert {signal["level"] for signal in facts["watch.checkpoints"][-1]["signals"]} == {"ok"}
    assert facts["watch.series"]["watch.outbound-sent"][-1] == [60, 65.0]
    assert len(here.evolution.ledger()) == 65


def test_message_failures_end_the_watch_at_once(here: World, tmp_path: Path) -> None:
    here.backend.faults.failing_sends = True

    outcomes = _watch(here, tmp_path)

    assert outcomes["message-failures"].status is Status.FAIL
    assert "first problem of the synthetic traffic: POST /messages: 502" in outcomes["message-failures"].reason
    assert outcomes["health"].status is Status.INCONCLUSIVE
    assert "of 60 (watch.message-failures" in outcomes["health"].reason


def test_sends_that_the_backend_refuses_count_as_failures_although_it_does_not_count_them(here: World, tmp_path: Path) -> None:
    here.backend.faults.refused_sends = True
    assert _watch(here, tmp_path)["message-failures"].status is Status.FAIL


def test_a_backend_that_goes_down_under_traffic_is_rolled_back(here: World, tmp_path: Path) -> None:
    def stop(checkpoint: Checkpoint) -> None:
        here.backend.faults.down = True

    outcomes = _watch(here, tmp_path, on_checkpoint=stop)

    assert outcomes["health"].status is Status.FAIL
    # What the backend cannot be asked any more is not known, and not zero.
    assert outcomes["message-failures"].status is Status.ERROR
    assert read(tmp_path / "journal.jsonl").facts["watch.checkpoints"][-1]["minute"] <= 11


def test_down_without_traffic_is_rolled_back_by_the_health_probe(here: World, tmp_path: Path) -> None:
    def stop(checkpoint: Checkpoint) -> None:
        here.backend.faults.down = True

    outcomes = _watch(here, tmp_path, on_checkpoint=stop, recipients=(), plan=Plan())

    assert outcomes["health"].status is Status.FAIL
    assert outcomes["health"].reason == "down for 6 > 5 minutes: roll back"


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (f"sent to {RECIPIENTS[0]}", "a known phone number"),
        (f"login with {PASSWORD}", "a known secret"),
        ("ours-to-hide", "a known secret"),
    ],
)
def test_an_unmasked_value_in_the_log_ends_the_watch(here: World, tmp_path: Path, line: str, rule: str) -> None:
    here.backend.faults.unmasked_log = line

    outcomes = _watch(here, tmp_path, secrets=["ours-to-hide"])

    assert outcomes["unmasked-output"].status is Status.FAIL
    assert rule in outcomes["unmasked-output"].reason
    assert "minute 1 of 60" in outcomes["retries"].reason


def test_a_message_through_another_tenants_connection_ends_the_watch(here: World, tmp_path: Path) -> None:
    here.backend.faults.swapped_instance = f"unit_{here.backend.add_unit(connected=True)}"

    outcomes = _watch(here, tmp_path)

    assert outcomes["cross-tenant"].status is Status.FAIL
    assert "roll back" in outcomes["cross-tenant"].reason


def test_a_status_that_never_updates_ends_the_watch(here: World, tmp_path: Path) -> None:
    here.backend.faults.frozen_status = True

    outcomes = _watch(here, tmp_path)

    assert outcomes["status-latency"].status is Status.FAIL
    assert "not visible after 6 > 5 minutes" in outcomes["status-latency"].reason


def test_server_errors_beyond_their_limit_fail_at_the_end(here: World, tmp_path: Path) -> None:
    here.backend.counts["http 503"] += 1

    def errors(checkpoint: Checkpoint) -> None:
        here.backend.counts["http 503"] += 6

    outcomes = _watch(here, tmp_path, on_checkpoint=errors, minutes=12, checkpoints=(2, 5, 8))

    assert outcomes["http-5xx"].status is Status.FAIL
    assert outcomes["retries"].status is Status.PASS


def test_unknown_instances_beyond_the_ok_limit_are_a_warning(here: World, tmp_path: Path) -> None:
    def strangers(checkpoint: Checkpoint) -> None:
        here.backend.counts["unknown_instance"] += 2

    assert _watch(here, tmp_path, on_checkpoint=strangers, **SHORT)["unknown-instance"].status is Status.WARN


def test_a_metric_that_is_not_there_is_an_error_of_its_signals_alone(here: World, tmp_path: Path) -> None:
    here.backend.faults.lost_metric = "campaigns_stuck"

    outcomes = _watch(here, tmp_path, **SHORT)

    assert outcomes["stuck-campaigns"].status is Status.ERROR
    assert "campaigns_stuck" in outcomes["stuck-campaigns"].reason
    assert outcomes["queue-age"].status is Status.PASS


def test_metrics_that_do_not_show_the_marked_event_are_no_source(here: World, tmp_path: Path) -> None:
    here.backend.faults.frozen_metrics = True

    outcomes = _watch(here, tmp_path, **SHORT)

    assert outcomes["sources"].status is Status.ERROR
    assert "/metrics does not show a marked event" in outcomes["sources"].reason
    assert outcomes["http-5xx"].status is Status.ERROR
    assert outcomes["health"].status is Status.PASS


def test_a_log_that_does_not_show_the_marked_event_is_no_source(here: World, tmp_path: Path) -> None:
    here.backend.faults.silent_log = True

    outcomes = _watch(here, tmp_path, **SHORT)

    assert outcomes["unmasked-output"].status is Status.ERROR
    assert "log does not show" in outcomes["sources"].reason


def test_without_a_log_leaks_cannot_be_looked_for(here: World, tmp_path: Path) -> None:
    blind = replace(here, target=replace(here.target, log_path=None))
    assert _watch(blind, tmp_path, **SHORT)["unmasked-output"].status is Status.ERROR


def test_a_counter_that_counts_less_than_the_watch_made_is_no_source(here: World, tmp_path: Path) -> None:
    def hide(checkpoint: Checkpoint) -> None:
        here.backend.faults.lost_metric = 'direction="inbound"'

    outcomes = _watch(here, tmp_path, on_checkpoint=hide, **SHORT)

    assert outcomes["inbound-seen"].status is Status.ERROR


def test_a_restart_in_the_hour_is_an_error_not_a_zero(here: World, tmp_path: Path) -> None:
    def restart(checkpoint: Checkpoint) -> None:
        if checkpoint.minute == 10:
            here.backend.counts.clear()

    outcomes = _watch(here, tmp_path, on_checkpoint=restart, **SHORT)

    assert outcomes["message-failures"].status is Status.ERROR
    assert "reset" in outcomes["outbound-sent"].reason or "lost a series" in outcomes["outbound-sent"].reason


def test_an_hour_without_traffic_is_inconclusive(here: World, tmp_path: Path) -> None:
    outcomes = _watch(here, tmp_path, recipients=(), plan=Plan(), **SHORT)

    for name in ("message-failures", "outbound-sent", "inbound-seen", "inbound-latency"):
        assert outcomes[name].status is Status.INCONCLUSIVE


def test_behind_a_real_provider_the_watch_lasts_its_minutes_and_says_what_it_cannot_see(
    here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    target = replace(here.target, evolution_url="", control_token="")
    journal = Journal.create(tmp_path / "journal.jsonl", release={"name": "test"})

    plan = Plan(sends=600, recipients=RECIPIENTS)
    outcomes = {one.id: one for one in run(target, RealPace(), journal=journal, minutes=4, plan=plan)}

    minutes = [seconds for seconds in slept if seconds > 1]
    assert len(minutes) == 4
    assert 230 < minutes[-1] <= 240
    assert outcomes["watch.cross-tenant"].status is Status.SKIP
    assert outcomes["watch.message-failures"].status is Status.PASS
    assert outcomes["watch.inbound-seen"].status is Status.INCONCLUSIVE


@pytest.mark.parametrize("broken", ["login", "mapping", "unit"])
def test_a_watch_that_cannot_run_is_an_error_under_every_id(here: World, tmp_path: Path, broken: str) -> None:
    options: dict[str, Any] = {}
    if broken == "login":
        here.backend.faults.answers = {"POST /admin/login": 401}
    elif broken == "mapping":
        options["mapping"] = tmp_path / "none.toml"
    else:
        here.backend.store.units.clear()

    outcomes = _watch(here, tmp_path, **options)

    assert {one.status for one in outcomes.values()} == {Status.ERROR}
    assert all(one.reason.startswith("the watch could not run") for one in outcomes.values())


def test_a_database_that_cannot_be_reached_is_an_error_and_sqlite_does_not_apply(here: World, tmp_path: Path) -> None:
    lost = _watch(here, tmp_path, database_url="postgresql://nobody:hunter22@127.0.0.1:9/none", **SHORT)["database-locks"]
    assert lost.status is Status.ERROR
    assert "hunter22" not in lost.reason

    (tmp_path / "journal.jsonl").unlink()
    assert _watch(here, tmp_path, database_url="sqlite://", **SHORT)["database-locks"].status is Status.SKIP
