"""A message keeps when it was last retried.

Why: the waits between tries are counted from it; without it every worker tries at once.
Fix: apply PRODUCTION_MIGRATION_GOLIVE.sql; `messages.last_retry_at` must be timestamptz, nullable.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.facts import comparison
from gate.facts.catalog import Catalog
from gate.facts.expected import ExpectedSchema
from gate.facts.throwaway import ThrowawayDatabase
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.MAJOR, order=7, tags={"seed"})
def run(catalog: Catalog, schema: ExpectedSchema) -> Iterator[Evidence]:
    yield from comparison.column(catalog, schema, "messages", "last_retry_at")


@run.breaks
def missing(database: ThrowawayDatabase) -> None:
    database.drop_column("messages", "last_retry_at")


@run.breaks
def of_another_type(database: ThrowawayDatabase) -> None:
    database.replace_column("messages", "last_retry_at", "text")


@run.breaks
def not_nullable(database: ThrowawayDatabase) -> None:
    kind = database.type_of("timestamptz")
    database.replace_column("messages", "last_retry_at", f"{kind} NOT NULL DEFAULT '2026-01-01 00:00:00'")
