"""How the run went"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gate.journal import Part
from gate.registry import section
from reports.claims import seconds
from reports.document import Badge, Block, DocumentName, Figures, Mark, Paragraph, Row, Span, Table, Timeline
from reports.view import Group, RunView


@section(order=190, documents=(DocumentName.REPORT, DocumentName.ORCHESTRATION))
def build(view: RunView) -> Iterator[Block]:
    """The parts in the order in which they began, what each had to answer and what it did answer."""
    if not view.parts:
        yield Paragraph(content=("Parts of the run: ", Badge(mark=Mark.NOT_MEASURED)), mark=Mark.NOT_MEASURED)
        return
    groups = [view.outcomes(*sorted({str(item) for item in part.expected})) for part in view.parts]
    began = view.started_at or view.parts[0].began_at
    if all(_comparable(part, began) for part in view.parts):
        yield Figures(
            charts=(
                Timeline(
                    title="Parts of the run",
                    description=", ".join(str(part.name) for part in view.parts),
                    spans=tuple(_span(part, group, began) for part, group in zip(view.parts, groups, strict=True)),
                ),
            )
        )
    yield Table(
        caption="Parts of the run",
        columns=("Part", "Began", "Took", "Result", "Answered"),
        rows=tuple(_row(part, group) for part, group in zip(view.parts, groups, strict=True)),
    )


def _comparable(part: Part, began: datetime) -> bool:
    return all((at.tzinfo is None) is (began.tzinfo is None) for at in (part.began_at, part.ended_at or part.began_at))


def _mark(part: Part, group: Group) -> Mark:
    """A part that never ended is no better than an error; one that had nothing to answer proves nothing."""
    return max((Mark.ERROR if part.ended_at is None else Mark.PASS, group.mark), key=lambda mark: mark.rank)


def _span(part: Part, group: Group, began: datetime) -> Span:
    start = max(0.0, (part.began_at - began).total_seconds())
    end = None if part.ended_at is None else max(start, (part.ended_at - began).total_seconds())
    return Span(label=str(part.name), start_s=start, end_s=end, mark=_mark(part, group))


def _row(part: Part, group: Group) -> Row:
    took = "never ended"
    if part.ended_at is not None:
        known = _comparable(part, part.began_at)
        took = seconds(max(0.0, (part.ended_at - part.began_at).total_seconds()) if known else None)
    mark = _mark(part, group)
    return Row(
        cells=((str(part.name),), (f"{part.began_at:%H:%M:%S} UTC",), (took,), (Badge(mark=mark),), (group.summary,)),
        sources=group.ids,
        mark=mark,
    )
