"""A message keeps the id that its caller gave it.

Why: it is the key by which a repeated request is recognised; without it a customer gets the same message twice.
Fix: apply PRODUCTION_MIGRATION_GOLIVE.sql; `messages.client_message_id` must be text, nullable: inbound messages have none.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.facts import comparison
from gate.facts.catalog import Catalog
from gate.facts.expected import ExpectedSchema
from gate.facts.throwaway import ThrowawayDatabase
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=5, tags={"seed"})
def run(catalog: Catalog, schema: ExpectedSchema) -> Iterator[Evidence]:
    yield from comparison.column(catalog, schema, "messages", "client_message_id")


@run.breaks
def missing(database: ThrowawayDatabase) -> None:
    database.drop_column("messages", "client_message_id")


@run.breaks
def of_another_type(database: ThrowawayDatabase) -> None:
    database.replace_column("messages", "client_message_id", "integer")


@run.breaks
def not_nullable(database: ThrowawayDatabase) -> None:
    database.replace_column("messages", "client_message_id", "text NOT NULL DEFAULT ''")
