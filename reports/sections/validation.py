"""Pre-deployment validation"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports import expectations
from reports.claims import claim
from reports.document import Block, DocumentName, Heading, Row, Table
from reports.view import RunView

_COLUMNS = ("Test", "Result", "What was measured", "Source")
_LINES = (
    (
        "unit_whatsapp_connections: columns exist",
        tuple(f"schema.connections-{item}" for item in ("status-reason", "connected-at", "disconnected-at", "qr-updated-at")),
    ),
    (
        "messages: columns exist",
        tuple(f"schema.messages-{item}" for item in ("client-message-id", "retry-count", "last-retry-at", "error-details")),
    ),
    ("campaigns: tables exist", ("schema.campaigns", "schema.campaign-recipients")),
    ("Datastore upserts", ("datastore.upsert",)),
    ("All modules import", ("imports.*",)),
    ("Evolution provider loads", ("imports.evolution-provider",)),
    ("Campaign service loads", ("imports.campaign-service",)),
    ("Evolution flow observed at the provider", ("flow.*",)),
)
_NAMED = ("schema.*", "datastore.*", "imports.*", "flow.*")


@section(order=20, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE, DocumentName.GATE, DocumentName.ORCHESTRATION))
def build(view: RunView) -> Iterator[Block]:
    """One line for each family of checks, then the release gate's own lines."""
    rows = [claim(("Release gate (schema, datastore, imports, flow)",), view.outcomes(*_NAMED))]
    rows += [
        claim((expectations.FAMILIES.get(family, family),), view.outcomes(f"{family}.*"))
        for family in (*expectations.FAMILIES, *(item for item in view.families if item not in expectations.FAMILIES))
    ]
    yield Table(caption="Results by family", columns=_COLUMNS, rows=tuple(rows))
    yield Heading(text="Release gate output")
    yield Table(caption="Release gate, line by line", columns=_COLUMNS, rows=tuple(_groups(view)))


def _groups(view: RunView) -> Iterator[Row]:
    """The lines that a release gate of this kind prints, each from the outcomes behind it."""
    for title, patterns in _LINES:
        yield claim((title,), view.outcomes(*patterns))
