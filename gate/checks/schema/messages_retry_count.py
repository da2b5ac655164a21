"""A message counts its retries.

Why: at most three calls may be made for one message, across restarts; without the count a failing message is tried for ever.
Fix: apply PRODUCTION_MIGRATION_GOLIVE.sql; `messages.retry_count` must be integer, nullable, default 0.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.facts import comparison
from gate.facts.catalog import Catalog
from gate.facts.expected import ExpectedSchema
from gate.facts.throwaway import ThrowawayDatabase
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=6, tags={"seed"})
def run(catalog: Catalog, schema: ExpectedSchema) -> Iterator[Evidence]:
    yield from comparison.column(catalog, schema, "messages", "retry_count")


@run.breaks
def missing(database: ThrowawayDatabase) -> None:
    database.drop_column("messages", "retry_count")


@run.breaks
def of_another_type(database: ThrowawayDatabase) -> None:
    database.replace_column("messages", "retry_count", "text DEFAULT '0'")


@run.breaks
def not_nullable(database: ThrowawayDatabase) -> None:
    database.replace_column("messages", "retry_count", "integer NOT NULL DEFAULT 0")


@run.breaks
def without_default(database: ThrowawayDatabase) -> None:
    database.replace_column("messages", "retry_count", "integer")
