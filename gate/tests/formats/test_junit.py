"""The XML is well formed, of the usual shape, and never greener than the verdict."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from gate.errors import UsageError
from gate.formats import names, render
from gate.model import Decision, Status
from gate.tests.outcomes import MIXED, outcome, verdict

SUITE_ATTRIBUTES = {"name", "package", "id", "hostname", "timestamp", "tests", "failures", "errors", "skipped", "time"}
ORDER = ["properties", "testcase", "system-out", "system-err"]


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def cases(root: ElementTree.Element) -> dict[str, list[str]]:
    return {case.get("name", ""): [child.tag for child in case] for case in root.iter("testcase")}


def test_it_has_the_shape_that_ci_systems_read() -> None:
    root = parsed(render("junit", MIXED, verdict(*MIXED)))
    assert root.tag == "testsuites"
    for suite in root:
        assert suite.tag == "testsuite"
        assert set(suite.attrib) == SUITE_ATTRIBUTES
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
        tags = [child.tag for child in suite]
        assert tags == sorted(tags, key=ORDER.index)
        assert {"properties", "system-out", "system-err"} <= set(tags)
        for case in suite.findall("testcase"):
            assert set(case.attrib) == {"name", "classname", "time"}
            assert float(case.attrib["time"]) >= 0
    assert [suite.get("id") for suite in root] == [str(number) for number in range(len(root))]


def test_statuses_are_mapped() -> None:
    assert cases(parsed(render("junit", MIXED, verdict(*MIXED)))) == {
        "schema.messages-retry-count": ["failure"],
        "schema.messages-error-details": [],
        "datastore.upsert": ["error"],
        "flow.campaign-paced": ["error"],
        "migration.verifies-itself": ["skipped"],
        "config.environment": [],
    }


def test_counts_are_those_of_the_cases() -> None:
    root = parsed(render("junit", MIXED, verdict(*MIXED)))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("6", "1", "2")
    for suite in root:
        assert suite.get("tests") == str(len(suite.findall("testcase")))
        assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))


def test_text_that_xml_cannot_hold_is_shown_as_an_escape() -> None:
    text = render("junit", [outcome("a.b", Status.FAIL, MIXED[5].reason)], verdict(MIXED[5]))
    failure = parsed(text).find(".//failure")
    assert failure is not None
    assert failure.get("message") == "bad\\x1b[31m\\x00 <b>&\"' \\ud800 ]]> \\ufffe"
    text.encode("utf-8")


def test_a_warning_is_told_in_the_output() -> None:
    out = parsed(render("junit", MIXED, verdict(*MIXED))).find("testsuite[@name='config']/system-out")
    assert out is not None
    assert (out.text or "").startswith("warn: config.environment: bad")


def test_what_was_never_answered_is_an_error_so_that_nothing_is_green() -> None:
    decided = verdict(outcome("a.b"), expected=frozenset({"smoke.login"}))
    assert decided.decision is Decision.HOLD
    assert cases(parsed(render("junit", [outcome("a.b")], decided))) == {"a.b": [], "smoke.login": ["error"]}
    nothing = parsed(render("junit", [], verdict()))
    assert nothing.get("errors") != "0"


def test_the_decision_is_a_property() -> None:
    root = parsed(render("junit", MIXED, verdict(*MIXED)))
    assert {item.get("name"): item.get("value") for item in root.iter("property")} == {
        "decision": "NO-GO",
        "policy": "test",
        "exit_status": "1",
    }


def test_a_format_that_does_not_exist_is_answered_with_the_nearest() -> None:
    assert names() == ("json", "junit")
    with pytest.raises(UsageError, match="no format 'jnuit'; did you mean 'junit'"):
        render("jnuit", MIXED, verdict(*MIXED))
