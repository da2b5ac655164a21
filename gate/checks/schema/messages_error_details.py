"""A message keeps why it failed.

Why: without it a failed message cannot be explained, and support can only send it again.
Fix: apply PRODUCTION_MIGRATION_GOLIVE.sql; `messages.error_details` must be text, nullable.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.facts import comparison
from gate.facts.catalog import Catalog
from gate.facts.expected import ExpectedSchema
from gate.facts.throwaway import ThrowawayDatabase
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.MAJOR, order=8, tags={"seed"})
def run(catalog: Catalog, schema: ExpectedSchema) -> Iterator[Evidence]:
    yield from comparison.column(catalog, schema, "messages", "error_details")


@run.breaks
def missing(database: ThrowawayDatabase) -> None:
    database.drop_column("messages", "error_details")


@run.breaks
def of_another_type(database: ThrowawayDatabase) -> None:
    database.replace_column("messages", "error_details", "integer")


@run.breaks
def not_nullable(database: ThrowawayDatabase) -> None:
    database.replace_column("messages", "error_details", "text NOT NULL DEFAULT ''")
