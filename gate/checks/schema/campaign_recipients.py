"""The table of a campaign's recipients is there, in its present shape.

Why: it says who was already sent to; without its unique key over campaign and contact a person is sent to twice.
Fix: apply PRODUCTION_MIGRATION_GOLIVE.sql; the table needs both foreign keys and UNIQUE (campaign_id, contact_id).
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


@check(severity=Severity.CRITICAL, order=10, tags={"seed"})
def run(catalog: Catalog, schema: ExpectedSchema) -> Iterator[Evidence]:
    yield from comparison.table(catalog, schema, "campaign_recipients")


@run.breaks
def missing(database: ThrowawayDatabase) -> None:
    database.execute("DROP TABLE campaign_recipients")


@run.breaks
def of_an_older_shape(database: ThrowawayDatabase) -> None:
    """What an earlier attempt left behind, and CREATE TABLE IF NOT EXISTS then keeps."""
    missing(database)
    database.execute("CREATE TABLE campaign_recipients (campaign_id integer NOT NULL, phone text NOT NULL, sent boolean)")


@run.breaks
def only_in_another_schema(database: ThrowawayDatabase) -> None:
    if database.backend == "sqlite":
        raise NotApplicable("SQLite has one schema")
    database.execute("CREATE SCHEMA elsewhere; ALTER TABLE campaign_recipients SET SCHEMA elsewhere")


@run.breaks
def a_view(database: ThrowawayDatabase) -> None:
    missing(database)
    database.execute("CREATE VIEW campaign_recipients AS SELECT 1 AS id")


@run.breaks
def without_its_unique_key(database: ThrowawayDatabase) -> None:
    if database.backend == "sqlite":
        raise NotApplicable("SQLite cannot drop a constraint of a table")
    database.execute(
        "DO $$ DECLARE found text; BEGIN"
        " FOR found IN SELECT conname FROM pg_constraint WHERE conrelid = 'campaign_recipients'::regclass AND contype = 'u' LOOP"
        " EXECUTE format('ALTER TABLE campaign_recipients DROP CONSTRAINT %I', found); END LOOP; END $$"
    )


@run.breaks
def foreign_key_not_validated(database: ThrowawayDatabase) -> None:
    if database.backend == "sqlite":
        raise NotApplicable("SQLite has no keys that are not validated")
    database.execute(
        "DO $$ DECLARE found text; BEGIN"
        " FOR found IN SELECT conname FROM pg_constraint WHERE conrelid = 'campaign_recipients'::regclass AND contype = 'f' LOOP"
        " EXECUTE format('ALTER TABLE campaign_recipients DROP CONSTRAINT %I', found); END LOOP; END $$;"
        "ALTER TABLE campaign_recipients ADD CONSTRAINT by_campaign FOREIGN KEY (campaign_id) REFERENCES campaigns NOT VALID;"
        "ALTER TABLE campaign_recipients ADD CONSTRAINT by_contact FOREIGN KEY (contact_id) REFERENCES contacts NOT VALID"
    )
