"""Environment and limits of what was measured"""

from __future__ import annotations

from collections.abc import Iterator

from gate.model import Status
from gate.registry import section
from reports import facts
from reports.claims import answer_row, not_measured, source, unreadable
from reports.document import Block, Code, DocumentName, Paragraph, Row, Table
from reports.view import Group, Missing, RunView

_COULD_NOT = (Status.SKIP, Status.INCONCLUSIVE, Status.ERROR)


@section(
    order=200,
    documents=(
        DocumentName.REPORT,
        DocumentName.EXECUTIVE,
        DocumentName.ORCHESTRATION,
        DocumentName.GATE,
        DocumentName.EVOLUTION,
    ),
)
def build(view: RunView) -> Iterator[Block]:
    """Where the run took place, on which database, and which checks could not answer there."""
    yield Table(caption="Environment", columns=("What", "Value"), rows=tuple(_environment(view)))
    group = view.outcomes(*view.ids)
    silent = Group(
        answers=tuple(item for item in group.answers if item.outcome is not None and item.outcome.status in _COULD_NOT)
    )
    if silent.answers:
        yield Table(
            caption="Checks that could not answer here",
            columns=("Id", "Title", "Result", "Why", "Took"),
            rows=tuple(answer_row(answer) for answer in silent.answers),
        )
    else:
        yield Paragraph(
            content=("Every check that answered gave a judgement: none was skipped, inconclusive or an error.",)
            if group.measured
            else ("Checks that could not answer: not measured, since none answered.",)
        )
    found = view.fact("not_applicable", facts.not_applicable)
    if isinstance(found, Missing):
        yield unreadable(found, "Declared not to apply")
    elif found:
        yield Table(
            caption="Declared not to apply",
            columns=("Id", "Reason"),
            rows=tuple(
                Row(cells=((Code(text=item.id),), (item.reason or "no reason was given",)), sources=(source("not_applicable"),))
                for item in found
            ),
        )
    else:
        yield Paragraph(content=("Nothing was declared not to apply.",), sources=(source("not_applicable"),))


def _environment(view: RunView) -> Iterator[Row]:
    found = view.fact("environment", facts.environment)
    if isinstance(found, Missing):
        yield not_measured(found, 2, what="Database, Python, platform")
    else:
        database = " ".join(filter(None, (found.backend, found.server_version))) or "not measured"
        for name, value in (
            ("Database", f"{database} ({found.origin or 'origin not measured'})"),
            ("Python", found.python),
            ("Platform", found.platform),
            ("golive", found.golive_version),
            ("Commit of the run", found.commit),
        ):
            yield Row(cells=((name,), (value or "not measured",)), sources=(source("environment"),))
    target = view.fact("target", facts.target)
    if isinstance(target, Missing):
        yield not_measured(target, 2, what="Target")
    else:
        for name, value in (("Target", target.url), ("Evolution API", target.evolution)):
            yield Row(cells=((name,), (value or "not measured",)), sources=(source("target"),))
    lines = view.recording.lines
    yield Row(cells=(("Journal",), (f"{lines} lines, {'damaged' if view.damage else 'one unbroken chain'}",)))
