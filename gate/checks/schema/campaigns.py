"""The table of campaigns is there, in its present shape.

Why: a campaign's progress is kept there; on an older shape the first dispatch fails half way through its recipients.
Fix: apply PRODUCTION_MIGRATION_GOLIVE.sql; where an older `campaigns` exists, move it away first, because IF NOT EXISTS keeps it.
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


@check(severity=Severity.CRITICAL, order=9, tags={"seed"})
def run(catalog: Catalog, schema: ExpectedSchema) -> Iterator[Evidence]:
    yield from comparison.table(catalog, schema, "campaigns")


@run.breaks
def missing(database: ThrowawayDatabase) -> None:
    database.execute("DROP TABLE campaign_recipients; DROP TABLE campaigns")


@run.breaks
def of_an_older_shape(database: ThrowawayDatabase) -> None:
    """What an earlier attempt left behind, and CREATE TABLE IF NOT EXISTS then keeps."""
    missing(database)
    database.execute("CREATE TABLE campaigns (id integer PRIMARY KEY, name text NOT NULL, status text NOT NULL)")


@run.breaks
def only_in_another_schema(database: ThrowawayDatabase) -> None:
    if database.backend == "sqlite":
        raise NotApplicable("SQLite has one schema")
    database.execute("CREATE SCHEMA elsewhere; ALTER TABLE campaigns SET SCHEMA elsewhere")


@run.breaks
def a_view(database: ThrowawayDatabase) -> None:
    missing(database)
    database.execute("CREATE VIEW campaigns AS SELECT 1 AS id")


@run.breaks
def status_as_a_number(database: ThrowawayDatabase) -> None:
    missing(database)
    database.execute(
        "CREATE TABLE campaigns (id integer PRIMARY KEY, unit_id integer NOT NULL, name text NOT NULL, content text NOT NULL,"
        " status integer NOT NULL, scheduled_at text, started_at text, completed_at text, error text, metadata text)"
    )
