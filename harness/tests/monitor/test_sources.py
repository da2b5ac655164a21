from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.monitor.leaks import LeakDetector
from harness.monitor.sources import HealthSource, LogSource, MetricsSource, load_mapping
from harness.smoke.session import Session
from harness.tests.monitor.backend import METRICS, World, world


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as running:
        yield running


@pytest.fixture
def source(here: World) -> Iterator[MetricsSource]:
    with Session(here.target) as session:
        session.request("GET", "/health")
        metrics = MetricsSource(session, load_mapping(), token=METRICS)
        metrics.begin()
        yield metrics


def test_counters_are_counted_from_the_beginning(here: World, source: MetricsSource) -> None:
    here.backend.counts["retries"] += 4
    here.backend.counts["http 503"] += 2
    here.backend.counts["inbound"] += 7

    readings = source.read()

    assert readings.errors == {}
    assert readings.values["retries"] == 4
    assert readings.values["http_5xx"] == 2
    assert readings.values["http_429"] == 0
    assert readings.buckets["inbound_latency"][2.0] == 7


def test_a_name_that_is_not_there_is_an_error_that_names_it(here: World, source: MetricsSource) -> None:
    here.backend.faults.lost_metric = "message_retries_total"

    readings = source.read()

    assert "message_retries_total" in readings.errors["retries"]
    assert "retries" not in readings.values
    assert "http_requests" in readings.values


@pytest.mark.parametrize("name", ["accepted", "inbound"])
def test_a_counter_that_falls_is_an_error_from_then_on(here: World, source: MetricsSource, name: str) -> None:
    here.backend.counts[name] += 5
    source.read()
    here.backend.counts[name] = 1
    reading = {"accepted": "messages_tried", "inbound": "inbound_latency"}[name]

    assert "was reset, from 5 to 1" in source.read().errors[reading]
    here.backend.counts[name] = 50
    assert reading in source.read().errors


def test_a_series_that_disappears_is_a_restart(here: World, source: MetricsSource) -> None:
    here.backend.counts["http 503"] += 1
    source.read()
    del here.backend.counts["http 503"]

    assert "lost a series" in source.read().errors["http_5xx"]


def test_metrics_that_stand_still_under_traffic_are_stale(here: World, source: MetricsSource) -> None:
    here.backend.faults.frozen_metrics = True
    source.read()
    for _ in range(3):
        here.backend.counts["http 200"] += 1
        readings = source.read()

    assert set(readings.errors) == set(load_mapping())
    assert "stale" in readings.errors["retries"]


def test_metrics_may_stand_still_without_traffic(source: MetricsSource) -> None:
    for _ in range(6):
        readings = source.read(active=False)
    assert readings.errors == {}


def test_metrics_behind_a_wrong_token_or_of_a_dead_backend_are_errors(here: World) -> None:
    with Session(here.target) as session:
        refused = MetricsSource(session, load_mapping(), token="wrong-token")
        with pytest.raises(HarnessError, match="answered 401"):
            refused.begin()
        here.backend.faults.down = True
        readings = MetricsSource(session, load_mapping(), token=METRICS).read()
    assert readings.values == {}
    assert all("no answer" in why for why in readings.errors.values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "queue_oldest_age_seconds not-a-number\n",
        "queue_oldest_age_seconds NaN\n",
        "inbound_latency_seconds_bucket 1\n",
    ],
)
def test_what_is_no_exposition_gives_no_value(here: World, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(here.backend, "metrics", lambda: text)
    with Session(here.target) as session:
        readings = MetricsSource(session, load_mapping(), token=METRICS).read()
    assert readings.values == {}
    assert set(readings.errors) == set(load_mapping())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a]\nkind = 'counter'", "needs a metric"),
        ("[a]\nmetric = 'm'\nkind = 'count'", "kind is one of"),
        ("[a]\nmetric = 'm'\nkind = 'gauge'\nwhere = { x = '(' }", "not a regular expression"),
        ("[a]\nmetric = 'm'\nkind = 'gauge'\nlables = {}", "nothing else"),
        ("a = [", "cannot be read"),
    ],
)
def test_a_mapping_that_is_not_understood_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "metrics.toml"
    path.write_text(text)
    with pytest.raises(HarnessError, match=told):
        load_mapping(path)


def _log(tmp_path: Path) -> tuple[Path, LogSource]:
    path = tmp_path / "backend.log"
    path.write_text('{"message": "5511987654321 from before"}\n')
    log = LogSource(path, LeakDetector(phones=["5511987654321"]))
    log.begin()
    return path, log


def test_a_log_is_read_from_where_the_watch_began(tmp_path: Path) -> None:
    path, log = _log(tmp_path)
    with path.open("a") as file:
        file.write('{"message": "fine"}\n{"message": "to 5511987654321"}\n{"message": "half of a li')

    assert log.read().values == {"log_lines": 2, "log_leaks": 1}
    assert "a known phone number" in log.rules

    with path.open("a") as file:
        file.write('ne"}\n')
    assert log.read().values == {"log_lines": 3, "log_leaks": 1}


@pytest.mark.parametrize("how", ["cut", "rotated", "gone"])
def test_a_log_that_was_cut_rotated_or_removed_is_an_error(tmp_path: Path, how: str) -> None:
    path, log = _log(tmp_path)
    if how == "cut":
        path.write_text("")
    else:
        path.rename(tmp_path / "old.log")
        if how == "rotated":
            path.write_text('{"message": "a new file that is quite a bit longer than the old one was before"}\n')

    for _ in range(2):
        readings = log.read()
        assert readings.values == {}
        assert set(readings.errors) == {"log_lines", "log_leaks"}
        assert str(tmp_path) not in str(readings.errors)


def test_a_log_that_stands_still_under_traffic_is_stale(tmp_path: Path) -> None:
    _, log = _log(tmp_path)
    assert [bool(log.read(active=active).errors) for active in (False, False, True, True, True)] == [False] * 4 + [True]


def test_a_log_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for path in (None, tmp_path / "none.log"):
        with pytest.raises(HarnessError, match="cannot be read"):
            LogSource(path, LeakDetector()).begin()


def test_a_backend_that_does_not_answer_or_is_not_ok_is_down(here: World) -> None:
    with Session(here.target) as session:
        health = HealthSource(session)
        assert health.read().values == {"down": 0}
        here.backend.faults.answers = {"GET /health": 503}
        assert health.read().values == {"down": 1}
        here.backend.faults.down = True
        assert health.read().values == {"down": 1}
