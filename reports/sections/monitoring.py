"""The first hour"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports import facts
from reports.claims import answer_row, number, source, unreadable
from reports.document import Badge, Block, Code, Content, DocumentName, Row, Table
from reports.view import Missing, RunView, badge_of_word


@section(order=90, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE, DocumentName.MONITORING))
def build(view: RunView) -> Iterator[Block]:
    """Each signal as it was judged, and its readings at every checkpoint."""
    yield Table(
        caption="Signals of the first hour, judged",
        columns=("Id", "Signal", "Result", "What was seen", "Took"),
        rows=tuple(answer_row(answer) for answer in view.outcomes("watch.*").answers),
    )
    found = view.fact("watch.checkpoints", facts.checkpoints)
    if isinstance(found, Missing):
        yield unreadable(found, "Checkpoints")
    elif not any(checkpoint.signals for checkpoint in found):
        yield unreadable(Missing(name="watch.checkpoints", why="no readings"), "Checkpoints")
    else:
        yield _checkpoints(view, found)


def _checkpoints(view: RunView, found: tuple[facts.Checkpoint, ...]) -> Table:
    names = list(dict.fromkeys(reading.id for point in found for reading in point.signals))
    rows = []
    for name in names:
        answer = view.answer(f"watch.{name}")
        readings = [next((item for item in point.signals if item.id == name), None) for point in found]
        limit = next((item.limit for item in reversed(readings) if item is not None and item.limit), "")
        cells: tuple[Content, ...] = tuple(
            ("–",) if item is None else (f"{number(item.value, item.unit)} ", badge_of_word(item.level)) for item in readings
        )
        rows.append(
            Row(
                cells=(
                    (Code(text=name),),
                    (limit or "not recorded",),
                    (Badge(mark=answer.mark),),
                    *cells,
                ),
                sources=(source("watch.checkpoints"), answer.id),
                mark=answer.mark,
            )
        )
    return Table(
        caption="Readings at the checkpoints",
        columns=("Signal", "Limit", "Outcome", *(f"T+{point.minute:g}" for point in found)),
        rows=tuple(rows),
    )
