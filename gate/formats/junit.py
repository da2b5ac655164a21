"""JUnit XML for CI, as `junit.xsd` beside this file describes it: a test suite for each family, a test case for each id.

What blocks is a `failure`; what was not answered, or not well enough, is an `error`; what a named person answers for, and what
may not apply, is `skipped`; the rest is green and told in the suite's output. The suite `verdict` has a test case for the
decision itself, so that no document is greener than the verdict: a run that answered nothing is red.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree

from gate.model import Decision, Outcome, Status
from gate.result import Answer, Result, Standing
from gate.text import printable, shortened

__all__ = ["render"]

_LONGEST = 20_000
_DECISIONS = {Decision.NO_GO: "failure", Decision.HOLD: "error"}


def render(result: Result) -> str:
    """A whole document with its declaration."""
    answers = sorted(result.answers(), key=lambda answer: answer.id)
    families: dict[str, list[tuple[Answer, Outcome]]] = {}
    for answer in answers:
        if answer.outcome is not None:
            families.setdefault(answer.id.partition(".")[0], []).append((answer, answer.outcome))
    root = ElementTree.Element("testsuites", name="release gate")
    for number, (family, members) in enumerate(families.items()):
        root.append(_suite(number, family, members))
    never = [answer for answer in answers if answer.outcome is None]
    root.append(_verdict_suite(len(families), result, never))
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("time", f"{sum(outcome.duration_s for outcome in result.outcomes):.3f}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _element(answer: Answer, status: Status | None) -> str:
    if answer.standing is Standing.BLOCKING:
        return "failure"
    if answer.standing is Standing.UNANSWERED:
        return "error"
    if answer.standing is Standing.WAIVED or status is Status.SKIP:
        return "skipped"
    return ""


def _suite(number: int, family: str, members: Sequence[tuple[Answer, Outcome]]) -> ElementTree.Element:
    suite = _empty_suite(number, family, at=min(outcome.observed_at for _, outcome in members))
    output = []
    for answer, outcome in members:
        case = ElementTree.SubElement(
            suite, "testcase", name=outcome.id, classname=f"gate.{family}", time=f"{outcome.duration_s:.3f}"
        )
        kind = _element(answer, outcome.status)
        if kind:
            element = ElementTree.SubElement(case, kind, message=_text(answer.why))
            if kind != "skipped":
                element.set("type", str(outcome.status))
                element.text = "\n".join(_text(line) for line in (outcome.title, *map(str, outcome.evidence)) if line)
        elif answer.standing is Standing.NOTED:
            output.append(f"noted: {outcome.id}: {answer.why}")
        else:
            output += [f"{outcome.id}: {item}" for item in outcome.evidence]
        if answer.delta is not None:
            output.append(f"{answer.delta.change}: {outcome.id}")
    return _closed(suite, output, sum(outcome.duration_s for _, outcome in members))


def _verdict_suite(number: int, result: Result, never: Sequence[Answer]) -> ElementTree.Element:
    verdict = result.verdict
    at = max((outcome.observed_at for outcome in result.outcomes), default=datetime.fromtimestamp(0, UTC))
    suite = _empty_suite(number, "verdict", at=at)
    properties = suite.find("properties")
    assert properties is not None  # noqa: S101 – made three lines above
    for name in ("decision", "policy", "exit_status"):
        ElementTree.SubElement(properties, "property", name=name, value=_text(str(getattr(verdict, name))))
    decided = ElementTree.SubElement(suite, "testcase", name="verdict", classname="gate.verdict", time="0.000")
    if verdict.decision in _DECISIONS:
        element = ElementTree.SubElement(decided, _DECISIONS[verdict.decision], message=_text(result.headline()))
        element.set("type", str(verdict.decision))
    for answer in never:
        case = ElementTree.SubElement(suite, "testcase", name=_text(answer.id), classname="gate.verdict", time="0.000")
        kind = _element(answer, None)
        if kind:
            element = ElementTree.SubElement(case, kind, message=_text(answer.why))
            if kind != "skipped":
                element.set("type", str(answer.standing))
    findings = [f"{kind}: {finding.id}: {finding.why}" for kind in ("blocking", "unanswered", "waived", "noted")
                for finding in getattr(verdict, kind)]  # fmt: skip
    changes = [result.difference.headline()] if result.difference else []
    return _closed(suite, [str(verdict.decision), *findings, *changes], 0.0)


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
    # One line: who prints the file in a log must not print a line that its reader takes for an order. What is printable is also
    # what XML can hold.
    return shortened(printable(text), _LONGEST)
