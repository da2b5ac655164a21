"""The connection keeps the reason of its status.

Why: without it nobody can tell a connection that waits for its scan from one that was logged out or banned.
Fix: apply PRODUCTION_MIGRATION_GOLIVE.sql; `unit_whatsapp_connections.status_reason` must be text, nullable.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.facts import comparison
from gate.facts.catalog import Catalog
from gate.facts.expected import ExpectedSchema
from gate.facts.throwaway import ThrowawayDatabase
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.MAJOR, order=1, tags={"seed"})
def run(catalog: Catalog, schema: ExpectedSchema) -> Iterator[Evidence]:
    yield from comparison.column(catalog, schema, "unit_whatsapp_connections", "status_reason")


@run.breaks
def missing(database: ThrowawayDatabase) -> None:
    database.drop_column("unit_whatsapp_connections", "status_reason")


@run.breaks
def of_another_type(database: ThrowawayDatabase) -> None:
    database.replace_column("unit_whatsapp_connections", "status_reason", "integer")


@run.breaks
def not_nullable(database: ThrowawayDatabase) -> None:
    database.replace_column("unit_whatsapp_connections", "status_reason", "text NOT NULL DEFAULT ''")
