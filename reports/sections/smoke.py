"""Smoke test"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports import facts
from reports.claims import seconds, unreadable
from reports.document import Badge, Block, Code, DocumentName, Paragraph, Row, Table
from reports.expectations import SMOKE
from reports.view import Missing, RunView


@section(order=70, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE, DocumentName.DEPLOYMENT, DocumentName.ORCHESTRATION))
def build(view: RunView) -> Iterator[Block]:
    """The eight steps in order. The outcome says how a step stands; the fact only adds its time and detail."""
    group = view.outcomes(*SMOKE) + view.outcomes("smoke.*")
    yield Paragraph(content=("Smoke test: ", Badge(mark=group.mark, text=group.summary)), sources=group.ids, mark=group.mark)
    steps = view.fact("smoke.steps", facts.steps)
    known = {} if isinstance(steps, Missing) else {f"smoke.{step.name}": step for step in steps}
    rows = []
    for answer in group.answers:
        step = known.get(answer.id) if answer.outcome is not None else None
        took = step.duration_s if step is not None else answer.outcome.duration_s if answer.outcome is not None else None
        words = [answer.detail, step.detail if step is not None and step.detail not in answer.detail else ""]
        rows.append(
            Row(
                cells=(
                    (answer.title or answer.id,),
                    (Badge(mark=answer.mark),),
                    (" – ".join(filter(None, words)),),
                    (seconds(took) if answer.outcome is not None else "–",),
                    (Code(text=answer.id),),
                ),
                sources=(answer.id,),
                mark=answer.mark,
            )
        )
    yield Table(
        caption="Smoke test, step by step", columns=("Step", "Result", "What was seen", "Took", "Source"), rows=tuple(rows)
    )
    if isinstance(steps, Missing):
        yield unreadable(steps, "Details of the steps")
