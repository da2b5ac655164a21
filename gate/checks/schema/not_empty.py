"""The database holds the tables that the release needs.

Why: an empty database, or a connection to the wrong one, has let a gate pass that only asked whether its queries ran.
Fix: point DATABASE_URL at the migrated database, and run the migration before the gate.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.facts.catalog import Catalog
from gate.facts.expected import ExpectedSchema
from gate.facts.throwaway import ThrowawayDatabase
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=18)
def run(catalog: Catalog, schema: ExpectedSchema) -> Iterator[Evidence]:
    where = f"schema {catalog.schema} of database {catalog.database}"
    if not catalog.tables:
        others = sorted({name for names in catalog.elsewhere.values() for name in names})
        hint = f"; tables are in {', '.join(others)}" if others else ""
        raise Failure(f"{where} holds no table at all, expected {', '.join(schema.tables)}{hint}")
    missing = [name for name in schema.tables if name not in catalog.tables]
    if missing:
        raise Failure(f"{where} lacks {', '.join(missing)}")
    yield Evidence(label=f"tables in {where}", value=len(catalog.tables))


@run.breaks
def empty(database: ThrowawayDatabase) -> None:
    if database.backend == "postgresql":
        database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        return
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"):
        database.execute(f'DROP TABLE "{name}"')


@run.breaks
def without_messages(database: ThrowawayDatabase) -> None:
    database.execute("DROP TABLE messages" + (" CASCADE" if database.backend == "postgresql" else ""))
