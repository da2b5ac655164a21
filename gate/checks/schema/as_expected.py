"""The database is, in everything that was expected of it, as it was expected.

Why: a column that the code writes and no migration creates, an index of another meaning, a key that was never validated: each is
found in production otherwise, one request at a time.
Fix: bring the migration and the expected schema together; the reason names every difference.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.facts import comparison
from gate.facts.catalog import Catalog
from gate.facts.expected import ExpectedSchema
from gate.facts.throwaway import ThrowawayDatabase
from gate.model import Evidence
from gate.registry import check


@check(order=19)
def run(catalog: Catalog, schema: ExpectedSchema) -> Iterator[Evidence]:
    faults = list(comparison.faults(catalog, schema))
    if faults:
        raise Failure("; ".join(faults))
    tables = schema.tables.values()
    yield Evidence(label=f"tables compared with {schema.name}", value=len(schema.tables))
    yield Evidence(label="columns", value=sum(len(table.columns) for table in tables))
    yield Evidence(label="indexes", value=sum(len(table.indexes) for table in tables))
    yield Evidence(label="foreign keys", value=sum(len(table.foreign_keys) for table in tables))


@run.breaks
def a_column_that_no_migration_creates(database: ThrowawayDatabase) -> None:
    database.drop_column("messages", "provider")


@run.breaks
def without_the_retry_index(database: ThrowawayDatabase) -> None:
    database.execute("DROP INDEX idx_messages_retry_failed")


@run.breaks
def a_retry_index_of_other_rows(database: ThrowawayDatabase) -> None:
    without_the_retry_index(database)
    database.execute(
        "CREATE INDEX idx_messages_retry_failed ON messages (status, retry_count, last_retry_at) WHERE status = 'failed'"
    )
