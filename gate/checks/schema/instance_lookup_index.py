"""One instance belongs to one connection.

Why: a webhook finds its tenant by the instance; two rows of one instance would hand one tenant's messages to another.
Fix: apply PRODUCTION_MIGRATION_GOLIVE.sql; the index must be valid and UNIQUE on (instance_id) where instance_id is not null.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.facts import comparison
from gate.facts.catalog import Catalog
from gate.facts.expected import ExpectedSchema
from gate.facts.throwaway import ThrowawayDatabase
from gate.model import Evidence, Severity
from gate.registry import check

NAME = "idx_unit_whatsapp_instance_lookup"


@check(severity=Severity.CRITICAL, order=21)
def run(catalog: Catalog, schema: ExpectedSchema) -> Iterator[Evidence]:
    yield from comparison.index(catalog, schema, "unit_whatsapp_connections", NAME)


@run.breaks
def missing(database: ThrowawayDatabase) -> None:
    database.execute(f"DROP INDEX {NAME}")


@run.breaks
def not_unique(database: ThrowawayDatabase) -> None:
    missing(database)
    database.execute(f"CREATE INDEX {NAME} ON unit_whatsapp_connections (instance_id) WHERE instance_id IS NOT NULL")


@run.breaks
def with_the_opposite_predicate(database: ThrowawayDatabase) -> None:
    missing(database)
    database.execute(f"CREATE UNIQUE INDEX {NAME} ON unit_whatsapp_connections (instance_id) WHERE instance_id IS NULL")
