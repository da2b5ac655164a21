"""The XML is well formed, of the usual shape, and never greener than the verdict."""

from __future__ import annotations

from datetime import date
from importlib import resources
from xml.etree import ElementTree

import pytest
import xmlschema

from gate.errors import UsageError
from gate.formats import names, render
from gate.judge import judge
from gate.model import Decision, Status
from gate.policy import Policy, Waiver
from gate.result import Result
from gate.tests.outcomes import MIXED, outcome, result

SCHEMA = xmlschema.XMLSchema(str(resources.files("gate.formats").joinpath("junit.xsd")))


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def cases(root: ElementTree.Element) -> dict[str, list[str]]:
    return {case.get("name", ""): [child.tag for child in case] for case in root.iter("testcase")}


def test_it_is_valid_by_the_schema_beside_it() -> None:
    for outcomes in (MIXED, (), (outcome("a.b"),)):
        text = render("junit", result(*outcomes))
        SCHEMA.validate(text)
        assert [suite.get("id") for suite in parsed(text)] == [str(number) for number in range(len(parsed(text)))]


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ('errors="4"', 'errors="-1"'),
        (" message=", " text="),
        ('timestamp="2026-01-22T10:00:00"', 'timestamp="2026-01-22T10:00:00+00:00"'),
        (' classname="gate.flow"', ""),
        ("<system-err />", ""),
        ('id="1"', 'id="0"'),
    ],
)
def test_the_schema_would_notice_a_difference(there: str, instead: str) -> None:
    text = render("junit", result(*MIXED))
    assert there in text
    assert not SCHEMA.is_valid(text.replace(there, instead))


def test_standings_are_mapped_so_that_what_holds_the_release_is_never_green() -> None:
    assert cases(parsed(render("junit", result(*MIXED)))) == {
        "schema.messages-retry-count": ["failure"],
        "schema.messages-error-details": [],
        "datastore.upsert": ["error"],
        "flow.campaign-paced": ["error"],
        # The policy allows no skip and no warning here.
        "migration.verifies-itself": ["error"],
        "config.environment": ["error"],
        "verdict": ["failure"],
    }


def test_what_is_waived_advisory_or_may_not_apply_is_not_red() -> None:
    today = date(2026, 1, 22)
    waiver = Waiver(id="schema.b", owner="Ana", reason="known", ticket="T-1", expires=today)
    policy = Policy(name="test", may_skip=("schema.c",), advisory=("load.*",), waivers=(waiver,))
    outcomes = (
        outcome("schema.a"),
        outcome("schema.b", Status.FAIL),
        outcome("schema.c", Status.SKIP),
        outcome("load.latency", Status.FAIL),
    )
    text = render("junit", Result(outcomes=outcomes, verdict=judge(outcomes, policy, today)))
    SCHEMA.validate(text)
    assert cases(parsed(text)) == {
        "schema.a": [],
        "schema.b": ["skipped"],
        "schema.c": ["skipped"],
        "load.latency": [],
        "verdict": [],
    }
    assert "waived by Ana" in text


def test_counts_are_those_of_the_cases() -> None:
    root = parsed(render("junit", result(*MIXED)))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "2", "4")
    for suite in root:
        assert suite.get("tests") == str(len(suite.findall("testcase")))
        assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))


def test_text_that_xml_cannot_hold_is_shown_as_an_escape() -> None:
    text = render("junit", result(outcome("a.b", Status.FAIL, MIXED[5].reason)))
    failure = parsed(text).find(".//failure")
    assert failure is not None
    assert failure.get("message") == "fail: bad\\x1b[31m\\x00 <b>&\"' \\ud800 ]]> \\ufffe"
    SCHEMA.validate(text)
    text.encode("utf-8")


def test_a_warning_that_does_not_hold_is_told_in_the_output() -> None:
    outcomes = (outcome("a.b"), outcome("a.c", Status.WARN))
    verdict = judge(outcomes, Policy(name="test", hold_at_warnings=2), date(2026, 1, 22))
    out = parsed(render("junit", Result(outcomes=outcomes, verdict=verdict))).find("testsuite[@name='a']/system-out")
    assert out is not None
    assert "noted: a.c: warn: a.c is warn" in (out.text or "")


def test_what_was_never_answered_is_an_error_so_that_nothing_is_green() -> None:
    decided = result(outcome("a.b"), expected=frozenset({"smoke.login"}))
    assert decided.verdict.decision is Decision.HOLD
    assert cases(parsed(render("junit", decided))) == {"a.b": [], "verdict": ["error"], "smoke.login": ["error"]}
    nothing = parsed(render("junit", result()))
    assert nothing.get("errors") != "0"


def test_the_decision_is_a_property() -> None:
    root = parsed(render("junit", result(*MIXED)))
    assert {item.get("name"): item.get("value") for item in root.iter("property")} == {
        "decision": "NO-GO",
        "policy": "test",
        "exit_status": "1",
    }


def test_a_format_that_does_not_exist_is_answered_with_the_nearest() -> None:
    assert names() == ("github", "github-summary", "gitlab", "json", "junit", "sarif", "tap", "text")
    with pytest.raises(UsageError, match="no format 'jnuit'; did you mean 'junit'"):
        render("jnuit", result(*MIXED))
