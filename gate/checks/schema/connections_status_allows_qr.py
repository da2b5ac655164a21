"""The connection's status may be `qr`.

Why: a CHECK from before the integration refuses it; connect then answers 500, or swallows the error and never shows a code.
Fix: let the CHECK, or the enumeration, of unit_whatsapp_connections.status take connecting, qr, connected, disconnected
and error.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.facts import comparison
from gate.facts.catalog import Catalog
from gate.facts.expected import ExpectedSchema
from gate.facts.throwaway import ThrowawayDatabase
from gate.model import Evidence, Severity
from gate.registry import check

TABLE, COLUMN = "unit_whatsapp_connections", "status"


@check(severity=Severity.CRITICAL, order=22)
def run(catalog: Catalog, schema: ExpectedSchema) -> Iterator[Evidence]:
    wanted = schema.column(TABLE, COLUMN).accepts
    if "qr" not in wanted:
        raise Failure(f"expected schema {schema.name}: {TABLE}.{COLUMN} does not list 'qr' among the values it accepts")
    yield from comparison.column(catalog, schema, TABLE, COLUMN)
    yield Evidence(label=f"{TABLE}.{COLUMN} accepts", value=", ".join(wanted))


@run.breaks
def a_check_from_before(database: ThrowawayDatabase) -> None:
    database.execute(f"ALTER TABLE {TABLE} ADD COLUMN sabotage text CHECK ({COLUMN} <> 'qr')")


@run.breaks
def a_list_without_it(database: ThrowawayDatabase) -> None:
    database.execute(f"ALTER TABLE {TABLE} ADD COLUMN sabotage text CHECK ({COLUMN} IN ('connecting', 'connected'))")
