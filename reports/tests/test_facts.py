from __future__ import annotations

from collections.abc import Callable

import pytest

from reports import facts
from reports.tests import runs


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (facts.environment, "environment"),
        (facts.package, "package"),
        (facts.migration, "migration"),
        (facts.steps, "smoke.steps"),
        (facts.steps, "rollback.steps"),
        (facts.scenario_steps, "scenario.steps"),
        (facts.load_summary, "load.summary"),
        (facts.load_series, "load.series"),
        (facts.checkpoints, "watch.checkpoints"),
        (facts.watch_series, "watch.series"),
        (facts.target, "target"),
        (facts.commands, "rollback.commands"),
        (facts.platforms, "rollback.platforms"),
        (facts.not_applicable, "not_applicable"),
        (facts.plan, "plan"),
    ],
)
def test_every_fact_of_a_full_run_is_understood(read: Callable[[object], object], name: str) -> None:
    assert read(runs.facts()[name])


@pytest.mark.parametrize(
    ("read", "value", "why"),
    [
        (facts.package, {"path": "a"}, "the list is dict, not a list"),
        (facts.package, ["a"], "an entry is str, not an object"),
        (facts.package, [{"path": "a", "sha256": "b"}], "bytes is missing"),
        (facts.package, [{"path": "", "sha256": "b", "bytes": 1}], "a file without path or sha256"),
        (facts.package, [{"path": "a", "sha256": "b", "bytes": True}], "bytes is bool, not a number"),
        (facts.package, [{"path": ["a"], "sha256": "b", "bytes": 1}], "path is list, not a text"),
        (facts.load_summary, {"requests": 10**400, "failures": 0}, "requests is out of range"),
        (facts.load_summary, {"requests": 1, "failures": float("nan")}, "failures is out of range"),
        (facts.load_series, [{"rps": 1}], "t_s is missing"),
        (facts.watch_series, {"a": [[1]]}, "a point of a is not [minute, value]"),
        (facts.watch_series, {"a": [[1, "x"]]}, "a is str, not a number"),
        (facts.checkpoints, [{"minute": 5, "signals": [{"id": "a", "limit": [1]}]}], "limit is list"),
        (facts.checkpoints, [{"minute": 5}], "the list is NoneType, not a list"),
        (facts.environment, [], "the fact is list, not an object"),
    ],
)
def test_a_fact_out_of_shape_says_what_is_wrong(read: Callable[[object], object], value: object, why: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        read(value)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("limit", "unit", "found"),
    [
        (5, "", (("5", 5.0),)),
        (5.5, "s", (("5.5 s", 5.5),)),
        ("<= 5", "", (("<= 5", 5.0),)),
        ("≤ 2", "", (("≤ 2", 2.0),)),
        ("< 5 %", "%", (("< 5 %", 5.0),)),
        ("< 5 %", "", ()),
        ("< 5", "%", ()),
        ("ok ≤ 5, critical > 15 an hour", "responses", (("ok ≤ 5", 5.0), ("critical > 15", 15.0))),
        ("ok ≤ 0, critical > 0 an hour", "lines", (("ok ≤ 0", 0.0),)),
        ("p95 ok < 2 s, critical ≥ 4 s", "s", (("ok < 2", 2.0), ("critical ≥ 4", 4.0))),
        ("over 600 s: ok 0 times in a row, critical > 2", "s", (("critical > 2", 2.0),)),
        ("none at all", "", ()),
        ("9" * 20, "", ()),
        ("1" * 300, "", ()),
        ({"ok": 5, "critical": "15"}, "", (("ok 5", 5.0), ("critical 15", 15.0))),
        (None, "", ()),
    ],
)
def test_limits_that_can_be_drawn_are_numbers_in_the_signals_own_unit(
    limit: object, unit: str, found: tuple[tuple[str, float], ...]
) -> None:
    (point,) = facts.checkpoints([{"minute": 5, "signals": [{"id": "watch.a", "unit": unit, "limit": limit}]}])
    assert point.signals[0].limits == found
    assert point.signals[0].id == "a"


@pytest.mark.parametrize(
    ("limit", "words"),
    [(None, ""), (5, "5 s"), ("at least 1", "at least 1"), ({"ok": 5, "critical": "15"}, "ok 5 s, critical 15")],
)
def test_a_limit_reads_as_it_was_written(limit: object, words: str) -> None:
    (point,) = facts.checkpoints([{"minute": 5, "signals": [{"id": "a", "unit": "s", "limit": limit}]}])
    assert point.signals[0].limit == words


def test_what_is_not_there_is_none_and_never_zero() -> None:
    (step,) = facts.steps([{"name": "a"}])
    assert step.duration_s is None
    (point,) = facts.load_series([{"t_s": 1}])
    assert (point.rps, point.p95_ms, point.failures) == (None, None, None)
    assert facts.watch_series({"watch.a": [[1, None], [0, 2]]}) == {"a": ((0.0, 2.0),)}
    assert facts.migration({"statements": [{"statement": "a"}, {"statement": "b", "duration_s": 1}]}).duration_s is None
    assert facts.migration({"statements": []}).duration_s is None


def test_points_and_checkpoints_are_put_in_order() -> None:
    assert [point.t_s for point in facts.load_series([{"t_s": 3}, {"t_s": 1}])] == [1, 3]
    found = facts.checkpoints([{"minute": 60, "signals": []}, {"minute": 5, "signals": []}])
    assert [point.minute for point in found] == [5, 60]


def test_the_latency_of_an_endpoint_may_stand_in_either_place() -> None:
    summary = facts.load_summary(
        {
            "requests": 1,
            "failures": 0,
            "latency_ms": {"p95": 3, "p99": None},
            "endpoints": [{"method": "GET", "path": "/a", "latency_ms": {"p95": 4}}, {"name": "b", "p95_ms": 5}],
        }
    )
    assert summary.latency_ms == (("p95", 3.0),)
    assert [(item.name, item.p95_ms) for item in summary.endpoints] == [("GET /a", 4.0), ("b", 5.0)]


def test_a_plan_shows_its_plain_entries() -> None:
    assert facts.plan({"traffic_per_hour": 600, "share": 0.25, "nested": {}}).entries == (
        ("traffic per hour", "600"),
        ("share", "0.25"),
    )
