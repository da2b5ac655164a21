"""JUnit XML for CI: a test suite for each family, a test case for each id.

A failure is a `failure`; what could not be looked at, or saw too little, is an `error`; what does not apply is `skipped`. A
warning is told in the suite's output, because the format has no word for it. What the verdict misses without any outcome is an
`error` too, so that a run that answered nothing is never green.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree

from gate.model import Outcome, Status, Verdict

__all__ = ["render"]

# What XML 1.0 cannot hold, even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {Status.FAIL: "failure", Status.ERROR: "error", Status.INCONCLUSIVE: "error", Status.SKIP: "skipped"}


def render(outcomes: Sequence[Outcome], verdict: Verdict) -> str:
    """A whole document with its declaration."""
    families: dict[str, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: outcome.id):
        families.setdefault(outcome.id.partition(".")[0], []).append(outcome)
    root = ElementTree.Element("testsuites", name="release gate")
    for number, (family, members) in enumerate(families.items()):
        root.append(_suite(number, family, members))
    answered = {outcome.id for outcome in outcomes}
    unanswered = [finding for finding in verdict.unanswered if finding.id not in answered]
    root.append(_verdict_suite(len(families), verdict, [(finding.id, finding.why) for finding in unanswered], outcomes))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("time", f"{sum(outcome.duration_s for outcome in outcomes):.3f}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(number: int, family: str, members: Sequence[Outcome]) -> ElementTree.Element:
    suite = _empty_suite(number, family, at=min(outcome.observed_at for outcome in members))
    for outcome in members:
        case = ElementTree.SubElement(
            suite, "testcase", name=outcome.id, classname=f"gate.{family}", time=f"{outcome.duration_s:.3f}"
        )
        if outcome.status in _ELEMENTS:
            element = ElementTree.SubElement(case, _ELEMENTS[outcome.status], message=_text(outcome.reason))
            if outcome.status is not Status.SKIP:
                element.set("type", str(outcome.status))
                element.text = "\n".join(_text(line) for line in (outcome.title, *map(str, outcome.evidence)) if line)
    warnings = [f"warn: {outcome.id}: {outcome.reason}" for outcome in members if outcome.status is Status.WARN]
    evidence = [f"{outcome.id}: {item}" for outcome in members if outcome.status is Status.PASS for item in outcome.evidence]
    return _closed(suite, [*warnings, *evidence], sum(outcome.duration_s for outcome in members))


def _verdict_suite(
    number: int, verdict: Verdict, unanswered: Sequence[tuple[str, str]], outcomes: Sequence[Outcome]
) -> ElementTree.Element:
    at = max((outcome.observed_at for outcome in outcomes), default=datetime.fromtimestamp(0, UTC))
    suite = _empty_suite(number, "verdict", at=at)
    properties = suite.find("properties")
    if properties is not None:
        for name in ("decision", "policy", "exit_status"):
            ElementTree.SubElement(properties, "property", name=name, value=_text(str(getattr(verdict, name))))
    for item, why in unanswered:
        case = ElementTree.SubElement(suite, "testcase", name=_text(item), classname="gate.verdict", time="0.000")
        ElementTree.SubElement(case, "error", message=_text(why), type="unanswered")
    findings = [f"{kind}: {finding.id}: {finding.why}" for kind in ("blocking", "unanswered", "waived", "noted")
                for finding in getattr(verdict, kind)]  # fmt: skip
    return _closed(suite, [str(verdict.decision), *findings], 0.0)


def _empty_suite(number: int, name: str, *, at: datetime) -> ElementTree.Element:
    suite = ElementTree.Element(
        "testsuite",
        name=name,
        package="gate",
        id=str(number),
        # The format wants a host; where the run was is nobody's business who reads the result.
        hostname="localhost",
        timestamp=at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
    )
    ElementTree.SubElement(suite, "properties")
    return suite


def _closed(suite: ElementTree.Element, output: Sequence[str], seconds: float) -> ElementTree.Element:
    for name, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{element}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("time", f"{seconds:.3f}")
    ElementTree.SubElement(suite, "system-out").text = "\n".join(_text(line) for line in output)
    ElementTree.SubElement(suite, "system-err")
    return suite


def _text(text: str) -> str:
    return _FORBIDDEN.sub(lambda found: found[0].encode("unicode_escape", "backslashreplace").decode(), text)
