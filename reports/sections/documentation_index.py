"""Documentation index"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports.document import Block, DocumentName, Link, Row, Table
from reports.view import RunView

_USE = {
    DocumentName.REPORT: "Reading everything in one page, with charts, also offline and on paper",
    DocumentName.EXECUTIVE: "Deciding",
    DocumentName.DEPLOYMENT: "Deploying to production",
    DocumentName.MONITORING: "Watching the first hour",
    DocumentName.ORCHESTRATION: "Understanding how the run went, part by part",
    DocumentName.GATE: "Reviewing every check with its evidence",
    DocumentName.EVOLUTION: "A high-level overview of the integration and what was proved of it",
}


@section(order=150, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE))
def build(view: RunView) -> Iterator[Block]:  # noqa: ARG001 – every section is called alike
    yield Table(
        caption="Documents of this run",
        columns=("Document", "Use it when"),
        rows=tuple(Row(cells=((Link(text=name.file, target=name.file),), (use,))) for name, use in _USE.items()),
    )
