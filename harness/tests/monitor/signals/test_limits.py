"""Every signal at every border of its row in the specification's table."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from harness.monitor.assess import Assessment, Level, Sample, Series
from harness.monitor.sources import load_mapping
from harness.monitor.watch import CHECKPOINTS, signals

ELSEWHERE = {
    "down", "log_leaks", "log_lines", "cross_tenant", "sends_in_ledger", "lock_waits", "connections_used", "status_unseen_min",
}  # fmt: skip
OK, WARNING, CRITICAL, LITTLE, MISSING = Level
FINE = dict.fromkeys(
    (
        "down", "http_5xx", "auth_refused", "unknown_instance", "log_leaks", "cross_tenant", "retries", "messages_failed",
        "queue_age_s", "stuck_campaigns", "lock_waits", "connections_used", "connection_flaps", "http_429", "provider_429",
        "status_unseen_min",
    ),
    0.0,
) | {"http_requests": 1000.0, "log_lines": 100.0, "sends_in_ledger": 100.0, "messages_tried": 200.0, "inbound_seen": 9.0, "outbound_sent": 9.0}  # fmt: skip  # noqa: E501


def _assess(name: str, *rows: Mapping[str, float], buckets: Mapping[str, Mapping[float, float]] | None = None) -> Assessment:
    samples = tuple(
        Sample(minute=60 - len(rows) + 1 + index, values={**FINE, **row}, buckets=buckets or {}) for index, row in enumerate(rows)
    )
    found = next(item for item in signals() if item.id == f"watch.{name}")(Series(samples=samples, at_end=True))
    assert isinstance(found, Assessment)
    return found


def test_every_signal_is_well_formed_and_reads_what_some_source_gives() -> None:
    known = set(load_mapping()) | ELSEWHERE
    items = signals()
    assert len(items) == 17
    for item in items:
        assert item.id.startswith("watch.")
        assert item.title
        assert item.paragraphs["Why"]
        assert item.paragraphs["Fix"]
        assert item.options["kind"] in {"rate", "count", "gauge", "quantile"}
        assert item.options["first"] in CHECKPOINTS
        assert set(item.options["reads"]) <= known
    assert {name for item in items for name in item.options["reads"]} == known


@pytest.mark.parametrize(
    ("signal", "name", "ok", "warning", "critical"),
    [
        ("http-5xx", "http_5xx", 5, 6, 16),
        ("auth-refused", "auth_refused", 19, 20, 51),
        ("unknown-instance", "unknown_instance", 2, 3, 6),
        ("retries", "retries", 10, 11, 31),
        ("stuck-campaigns", "stuck_campaigns", 0, 1, 3),
        ("database-locks", "lock_waits", 0, 1, 4),
        ("database-locks", "connections_used", 0.69, 0.70, 0.90),
        ("connection-flaps", "connection_flaps", 1, 2, 4),
        ("too-many-requests", "http_429", 5, 6, 21),
        ("too-many-requests", "provider_429", 5, 6, 21),
    ],
)
def test_a_count_changes_its_level_at_the_borders_of_the_table(
    signal: str, name: str, ok: float, warning: float, critical: float
) -> None:
    assert _assess(signal, {name: ok}).level is OK
    assert _assess(signal, {name: warning}).level is WARNING
    assert _assess(signal, {name: critical}).level is CRITICAL
    assert _assess(signal, {name: critical}).reason


@pytest.mark.parametrize(("warning_top", "signal", "name"), [(15, "http-5xx", "http_5xx"), (50, "auth-refused", "auth_refused")])
def test_the_top_of_the_warning_band_is_still_a_warning(warning_top: int, signal: str, name: str) -> None:
    assert _assess(signal, {name: warning_top, "http_requests": 10_000}).level is WARNING


def test_one_percent_of_server_errors_is_critical_although_they_are_few() -> None:
    found = _assess("http-5xx", {"http_5xx": 3, "http_requests": 300})
    assert found.level is CRITICAL
    assert "3 of 300 = 1.0% ≥ 1% of requests" in found.reason
    assert _assess("http-5xx", {"http_5xx": 2, "http_requests": 300}).level is OK
    assert _assess("http-5xx", {"http_5xx": 1, "http_requests": 50}).level is OK


@pytest.mark.parametrize(("signal", "name"), [("unmasked-output", "log_leaks"), ("cross-tenant", "cross_tenant")])
def test_a_single_leak_rolls_back(signal: str, name: str) -> None:
    assert _assess(signal, {}).level is OK
    found = _assess(signal, {name: 1})
    assert found.level is CRITICAL
    assert found.roll_back


def test_no_leak_in_no_lines_proves_nothing() -> None:
    assert _assess("unmasked-output", {"log_lines": 0}).level is LITTLE
    assert _assess("cross-tenant", {"sends_in_ledger": 0}).level is LITTLE


@pytest.mark.parametrize(
    ("minutes_down", "level", "roll_back"), [(0, OK, False), (1, WARNING, False), (3, CRITICAL, False), (6, CRITICAL, True)]
)
def test_being_down_gets_worse_by_the_minute(minutes_down: int, level: Level, roll_back: bool) -> None:
    found = _assess("health", *[{"down": 0.0}] * 3, *[{"down": 1.0}] * minutes_down)
    assert (found.level, found.roll_back) == (level, roll_back)


def test_five_minutes_down_are_not_yet_more_than_five() -> None:
    assert not _assess("health", *[{"down": 1.0}] * 5).roll_back


@pytest.mark.parametrize(("minutes", "level"), [(0, OK), (1, WARNING), (2, WARNING), (3, CRITICAL)])
def test_an_old_queue_is_judged_by_how_long_it_stays_old(minutes: int, level: Level) -> None:
    assert _assess("queue-age", {"queue_age_s": 600.0}, *[{"queue_age_s": 601.0}] * minutes).level is level


@pytest.mark.parametrize(
    ("failed", "tried", "level"), [(0, 200, OK), (2, 200, OK), (12, 200, WARNING), (40, 200, CRITICAL), (0, 20, LITTLE)]
)
def test_message_failures_are_judged_by_the_rule_and_the_limits(failed: float, tried: float, level: Level) -> None:
    assert _assess("message-failures", {"messages_failed": failed, "messages_tried": tried}).level is level


def test_a_collapse_of_sending_rolls_back_before_the_rule_has_its_sample() -> None:
    found = _assess("message-failures", {"messages_failed": 4.0, "messages_tried": 6.0})
    assert found.roll_back
    assert "4 of 6 failed in 5 minutes" in found.reason


def test_a_rate_worse_than_the_unacceptable_one_rolls_back_by_the_rule() -> None:
    found = _assess("message-failures", {"messages_failed": 30.0, "messages_tried": 150.0})
    assert found.roll_back
    assert "E_harm" in found.reason


@pytest.mark.parametrize("signal", ["inbound-seen", "outbound-sent"])
def test_no_traffic_is_too_little_not_a_failure(signal: str) -> None:
    name = signal.replace("-", "_")
    assert _assess(signal, {name: 1}).level is OK
    assert _assess(signal, {name: 0}).level is LITTLE


@pytest.mark.parametrize(
    ("signal", "bound", "level"),
    [
        ("inbound-latency", 1.9, OK),
        ("inbound-latency", 3.9, WARNING),
        ("inbound-latency", 4.5, CRITICAL),
        ("status-latency", 4.9, OK),
        ("status-latency", 9.9, WARNING),
        ("status-latency", 11.0, CRITICAL),
    ],
)
def test_a_latency_is_judged_by_its_quantile(signal: str, bound: float, level: Level) -> None:
    buckets = {signal.replace("-", "_"): {bound - 0.1: 0.0, bound: 100.0, float("inf"): 100.0}}
    assert _assess(signal, {}, buckets=buckets).level is level


def test_a_latency_beyond_the_last_bucket_is_critical() -> None:
    found = _assess("inbound-latency", {}, buckets={"inbound_latency": {1.0: 10.0, float("inf"): 100.0}})
    assert found.level is CRITICAL
    assert "> 1 s" in found.reason


def test_too_few_observations_are_no_quantile() -> None:
    assert _assess("inbound-latency", {}, buckets={"inbound_latency": {1.0: 19.0, float("inf"): 19.0}}).level is LITTLE
    assert _assess("status-latency", {}, buckets={"status_latency": {1.0: 0.0, float("inf"): 0.0}}).level is LITTLE


def test_a_status_that_never_updates_rolls_back() -> None:
    buckets = {"status_latency": {1.0: 5.0, float("inf"): 5.0}}
    assert not _assess("status-latency", {"status_unseen_min": 5}, buckets=buckets).roll_back
    assert _assess("status-latency", {"status_unseen_min": 6}, buckets=buckets).roll_back
    assert _assess("status-latency", {"status_unseen_min": 6}).roll_back


@pytest.mark.parametrize("item", [item.id for item in signals()])
def test_a_missing_reading_is_never_taken_for_zero(item: str) -> None:
    found = next(one for one in signals() if one.id == item)(Series(samples=(Sample(minute=60),), at_end=True))
    assert found.level is MISSING
    assert found.reason
