"""The idempotency index refuses a second row.

Why: without it two workers that get one request twice store and send two messages.
Fix: apply PRODUCTION_MIGRATION_GOLIVE.sql; the index must be valid and UNIQUE on (conversation_id, client_message_id) where
client_message_id is not null. One that was built otherwise has to be dropped first, because IF NOT EXISTS keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import NotApplicable
from gate.facts import comparison
from gate.facts.catalog import Catalog
from gate.facts.expected import ExpectedSchema
from gate.facts.throwaway import ThrowawayDatabase
from gate.model import Evidence, Severity
from gate.registry import check

NAME = "idx_messages_client_message_id_unit"


@check(severity=Severity.CRITICAL, order=20)
def run(catalog: Catalog, schema: ExpectedSchema) -> Iterator[Evidence]:
    yield from comparison.index(catalog, schema, "messages", NAME)


@run.breaks
def missing(database: ThrowawayDatabase) -> None:
    database.execute(f"DROP INDEX {NAME}")


@run.breaks
def not_unique(database: ThrowawayDatabase) -> None:
    missing(database)
    database.execute(f"CREATE INDEX {NAME} ON messages (conversation_id, client_message_id) WHERE client_message_id IS NOT NULL")


@run.breaks
def on_other_columns(database: ThrowawayDatabase) -> None:
    missing(database)
    database.execute(f"CREATE UNIQUE INDEX {NAME} ON messages (id, client_message_id) WHERE client_message_id IS NOT NULL")


@run.breaks
def for_some_rows_only(database: ThrowawayDatabase) -> None:
    missing(database)
    database.execute(
        f"CREATE UNIQUE INDEX {NAME} ON messages (conversation_id, client_message_id)"
        " WHERE client_message_id IS NOT NULL AND status = 'sent'"
    )


@run.breaks
def without_its_predicate(database: ThrowawayDatabase) -> None:
    missing(database)
    database.execute(f"CREATE UNIQUE INDEX {NAME} ON messages (conversation_id, client_message_id)")


@run.breaks
def not_valid(database: ThrowawayDatabase) -> None:
    """What is left when CREATE INDEX CONCURRENTLY fails half way."""
    if database.backend == "sqlite":
        raise NotApplicable("an index of SQLite is always valid")
    database.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{NAME}'::regclass")  # noqa: S608
