"""All checks"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports.claims import answer_row
from reports.document import Block, DocumentName, Table
from reports.view import RunView

_COLUMNS = ("Id", "Title", "Result", "What was seen", "Took")


@section(order=210, documents=(DocumentName.REPORT, DocumentName.GATE))
def build(view: RunView) -> Iterator[Block]:
    """Every id that was answered, planned or must be there, with its evidence."""
    group = view.outcomes(*(f"{family}.*" for family in view.families))
    yield Table(
        caption=f"All checks: {group.summary}",
        columns=_COLUMNS,
        rows=tuple(answer_row(answer) for answer in group.answers),
        filterable=True,
    )
