"""Support contacts"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports.document import Badge, Block, DocumentName, Mark, Paragraph, Row, Table
from reports.view import RunView


@section(order=120, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE, DocumentName.MONITORING, DocumentName.DEPLOYMENT))
def build(view: RunView) -> Iterator[Block]:
    """Who is there, as the release record names them, and how often to look."""
    contacts = view.contacts()
    if contacts:
        yield Table(
            caption="Contacts named by the release",
            columns=("Role", "Contact"),
            rows=tuple(Row(cells=((role,), (reach,)), sources=("release:contacts",)) for role, reach in contacts),
        )
    else:
        yield Paragraph(
            content=(
                "Contacts: ",
                Badge(mark=Mark.NOT_MEASURED),
                " – the release record names none; name an on-call person before the deploy.",
            ),
            sources=("release:contacts",),
            mark=Mark.NOT_MEASURED,
        )
    yield Table(
        caption="How often to look",
        columns=("When", "How often"),
        rows=(
            Row(cells=(("First hour",), ("T+5, T+10, T+20, T+30 and T+60 minutes",))),
            Row(cells=(("After HOLD",), ("every 15 minutes for 2 hours",))),
            Row(cells=(("After the first hour",), ("every 1 to 4 hours, then the standard channels",))),
        ),
    )
