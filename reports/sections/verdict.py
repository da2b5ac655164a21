"""Verdict"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from gate.model import Decision, Finding, Severity
from gate.registry import section
from reports.document import Block, Code, Content, DocumentName, Hero, Link, Mark, Notice
from reports.view import RunView

_SHOWN = 5


@section(order=0, documents=tuple(DocumentName))
def build(view: RunView) -> Iterator[Block]:
    verdict = view.verdict
    blocking, open_ = len(verdict.blocking), len(verdict.unanswered)
    sentence = {
        Decision.GO: "Every required check answered, and none stands in the way.",
        Decision.NO_GO: f"{_things(blocking, 'finding')} against this release. Do not deploy; if deployed, roll back.",
        Decision.HOLD: f"{_things(open_, 'required answer')} missing or not good enough. Nothing seen is never GO.",
    }[verdict.decision]
    counts = Counter(view.answer(item).mark for item in view.ids)
    # The gravest first; which severity an id has never changed the decision, only what is read first.
    obstacles = sorted(verdict.blocking or verdict.unanswered, key=lambda finding: list(Severity).index(_severity(view, finding)))
    shown: list[Content] = [(Code(text=finding.id), f" – {finding.why}") for finding in obstacles[:_SHOWN]]
    if len(obstacles) > _SHOWN:
        further = Link(text="how the verdict came about", target=f"{DocumentName.REPORT.file}#decision")
        shown.append((f"and {len(obstacles) - _SHOWN} more: ", further))
    yield Hero(
        decision=verdict.decision,
        sentence=sentence,
        facts=(
            ("Release", view.release("name") or "not measured"),
            ("Version", view.release("version") or "not measured"),
            ("Commit", view.release("commit") or "not measured"),
            ("Recorded", f"{view.started_at:%Y-%m-%d %H:%M} UTC" if view.started_at else "not measured"),
            ("Policy", verdict.policy),
        ),
        counts=tuple((mark, counts[mark]) for mark in Mark if counts[mark]),
        obstacles_title={
            Decision.GO: "",
            Decision.NO_GO: "What blocks",
            Decision.HOLD: "What is missing",
        }[verdict.decision],
        obstacles=tuple(shown),
    )
    if view.damage:
        yield Notice(
            mark=Mark.ERROR,
            title="The journal is damaged: what it says below may be incomplete",
            items=tuple((item,) for item in view.damage[:20])
            + (((f"and {len(view.damage) - 20} more places",),) if len(view.damage) > 20 else ()),
        )


def _severity(view: RunView, finding: Finding) -> Severity:
    outcome = view.answer(finding.id).outcome
    return Severity.CRITICAL if outcome is None else outcome.severity


def _things(count: int, word: str) -> str:
    return (
        f"1 {word} is"
        if count == 1 and word != "finding"
        else f"{count} {word}{'' if count == 1 else 's'}" + ("" if word == "finding" else " are")
    )
