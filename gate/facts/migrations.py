"""What the migration does on throw-away databases: once, twice, and over faults that it must not report as success.

The faults follow from the expected schema: an index of the right name that is not unique, a column of the wrong type, a table of
an older shape. Each hides behind IF NOT EXISTS. A migration may repair one or refuse it; it may not leave it and succeed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gate.errors import GateError
from gate.facts import catalog, comparison, throwaway
from gate.facts.catalog import Catalog
from gate.facts.connections import backend_of, database_name, postgres
from gate.facts.expected import ExpectedSchema
from gate.facts.statements import split
from gate.facts.subject import Subject
from gate.facts.throwaway import ThrowawayDatabase

__all__ = ["Application", "FaultTrial", "Migration", "read"]

_OTHER_TYPE = {"text": "integer", "integer": "text", "timestamptz": "text", "jsonb": "text"}
_MOST_FAULTS_IN_A_TABLE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One run of the script. `error` is empty when every statement succeeded, else `statement` is the number of the one."""

    error: str
    statement: int
    statements: int
    seconds: float
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultTrial:
    """A fault planted before the migration: what the migration raised, and what was still wrong when it raised nothing."""

    fault: str
    error: str
    left: tuple[str, ...]

    @property
    def survived(self) -> bool:
        return not self.error and bool(self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """`available` is False where there is no Postgres to try on.

    faults_after: what the first run left different from what was expected. changed_by_second_run: tables that the second changed.
    """

    available: bool
    script: str = ""
    first: Application | None = None
    second: Application | None = None
    faults_after: tuple[str, ...] = ()
    changed_by_second_run: tuple[str, ...] = ()
    trials: tuple[FaultTrial, ...] = ()


def read(subject: Subject) -> Migration:
    """Runs the migration on copies of the baseline. Raises GateError when a script or the server is not there."""
    server = subject.scratch_url or subject.database_url
    if backend_of(server) == "sqlite":
        return Migration(available=False)
    if subject.migration is None or subject.baseline is None:
        raise GateError("no migration to try: the subject names no migration script, or no baseline to run it on")
    script, baseline = _text(subject.migration), _text(subject.baseline)
    with throwaway.on_postgres(server) as base:
        base.execute(baseline)
        template = database_name(base.url)
        with throwaway.on_postgres(server, template=template) as database:
            first = _apply(database, script)
            once = catalog.read(database.url, subject.schema)
            second = _apply(database, script)
            twice = catalog.read(database.url, subject.schema)
        changed = tuple(_changes(once, twice))
        after = tuple(comparison.faults(once, subject.schema))
        if first.error or second.error or changed or after:
            # What fails on a sound baseline needs no planted fault to fail.
            return Migration(
                available=True,
                script=subject.migration.name,
                first=first,
                second=second,
                faults_after=after,
                changed_by_second_run=changed,
            )
        before = catalog.read(base.url, subject.schema)
        trials = []
        for fault, sabotage in _faults(subject.schema, before):
            with throwaway.on_postgres(server, template=template) as database:
                database.execute(sabotage)
                run = _apply(database, script)
                left = () if run.error else tuple(comparison.faults(catalog.read(database.url, subject.schema), subject.schema))
                trials.append(FaultTrial(fault=fault, error=run.error, left=left))
    return Migration(
        available=True,
        script=subject.migration.name,
        first=first,
        second=second,
        faults_after=after,
        changed_by_second_run=changed,
        trials=tuple(trials),
    )


def _apply(database: ThrowawayDatabase, script: str) -> Application:
    """Statement by statement, as a person runs it with psql and ON_ERROR_STOP."""
    import psycopg

    statements = list(split(script))
    notices: list[str] = []
    began = time.perf_counter()
    error, reached = "", len(statements)
    with postgres(database.url, autocommit=True) as server:
        server.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
        for number, statement in enumerate(statements, start=1):
            try:
                server.execute(statement.encode())
            except psycopg.Error as raised:
                error, reached = " ".join((raised.diag.message_primary or str(raised)).split()), number
                break
    return Application(
        error=error, statement=reached, statements=len(statements), seconds=time.perf_counter() - began, notices=tuple(notices)
    )


def _faults(schema: ExpectedSchema, before: Catalog) -> Iterator[tuple[str, str]]:
    """Faults over what the baseline does not have yet, as (what, SQL)."""
    for table in schema.tables.values():
        known = before.tables.get(table.name)
        if known is None:
            yield (
                f"{table.name} of an older shape",
                f'CREATE TABLE "{table.name}" (id uuid PRIMARY KEY DEFAULT gen_random_uuid())',
            )
            continue
        new = [column for column in table.columns.values() if column.name not in known.columns and column.types]
        adding = f'ALTER TABLE "{table.name}" ADD COLUMN '
        for column in new[:_MOST_FAULTS_IN_A_TABLE]:
            other = _OTHER_TYPE.get(column.types[0], "bytea")
            yield f"{table.name}.{column.name} as {other}", f'{adding}"{column.name}" {other}'
        for column in [column for column in new if column.nullable and column.types[0] == "text"][:1]:
            yield f"{table.name}.{column.name} as NOT NULL", f"{adding}\"{column.name}\" text NOT NULL DEFAULT ''"
        for index in table.indexes.values():
            if not index.unique or index.name in {seen.name for seen in known.indexes}:
                continue
            missing = [table.columns[name] for name in index.columns if name not in known.columns and name in table.columns]
            if not all(column.types for column in missing):
                # A column of a type that nobody expects would be a fault of ours.
                continue
            first = "".join(f'{adding}"{column.name}" {(column.types or ("text",))[0]};' for column in missing)
            keys = ", ".join(f'"{name}"' for name in index.columns)
            rows = f" WHERE {index.where}" if index.where else ""
            yield (
                f"{index.name} that is not unique",
                f'{first}CREATE INDEX "{index.name}" ON "{table.name}" ({keys}){rows}',
            )
            yield (
                f"{index.name} for no row",
                f'{first}CREATE UNIQUE INDEX "{index.name}" ON "{table.name}" ({keys}) WHERE false',
            )


def _changes(once: Catalog, twice: Catalog) -> Iterator[str]:
    for name in sorted(once.tables.keys() | twice.tables.keys()):
        if once.tables.get(name) != twice.tables.get(name):
            yield name


def _text(script: Path) -> str:
    try:
        return script.read_text(encoding="utf-8")
    except OSError as error:
        raise GateError(f"{script.name}: cannot be read ({error.strerror})") from error
