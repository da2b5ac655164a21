"""The TAP can be read by any reader of version 14, and counts as not ok what keeps the release from GO."""

from __future__ import annotations

import json
import re
from datetime import date

from gate.formats import render
from gate.judge import judge
from gate.model import Status
from gate.policy import Policy, Waiver
from gate.result import Result
from gate.tests.outcomes import MIXED, outcome, result

POINT = re.compile(r"(?P<ok>ok|not ok) (?P<number>\d+) - (?P<name>(?:[^\\#]|\\.)*?)(?: # (?P<directive>TODO|SKIP) ?(?P<why>.*))?")


def points(text: str) -> dict[str, tuple[str, str, dict[str, object]]]:
    """Every test point: whether it is ok, its directive, and its YAML block."""
    lines = text.splitlines()
    assert lines[0] == "TAP version 14"
    assert re.fullmatch(r"1\.\.\d+", lines[1])
    found: dict[str, tuple[str, str, dict[str, object]]] = {}
    numbers = []
    block: dict[str, object] | None = None
    last = ""
    for line in lines[2:]:
        if line == "  ---":
            block = {}
        elif line == "  ...":
            assert block
            found[last] = (*found[last][:2], block)
            block = None
        elif block is not None:
            key, value = re.fullmatch(r"  (\w+): (.+)", line).groups()  # type: ignore[union-attr]
            block[key] = json.loads(value)
        else:
            point = POINT.fullmatch(line)
            assert point is not None, line
            numbers.append(int(point["number"]))
            last = re.sub(r"\\(.)", r"\1", point["name"])
            found[last] = (point["ok"], point["directive"] or "", {})
    assert numbers == list(range(1, int(lines[1][3:]) + 1))
    return found


def test_it_counts_as_not_ok_what_keeps_the_release_from_go() -> None:
    found = points(render("tap", result(*MIXED)))
    assert {name: item[:2] for name, item in found.items()} == {
        "schema.messages-retry-count": ("not ok", ""),
        "schema.messages-error-details": ("ok", ""),
        "datastore.upsert": ("not ok", ""),
        "flow.campaign-paced": ("not ok", ""),
        "migration.verifies-itself": ("not ok", ""),
        "config.environment": ("not ok", ""),
        "verdict NO-GO": ("not ok", ""),
    }
    details = found["schema.messages-retry-count"][2]
    assert details["message"] == "fail: messages.retry_count is text, expected integer"
    assert details["evidence"] == ["seen: 1"]
    assert details["duration_ms"] == 250.0


def test_what_does_not_stop_the_release_carries_a_directive_that_readers_do_not_count() -> None:
    today = date(2026, 1, 22)
    waiver = Waiver(id="schema.b", owner="Ana", reason="known #1", ticket="T-1", expires=today)
    policy = Policy(name="p", may_skip=("schema.c",), advisory=("load.*",), waivers=(waiver,))
    outcomes = (
        outcome("schema.a"),
        outcome("schema.b", Status.FAIL),
        outcome("schema.c", Status.SKIP),
        outcome("load.x", Status.ERROR),
    )
    found = points(render("tap", Result(outcomes=outcomes, verdict=judge(outcomes, policy, today))))
    assert {name: item[:2] for name, item in found.items()} == {
        "schema.a": ("ok", ""),
        "schema.b": ("not ok", "TODO"),
        "schema.c": ("ok", "SKIP"),
        "load.x": ("not ok", "TODO"),
        "verdict GO": ("ok", ""),
    }


def test_a_run_that_answered_nothing_is_not_ok() -> None:
    found = points(render("tap", result()))
    assert found["*"][0] == "not ok"
    assert found["verdict HOLD"][0] == "not ok"


def test_a_reason_cannot_add_a_directive_of_its_own() -> None:
    outcomes = (
        outcome("schema.a"),
        outcome("load.x", Status.FAIL, "x # SKIP y\\# TODO"),
        outcome("load.y", Status.SKIP, "a # TODO"),
    )
    verdict = judge(outcomes, Policy(name="p", advisory=("load.x",), may_skip=("load.y",)), date(2026, 1, 22))
    lines = [line for line in render("tap", Result(outcomes=outcomes, verdict=verdict)).splitlines() if " - load." in line]
    assert [re.findall(r"(?<!\\)(?:\\\\)*#", line) for line in lines] == [["#"], ["#"]]
    assert [line.split(" # ")[1].split()[0] for line in lines] == ["TODO", "SKIP"]
