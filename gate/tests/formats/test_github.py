"""Annotations keep GitHub's limits, the worst come first, and what was cut is said."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

from gate.difference import Side, compare
from gate.formats import render
from gate.formats.github import _command
from gate.formats.github_summary import SMALLEST_BYTES, within
from gate.judge import judge
from gate.model import Severity, Status
from gate.policy import Policy, Waiver
from gate.result import Result
from gate.tests.outcomes import MIXED, outcome, result

TODAY = date(2026, 1, 22)


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    found = []
    for line in text.splitlines():
        command = re.fullmatch(r"::(error|warning|notice) ([^:]*)::(.*)", line)
        assert command is not None
        properties = dict(item.split("=", 1) for item in command[2].split(","))
        found.append((command[1], properties, command[3].replace("%0A", "\n").replace("%25", "%")))
    return found


def test_the_verdict_comes_first_then_what_stops_the_release() -> None:
    found = commands(render("github", result(*MIXED)))
    assert found[0][:2] == ("error", {"title": "NO-GO"})
    assert found[0][2].endswith("1 of 6 passed, by the policy test (exit status 1)")
    assert [(kind, properties["title"]) for kind, properties, _ in found[1:3]] == [
        ("error", "schema.messages-retry-count"),
        ("error", "config.environment"),
    ]


def test_ten_of_a_kind_are_written_the_worst_first_and_the_rest_is_named() -> None:
    minor = [replace(outcome(f"schema.minor-{number:02}", Status.FAIL), severity=Severity.MINOR) for number in range(12)]
    worst = replace(outcome("schema.zz-critical", Status.FAIL), severity=Severity.CRITICAL)
    noted = [outcome(f"load.l-{number:02}", Status.FAIL) for number in range(13)]
    outcomes = (*minor, worst, *noted)
    verdict = judge(outcomes, Policy(name="p", advisory=("load.*",)), TODAY)
    found = commands(render("github", Result(outcomes=outcomes, verdict=verdict)))
    kinds = [kind for kind, _, _ in found]
    assert kinds == ["error"] * 10 + ["notice"] * 10
    assert found[1][1]["title"] == "schema.zz-critical"
    assert "4 more errors are not annotated: schema.minor-08, schema.minor-09, schema.minor-10, schema.minor-11" in found[0][2]
    assert "3 more notices are not annotated: load.l-10, load.l-11, load.l-12" in found[0][2]


def test_go_is_a_notice_and_a_waiver_a_warning() -> None:
    waiver = Waiver(id="schema.b", owner="Ana", reason="known", ticket="T-1", expires=TODAY)
    outcomes = (outcome("schema.a"), outcome("schema.b", Status.FAIL))
    verdict = judge(outcomes, Policy(name="p", waivers=(waiver,)), TODAY)
    found = commands(render("github", Result(outcomes=outcomes, verdict=verdict)))
    assert [(kind, properties["title"]) for kind, properties, _ in found] == [("notice", "GO"), ("warning", "schema.b")]


def test_one_cause_is_one_annotation_that_names_who_was_not_asked() -> None:
    down = outcome("schema.a", Status.ERROR, "cannot reach the database at db:5432")
    others = [
        replace(outcome(f"schema.n-{number:02}", Status.ERROR, "not asked, because of schema.a"), cause="schema.a")
        for number in range(40)
    ]
    text = render("github", result(down, *others))
    found = commands(text)
    assert [properties["title"] for _, properties, _ in found] == ["HOLD", "schema.a"]
    assert text.count("cannot reach the database") == 1
    assert "40 more were not asked for this cause: schema.n-00, " in found[1][2]


def test_a_file_and_line_that_the_reason_names_is_where_the_annotation_stands() -> None:
    found = commands(render("github", result(outcome("secrets.tracked", Status.FAIL, "app/settings.py:12 holds a key"))))
    assert found[1][1] == {"file": "app/settings.py", "line": "12", "title": "secrets.tracked"}


def test_a_host_and_port_or_a_path_outside_is_no_place() -> None:
    for reason in ("db.example.org:5432 is down", "../../etc/passwd.txt:1", "/etc/app/settings.py:3", "http://host.py:80/"):
        found = commands(render("github", result(outcome("a.b", Status.FAIL, reason))))
        assert set(found[1][1]) == {"title"}, reason


def test_the_summary_has_every_answer_with_its_fix_and_what_changed() -> None:
    before = Side(outcomes=(outcome("schema.messages-retry-count"),), name="run-1", decision="GO")
    text = render("github-summary", replace(result(*MIXED), difference=compare(before, Side(outcomes=MIXED))))
    assert text.startswith("## ❌ NO-GO\n")
    assert "against run\\-1 \\(GO\\)\\: 4 new" in text
    assert [line for line in text.splitlines() if line.startswith("### ")] == ["### Blocking", "### Unanswered", "### Passed"]
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == len(MIXED)
    assert rows[0].startswith("| schema\\.messages\\-retry\\-count <b>new</b> | major | fail\\: messages\\.retry\\_count is text")


def test_a_summary_beyond_the_limit_keeps_the_verdict_and_the_worst_and_says_how_many_were_cut() -> None:
    long = "ü" * 400
    outcomes = [outcome(f"schema.n-{number:04}", Status.FAIL, long) for number in range(2000)]
    outcomes += [outcome(f"schema.p-{number:04}") for number in range(100)]
    big = result(*outcomes)
    for limit in (SMALLEST_BYTES, 100_000, 1024 * 1024):
        text = within(big, limit)
        assert len(text.encode()) <= limit
        shown = sum(line.startswith("| ") for line in text.splitlines())
        assert 0 < shown < 2100
        assert f"**{2100 - shown} more are left out here**" in text
        assert "schema\\.n\\-0000" in text
    assert "left out" not in render("github-summary", result(*outcomes[:20]))


def test_a_title_cannot_end_its_command_or_add_a_property() -> None:
    assert _command("error", "a::b,file=c%\nd", ["x"]) == "::error title=a%3A%3Ab%2Cfile=c%25 d::x"


def test_who_was_not_asked_because_of_something_advisory_is_shown_for_itself() -> None:
    down = outcome("load.a", Status.ERROR, "cannot reach the backend")
    other = replace(outcome("schema.b", Status.ERROR, "not asked, because of load.a"), cause="load.a")
    verdict = judge((down, other), Policy(name="p", advisory=("load.*",)), TODAY)
    found = commands(render("github", Result(outcomes=(down, other), verdict=verdict)))
    assert ("error", "schema.b") in [(kind, properties["title"]) for kind, properties, _ in found]


def test_a_cause_is_as_bad_as_the_worst_that_it_kept_from_being_asked() -> None:
    cause = replace(outcome("schema.z", Status.ERROR, "cannot reach the database"), severity=Severity.MINOR)
    critical = replace(outcome("schema.b", Status.ERROR, "not asked"), severity=Severity.CRITICAL, cause="schema.z")
    others = [replace(outcome(f"flow.n-{number}", Status.ERROR), severity=Severity.MAJOR) for number in range(3)]
    found = commands(render("github", result(cause, critical, *others)))
    assert found[1][1]["title"] == "schema.z"
