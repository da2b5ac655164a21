"""What a datastore does when it is written to: seen on a throw-away database, by a second pair of eyes.

The application's own store is opened through a factory, `Subject.datastore`: `factory(url) -> Store`; one that is named by an
import string runs in a clean interpreter. Whatever the store says it has written is looked for with a connection of the gate's
own, so that a store that swaps its database in silence is found.
"""

from __future__ import annotations

import importlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gate.errors import GateError
from gate.facts import throwaway
from gate.facts.connections import Backend, backend_of, postgres, sqlite
from gate.facts.interpreter import ask
from gate.facts.subject import Subject
from gate.facts.throwaway import ThrowawayDatabase

__all__ = ["Datastore", "Race", "Store", "observe", "read"]

TIMEOUT_S = 30.0
# Long enough for a writer that does not wait at all to be done, on a busy machine.
RACE_TIMEOUT_S = 10.0
_WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND %s = ANY(pg_blocking_pids(pid))"
TEXTS = ("plain", 'it\'s "quoted" \\ %s :name $1', "São Paulo – ção 👩🏽‍💻", "two\nlines\tand a tab", "")


class Store(Protocol):
    """What a factory returns. `table`, `key_column` and `value_column` say where the gate may look for itself.

    `upsert` writes one value under one key and commits. `read` gives every value under a key. `backend` is what the application
    believes it is using: `postgresql` or `sqlite`.
    """

    table: str
    key_column: str
    value_column: str
    backend: str

    def upsert(self, key: str, value: str) -> None: ...

    def read(self, key: str) -> list[str]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """Two writers of one key, the second while the first had not committed. `error` is what the second one raised."""

    values: tuple[str, ...]
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Datastore:
    """What was observed.

    configured: what the URL names. declared: what the store says it uses. server: the version of what answers there.
    first, second: values that the gate itself found after the first and the second write of one key. `upsert_error` is what the
    second raised. echoes: (written, read) for awkward texts. stray: what reading a key that was never written gave.
    race is None on SQLite, which has one writer at a time.
    """

    configured: Backend
    declared: str
    server: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    upsert_error: str
    echoes: tuple[tuple[str, tuple[str, ...]], ...]
    stray: tuple[str, ...]
    race: Race | None

    @property
    def embedded(self) -> bool:
        return self.declared == "sqlite"


def read(subject: Subject) -> Datastore:
    """Writes into a throw-away database of the kind that the subject's URL names. Raises GateError when it could not look."""
    if not subject.datastore:
        raise GateError("the application's datastore was not named; name the factory of its store in database.datastore")
    backend = backend_of(subject.database_url)
    with _scratch(subject, backend) as database:
        if callable(subject.datastore):
            try:
                return observe(subject.datastore, database.url)
            except Exception as raised:
                raise GateError(f"the datastore: {_said(raised)}") from raised
        found = ask(
            "gate.facts.datastore",
            {"factory": subject.datastore, "url": database.url},
            paths=subject.source_paths,
            timeout_s=TIMEOUT_S,
            what=f"the datastore {subject.datastore}",
            environment=subject.application_environment,
        )
        if "error" in found:
            raise GateError(f"the datastore {subject.datastore}: {found['error']}")
        return _from_json(found)


def answer(question: dict[str, Any]) -> None:
    """The part of `read` that runs in a clean interpreter."""
    module, _, attribute = question["factory"].partition(":")
    try:
        found = observe(getattr(importlib.import_module(module), attribute), question["url"])
        reply = {name: getattr(found, name) for name in Datastore.__slots__ if name != "race"}
        reply["race"] = {"values": found.race.values, "error": found.race.error} if found.race is not None else None
    except Exception as raised:
        reply = {"error": _said(raised)}
    with os.fdopen(question["reply"], "w") as file:
        json.dump(reply, file)
    os._exit(0)


def observe(factory: Callable[[str], Store], url: str) -> Datastore:
    """Opens a store on the throw-away database `url` and writes. Raises what the factory raises."""
    store = factory(url)
    try:
        store.upsert("key-1", "first")
        first = _values(url, store, "key-1")
        error = ""
        try:
            store.upsert("key-1", "second")
        except Exception as raised:
            error = _said(raised)
        second = _values(url, store, "key-1")
        echoes = []
        for number, text in enumerate(TEXTS):
            store.upsert(f"echo-{number}", text)
            echoes.append((text, tuple(store.read(f"echo-{number}"))))
        stray = tuple(store.read("key-never-written"))
        race = _race(factory, store, url) if backend_of(url) == "postgresql" else None
        return Datastore(
            configured=backend_of(url),
            declared=store.backend,
            server=_server(url),
            first=first,
            second=second,
            upsert_error=error,
            echoes=tuple(echoes),
            stray=stray,
            race=race,
        )
    finally:
        store.close()


def _race(factory: Callable[[str], Store], store: Store, url: str) -> Race:
    """Holds a first write open, lets a second store write the same key, and commits once that one waits or is done."""
    from psycopg import sql

    store.upsert("race", "before")
    with postgres(url) as first:
        place = [sql.Identifier(name) for name in (store.table, store.key_column, store.value_column)]
        row = first.execute(sql.SQL("SELECT to_jsonb(t) FROM {} t WHERE {} = 'race'").format(*place[:2])).fetchone()
        if row is None:
            return Race(values=(), error="the first write was not there")
        first.execute(sql.SQL("DELETE FROM {} WHERE {} = 'race'").format(*place[:2]))
    with postgres(url) as first:
        # The same row again, by hand and not committed: the second writer cannot see it yet.
        first.execute(
            sql.SQL("INSERT INTO {0} SELECT * FROM jsonb_populate_record(NULL::{0}, %s::jsonb)").format(place[0]),
            (json.dumps(row[0]),),
        )
        errors: list[str] = []

        def write() -> None:
            other = factory(url)
            try:
                other.upsert("race", "after")
            except Exception as raised:
                errors.append(_said(raised))
            finally:
                other.close()

        writer = threading.Thread(target=write, name="second-writer", daemon=True)
        writer.start()
        deadline = time.monotonic() + RACE_TIMEOUT_S
        with postgres(url, autocommit=True) as watcher:
            pid = first.info.backend_pid
            while writer.is_alive() and time.monotonic() < deadline:
                if watcher.execute(_WAITING, (pid,)).fetchone():
                    break
                writer.join(0.01)
        first.commit()
        writer.join(RACE_TIMEOUT_S)
        if writer.is_alive():
            errors.append("it was still waiting after the first had committed")
    return Race(values=_values(url, store, "race"), error="; ".join(errors))


def _values(url: str, store: Store, key: str) -> tuple[str, ...]:
    """What a connection of the gate's own finds under a key."""
    table, key_column, value_column = (name.replace('"', '""') for name in (store.table, store.key_column, store.value_column))
    query = f'SELECT "{value_column}" FROM "{table}" WHERE "{key_column}" = '  # noqa: S608
    if backend_of(url) == "postgresql":
        import psycopg

        try:
            with postgres(url, read_only=True) as server:
                return tuple(row[0] for row in server.execute((query + "%s").encode(), (key,)))
        except psycopg.errors.UndefinedTable:
            return ()
    import sqlite3

    with sqlite(url, read_only=True) as connection:
        try:
            return tuple(row[0] for row in connection.execute(query + "?", (key,)))
        except sqlite3.OperationalError:
            return ()


def _server(url: str) -> str:
    if backend_of(url) == "postgresql":
        with postgres(url, read_only=True) as server:
            number = server.info.server_version
            return f"PostgreSQL {number // 10_000}.{number % 10_000}"
    with sqlite(url, read_only=True) as connection:
        return f"SQLite {connection.execute('SELECT sqlite_version()').fetchone()[0]}"


@contextmanager
def _scratch(subject: Subject, backend: Backend) -> Iterator[ThrowawayDatabase]:
    if backend == "sqlite":
        with throwaway.on_sqlite() as database:
            yield database
        return
    with throwaway.on_postgres(subject.scratch_url or subject.database_url) as database:
        for script in (subject.baseline, subject.migration):
            if script is not None:
                database.execute(_text(script))
        yield database


def _text(script: Path) -> str:
    try:
        return script.read_text(encoding="utf-8")
    except OSError as error:
        raise GateError(f"{script}: cannot be read ({error.strerror})") from error


def _from_json(found: dict[str, Any]) -> Datastore:
    race = found["race"]
    return Datastore(
        configured=found["configured"],
        declared=found["declared"],
        server=found["server"],
        first=tuple(found["first"]),
        second=tuple(found["second"]),
        upsert_error=found["upsert_error"],
        echoes=tuple((written, tuple(values)) for written, values in found["echoes"]),
        stray=tuple(found["stray"]),
        race=Race(values=tuple(race["values"]), error=race["error"]) if race is not None else None,
    )


def _said(raised: BaseException) -> str:
    return f"{type(raised).__name__}: {' '.join(str(raised).split())}"
