"""A migration tried on a throw-away copy of the previous schema, with rows in every table: statement by statement, and twice.

Each statement runs in a transaction of its own where it can, so that before the commit the server itself says which locks it
took, what it rewrote and what it read through. What refuses a transaction (CREATE INDEX CONCURRENTLY, a DO block that commits)
runs without one and is watched from a second connection meanwhile.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.errors import GateError
from gate.facts import definition, seeding, throwaway
from gate.facts.connections import backend_of, postgres
from gate.facts.seeding import SeededTable, quoted
from gate.facts.statements import split
from gate.facts.subject import Subject
from gate.facts.throwaway import ThrowawayDatabase

if TYPE_CHECKING:
    import psycopg

__all__ = ["BLOCKS", "Lock", "Rehearsed", "Step", "previous_schema", "read"]

ROWS = 200
# Which locks on a table stop whom.
BLOCKS = {
    "AccessExclusiveLock": "reads and writes",
    "ExclusiveLock": "writes",
    "ShareRowExclusiveLock": "writes",
    "ShareLock": "writes",
}
_LOOK_EVERY_S = 0.002
_BEGINS = re.compile(r"(?:BEGIN|START\s+TRANSACTION)\b(?!.*;)", re.IGNORECASE)
_ENDS = re.compile(r"(?:COMMIT|END|ROLLBACK)\b", re.IGNORECASE)
_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
_LONGEST_TITLE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock on a table that was there before. `held_s` is until the end of its transaction."""

    relation: str
    mode: str
    held_s: float

    @property
    def blocks(self) -> str:
        return BLOCKS.get(self.mode, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One statement. `line` of the script, from 1. `watched`: seen from outside, so a lock held very briefly may be missing.

    rewritten: tables whose files are new. scanned: rows read through, by table. lock_timeout_ms: 0 is none.
    """

    number: int
    line: int
    title: str
    seconds: float
    watched: bool
    locks: tuple[Lock, ...]
    rewritten: tuple[str, ...]
    scanned: Mapping[str, int]
    lock_timeout_ms: int

    @property
    def shown(self) -> str:
        return f"line {self.line} ({self.title})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What the migration did to a database with rows.

    error: of the first run, with its statement. rows: by table, before and after. lost: columns and tables that are gone or of
    another type. emptied: columns of which fewer rows say something. changed_again, written_again: what a second run changed in
    the schema, and how many rows it wrote by table.
    """

    script: str
    steps: tuple[Step, ...]
    error: str
    rows_before: Mapping[str, int]
    rows_after: Mapping[str, int]
    lost: tuple[str, ...]
    emptied: tuple[str, ...]
    second_error: str
    changed_again: tuple[str, ...]
    written_again: Mapping[str, int]


_Made = tuple[ThrowawayDatabase, list[SeededTable], dict[str, int], Path]


@contextmanager
def previous_schema(subject: Subject) -> Iterator[_Made | None]:
    """A throw-away database with the schema before the migration, its tables, their rows, and the script; None without Postgres.

    Raises GateError when no migration or baseline is named, or the baseline is refused.
    """
    server = subject.scratch_url or subject.database_url
    if server and backend_of(server) == "sqlite":
        yield None
        return
    if subject.migration is None or subject.baseline is None:
        raise GateError("no migration to try: the subject names no migration script, or no baseline to run it on")
    if not server:
        raise GateError("no migration to try: there is no Postgres to try it on; name a scratch server")
    with throwaway.on_postgres(server) as database:
        database.execute(text_of(subject.baseline))
        with postgres(database.url, autocommit=True) as connection:
            tables = seeding.plan(connection)
            if not tables:
                raise GateError(f"{subject.baseline.name} makes no table; then there is nothing to migrate")
            script = text_of(subject.migration_rows) if subject.migration_rows is not None else ""
            counts = seeding.seed(connection, tables, rows=ROWS, script=script)
        yield database, tables, counts, subject.migration


def read(subject: Subject) -> Rehearsed | None:
    """Runs the migration twice; None where there is no Postgres."""
    with previous_schema(subject) as made:
        if made is None:
            return None
        database, tables, before, migration = made
        script = text_of(migration)
        with postgres(database.url, autocommit=True) as connection:
            old = definition.read(connection)
            said_before = {table.shown: _filled(connection, table) for table in tables}
            steps, error = _traced(connection, database.url, script)
            new = definition.read(connection)
            after = {table.shown: _rows(connection, table) for table in tables}
            emptied = [
                f"{table.shown}.{name} had {said_before[table.shown][name]} values and has {number}"
                for table in tables
                for name, number in _filled(connection, table).items()
                if number < said_before[table.shown].get(name, 0)
            ]
        second_error, again, written = "", new, {}
        if not error:
            # Counters of rows are complete when the session that wrote has ended.
            with postgres(database.url, autocommit=True) as observer:
                counted = _written(observer)
            second_error = run_plainly(database.url, script)
            with postgres(database.url, autocommit=True) as observer:
                again = definition.read(observer)
                written = {name: number - counted.get(name, 0) for name, number in _written(observer).items()}
        return Rehearsed(
            script=migration.name,
            steps=tuple(steps),
            error=error,
            rows_before=before,
            rows_after=after,
            lost=tuple(_lost(old, new)) if not error else (),
            emptied=tuple(emptied) if not error else (),
            second_error=second_error,
            changed_again=tuple(definition.differences(new, again)),
            written_again={name: number for name, number in written.items() if number},
        )


def run_plainly(url: str, script: str) -> str:
    """Runs a script as psql does with ON_ERROR_STOP; the first error with its line, or an empty text."""
    import psycopg

    with postgres(url, autocommit=True) as connection:
        for _, line, statement in numbered(script):
            try:
                connection.execute(statement.encode())
            except psycopg.Error as error:
                return f"line {line} ({title_of(statement)}): {said(error)}"
    return ""


def numbered(script: str) -> Iterator[tuple[int, int, str]]:
    """Each statement with its number and the line on which it begins, comments left out."""
    place = 0
    for number, statement in enumerate(split(script), start=1):
        found = script.index(statement, place)
        opening = _COMMENTS.match(statement)
        skipped = opening.end() if opening else 0
        yield number, script.count("\n", 0, found + skipped) + 1, statement
        place = found + len(statement)


def title_of(statement: str) -> str:
    plain = _COMMENTS.sub("", statement, count=1)
    return " ".join(plain.split("\n")[0].split())[:_LONGEST_TITLE]


def said(error: psycopg.Error) -> str:
    return " ".join((error.diag.message_primary or str(error)).split())


def text_of(script: Path) -> str:
    """Raises GateError for a script that cannot be read."""
    try:
        return script.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise GateError(f"{script}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise GateError(f"{script.name}: cannot be read as text ({type(error).__name__})") from None


def _traced(connection: psycopg.Connection[Any], url: str, script: str) -> tuple[list[Step], str]:
    import psycopg

    tables = dict(connection.execute(_TABLES).fetchall())
    steps: list[Step] = []
    opened: list[tuple[Step, float]] = []
    with postgres(url, autocommit=True) as observer:
        for number, line, statement in numbered(script):
            files = _files(connection)
            plain = _COMMENTS.sub("", statement, count=1)
            began = time.perf_counter()
            try:
                if opened or _BEGINS.match(plain):
                    seen = _inside(connection, statement, tables)
                elif _ENDS.match(plain):
                    seen = _outside(connection, observer, statement, tables)
                else:
                    seen = _alone(connection, observer, statement, tables)
            except psycopg.Error as error:
                return steps, f"line {line} ({title_of(statement)}): {said(error)}"
            locks, scanned, timeout_ms, watched, held = seen
            rewritten = tuple(sorted(name for name, file in _files(connection).items() if name in files and files[name] != file))
            step = Step(
                number=number,
                line=line,
                title=title_of(statement),
                seconds=time.perf_counter() - began,
                watched=watched,
                locks=tuple(Lock(relation=relation, mode=mode, held_s=held) for relation, mode in sorted(locks)),
                rewritten=rewritten,
                scanned=scanned,
                lock_timeout_ms=timeout_ms,
            )
            steps.append(step)
            if connection.info.transaction_status.name == "INTRANS":
                opened.append((step, began))
            else:
                opened = []
    return steps, ""


_Seen = tuple[set[tuple[str, str]], dict[str, int], int, bool, float]


def _alone(
    connection: psycopg.Connection[Any], observer: psycopg.Connection[Any], statement: str, tables: Mapping[int, str]
) -> _Seen:
    import psycopg

    try:
        connection.execute(b"BEGIN")
        began = time.perf_counter()
        locks, scanned, timeout_ms, _, _ = _inside(connection, statement, tables)
        connection.execute(b"COMMIT")
        return locks, scanned, timeout_ms, False, time.perf_counter() - began
    except (psycopg.errors.ActiveSqlTransaction, psycopg.errors.InvalidTransactionTermination):
        connection.execute(b"ROLLBACK")
        return _outside(connection, observer, statement, tables)
    except psycopg.Error:
        connection.execute(b"ROLLBACK")
        raise


def _inside(connection: psycopg.Connection[Any], statement: str, tables: Mapping[int, str]) -> _Seen:
    began = time.perf_counter()
    before = dict(connection.execute(_SCANNED).fetchall())
    connection.execute(statement.encode())
    locks = {(tables[oid], mode) for oid, mode in connection.execute(_OWN_LOCKS).fetchall() if oid in tables}
    # Counted since the session last told the server of it, which is not at each commit.
    scanned = {
        tables[oid]: rows - before.get(oid, 0)
        for oid, rows in connection.execute(_SCANNED).fetchall()
        if oid in tables and rows > before.get(oid, 0)
    }
    return locks, scanned, _timeout(connection), False, time.perf_counter() - began


def _outside(
    connection: psycopg.Connection[Any], observer: psycopg.Connection[Any], statement: str, tables: Mapping[int, str]
) -> _Seen:
    timeout_ms = _timeout(connection)
    locks: set[tuple[str, str]] = set()
    done = threading.Event()
    pid = connection.info.backend_pid

    def watch() -> None:
        while not done.is_set():
            locks.update((tables[oid], mode) for oid, mode in observer.execute(_LOCKS_OF, (pid,)).fetchall() if oid in tables)
            done.wait(_LOOK_EVERY_S)

    watcher = threading.Thread(target=watch, name="lock-watch", daemon=True)
    watcher.start()
    began = time.perf_counter()
    try:
        connection.execute(statement.encode())
    finally:
        held = time.perf_counter() - began
        done.set()
        watcher.join()
    return locks, {}, timeout_ms, True, held


def _timeout(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(b"SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'lock_timeout'").fetchone()
    return int(row[0]) if row else 0


def _files(connection: psycopg.Connection[Any]) -> dict[str, int]:
    return dict(connection.execute(_FILES).fetchall())


def _rows(connection: psycopg.Connection[Any], table: SeededTable) -> int:
    import psycopg

    try:
        row = connection.execute(f"SELECT count(*) FROM {table.quoted}".encode()).fetchone()
    except psycopg.errors.UndefinedTable:
        return 0
    return int(row[0]) if row else 0


def _filled(connection: psycopg.Connection[Any], table: SeededTable) -> dict[str, int]:
    """In how many rows each column says something; nothing of a table that has not all of its columns any more."""
    import psycopg

    if not table.columns:
        return {}
    counts = ", ".join(f"count(*) FILTER (WHERE {quoted(name)}::text <> '')" for name in table.columns)
    try:
        row = connection.execute(f"SELECT {counts} FROM {table.quoted}".encode()).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        return {}
    return dict(zip(table.columns, row or (), strict=True))


def _written(connection: psycopg.Connection[Any]) -> dict[str, int]:
    return dict(connection.execute(_WRITTEN).fetchall())


def _lost(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name, text in sorted(old.items()):
        kind = name.partition(" ")[0]
        if kind not in ("table", "column", "view"):
            continue
        if name not in new:
            yield f"{name} is gone"
        elif kind == "column" and _type(text) != _type(new[name]):
            yield f"{name} is {_type(new[name])}, and was {_type(text)}"


def _type(definition_text: str) -> str:
    return definition_text.partition(" DEFAULT ")[0].partition(" NOT NULL")[0]


_OWN = "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND c.relkind IN ('r', 'p', 'm')"
_JOIN = "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
_NAME = "CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname"
_TABLES = f"SELECT c.oid, {_NAME} FROM {_JOIN} WHERE {_OWN}".encode()
_OWN_LOCKS = b"""SELECT relation, mode FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation'
 AND granted AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"""
_LOCKS_OF = b"SELECT relation, mode FROM pg_catalog.pg_locks WHERE pid = %s AND locktype = 'relation' AND granted"
_SCANNED = b"SELECT relid, seq_tup_read FROM pg_catalog.pg_stat_xact_user_tables WHERE seq_scan > 0"
_FILES = f"""SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname,
  pg_catalog.pg_relation_filenode(c.oid)::bigint FROM {_JOIN} WHERE {_OWN}""".encode()
_WRITTEN = b"SELECT schemaname || '.' || relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_catalog.pg_stat_user_tables"
