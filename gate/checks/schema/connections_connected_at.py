"""The connection keeps when it was connected.

Why: a scan sets it; without it the status route fails, and a connection's age cannot be told after an incident.
Fix: apply PRODUCTION_MIGRATION_GOLIVE.sql; `unit_whatsapp_connections.connected_at` must be timestamptz, nullable: a unit that
never connected has none.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.facts import comparison
from gate.facts.catalog import Catalog
from gate.facts.expected import ExpectedSchema
from gate.facts.throwaway import ThrowawayDatabase
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.MAJOR, order=2, tags={"seed"})
def run(catalog: Catalog, schema: ExpectedSchema) -> Iterator[Evidence]:
    yield from comparison.column(catalog, schema, "unit_whatsapp_connections", "connected_at")


@run.breaks
def missing(database: ThrowawayDatabase) -> None:
    database.drop_column("unit_whatsapp_connections", "connected_at")


@run.breaks
def of_another_type(database: ThrowawayDatabase) -> None:
    database.replace_column("unit_whatsapp_connections", "connected_at", "text")


@run.breaks
def not_nullable(database: ThrowawayDatabase) -> None:
    kind = database.type_of("timestamptz")
    database.replace_column("unit_whatsapp_connections", "connected_at", f"{kind} NOT NULL DEFAULT '2026-01-01 00:00:00'")
