"""Scenarios, end to end"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports import facts
from reports.claims import answer_row, seconds, source, unreadable
from reports.document import Badge, Block, DocumentName, Paragraph, Row, Table
from reports.expectations import SCENARIOS
from reports.view import Missing, RunView, badge_of_word, mark_of_word


@section(order=60, documents=(DocumentName.REPORT, DocumentName.GATE, DocumentName.EVOLUTION, DocumentName.ORCHESTRATION))
def build(view: RunView) -> Iterator[Block]:
    """The nine scenarios and any further, then the steps of each that answered."""
    group = view.outcomes(*SCENARIOS) + view.outcomes("scenario.*")
    yield Paragraph(content=("Scenarios: ", Badge(mark=group.mark, text=group.summary)), sources=group.ids, mark=group.mark)
    yield Table(
        caption="Scenarios",
        columns=("Id", "Scenario", "Result", "What was seen", "Took"),
        rows=tuple(answer_row(answer) for answer in group.answers),
    )
    steps = view.fact("scenario.steps", facts.scenario_steps)
    if isinstance(steps, Missing):
        yield unreadable(steps, "Steps of the scenarios")
        return
    for answer in group.answers:
        # Steps of a scenario that gave no answer prove nothing, so they are not shown.
        if answer.outcome is not None and steps.get(answer.id):
            yield Table(
                caption=f"Steps: {answer.title or answer.id}",
                columns=("Step", "Result", "Took"),
                rows=tuple(
                    Row(
                        cells=(
                            (f"{step.keyword.strip()} {step.text}",),
                            (badge_of_word(step.status),),
                            (seconds(step.duration_s),),
                        ),
                        sources=(source("scenario.steps"),),
                        mark=mark_of_word(step.status),
                    )
                    for step in steps[answer.id]
                ),
                collapsed=True,
            )
