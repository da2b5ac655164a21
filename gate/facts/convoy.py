"""The convoy: what customers feel while a migration waits for a lock that somebody idle holds.

Whoever asks for a lock behind a waiting ALTER TABLE waits too, and after him everybody. An idle reader holds a transaction open,
readers and writers come at fixed moments whatever the others do, and the migration has to give up soon, let them pass and come
again. How long a client waited is told by the server, so that a busy machine is not taken for a lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from gate.errors import GateError
from gate.facts.connections import postgres
from gate.facts.rehearsed import numbered, previous_schema, said, text_of, title_of
from gate.facts.seeding import SeededTable, quoted
from gate.facts.subject import Subject

__all__ = ["LONGEST_WAIT_MS", "Convoy", "read"]

LONGEST_WAIT_MS = 250
CLIENTS = 4
EVERY_S = 0.02
ATTEMPTS = 30
PAUSE_S = 0.2
PATIENCE_S = 60.0
IDLE_S = 15.0
_LOOK_EVERY_S = 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class Convoy:
    """How it went. `gave_up`: lock timeouts of the migration; `waited_ms`: the longest that a client waited for a lock.

    error: why the migration did not end well, empty when it did. refused: what a client's statement was refused with.
    """

    script: str
    gave_up: int
    finished: bool
    error: str
    waited_ms: float
    waited_for: str
    statements: int
    slowest_ms: float
    refused: tuple[str, ...]
    seconds: float


@dataclass(slots=True)
class _Clients:
    """What the clients did, all of them together."""

    stop: threading.Event = field(default_factory=threading.Event)
    pids: list[int] = field(default_factory=list)
    statements: int = 0
    slowest_s: float = 0.0
    refused: dict[str, None] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def read(subject: Subject) -> Convoy | None:
    """Holds the drill; None where there is no Postgres. Raises GateError when it could not be held."""
    with previous_schema(subject) as made:
        if made is None:
            return None
        database, tables, _, migration = made
        return _held(database.url, tables, text_of(migration), migration.name)


def _held(url: str, tables: Sequence[SeededTable], script: str, name: str) -> Convoy:
    clients, migration = _Clients(), _Migration(url, script)
    began = time.monotonic()
    workers = [
        threading.Thread(target=_client, args=(url, tables, number, clients), name=f"client-{number}", daemon=True)
        for number in range(CLIENTS)
    ]
    waited_s, waited_for = 0.0, ""
    try:
        with postgres(url, autocommit=True) as observer, postgres(url) as idle:
            version = observer.info.server_version
            if version < 140000:
                raise GateError(f"PostgreSQL {version // 10000} does not tell how long a lock was waited for; the drill needs 14")
            for table in tables:
                idle.execute(f"SELECT 1 FROM {table.quoted} LIMIT 1".encode())
            for worker in workers:
                worker.start()
            while len(clients.pids) < CLIENTS and not clients.refused:
                time.sleep(_LOOK_EVERY_S)
            migration.start()
            released = False
            while not migration.ended.wait(_LOOK_EVERY_S):
                row = observer.execute(_WAITING, (clients.pids,)).fetchone()
                if row is not None and row[0] is not None and row[0] > waited_s:
                    waited_s, waited_for = float(row[0]), str(row[1] or "")
                passed = time.monotonic() - began
                if not released and (migration.gave_up or waited_s * 1000 > LONGEST_WAIT_MS or passed > IDLE_S):
                    idle.rollback()
                    released = True
                if passed > PATIENCE_S:
                    raise GateError(f"{name} did not end within {PATIENCE_S:g} s of the drill")
    finally:
        clients.stop.set()
        migration.stop.set()
        for worker in workers:
            if worker.ident is not None:
                worker.join(timeout=10)
    return Convoy(
        script=name,
        gave_up=migration.gave_up,
        finished=not migration.error,
        error=migration.error,
        waited_ms=waited_s * 1000,
        waited_for=waited_for,
        statements=clients.statements,
        slowest_ms=clients.slowest_s * 1000,
        refused=tuple(clients.refused),
        seconds=time.monotonic() - began,
    )


class _Migration:
    """The script, run as with psql and begun again from its first statement when a lock could not be had."""

    def __init__(self, url: str, script: str) -> None:
        self._url, self._script = url, script
        self.gave_up, self.error = 0, ""
        self.ended, self.stop = threading.Event(), threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="migration", daemon=True).start()

    def _run(self) -> None:
        try:
            for _ in range(ATTEMPTS):
                if self._once():
                    return
                self.gave_up += 1
                if self.stop.wait(PAUSE_S):
                    return
            self.error = f"it gave up {self.gave_up} times, and never got its locks"
        except GateError as error:
            self.error = str(error)
        finally:
            self.ended.set()

    def _once(self) -> bool:
        import psycopg

        with postgres(self._url, autocommit=True) as connection:
            for _, line, statement in numbered(self._script):
                try:
                    connection.execute(statement.encode())
                except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                    return False
                except psycopg.Error as error:
                    self.error = f"line {line} ({title_of(statement)}): {said(error)}"
                    return True
        return True


def _client(url: str, tables: Sequence[SeededTable], number: int, clients: _Clients) -> None:
    import psycopg

    statements = [_reading(table) if number % 2 else _writing(table) for table in tables]
    try:
        with postgres(url, autocommit=True) as connection:
            with clients.lock:
                clients.pids.append(connection.info.backend_pid)
            due, turn = time.monotonic(), number
            while not clients.stop.is_set():
                try:
                    connection.execute(statements[turn % len(statements)].encode())
                except psycopg.Error as error:
                    with clients.lock:
                        clients.refused.setdefault(said(error))
                # Late is late from the moment at which the statement was due, not from when there was time for it.
                late = time.monotonic() - due
                with clients.lock:
                    clients.statements += 1
                    clients.slowest_s = max(clients.slowest_s, late)
                due, turn = max(due + EVERY_S, time.monotonic() - 1.0), turn + 1
                clients.stop.wait(max(0.0, due - time.monotonic()))
    except GateError as error:
        with clients.lock:
            clients.refused.setdefault(str(error))


def _reading(table: SeededTable) -> str:
    return f"SELECT * FROM {table.quoted} LIMIT 1"


def _writing(table: SeededTable) -> str:
    column = next(iter(table.columns), None)
    if column is None:
        return _reading(table)
    name = quoted(column)
    # Each takes the row that nobody else has, so that only a table's lock can make it wait.
    row = f"(SELECT ctid FROM {table.quoted} LIMIT 1 FOR UPDATE SKIP LOCKED)"
    return f"UPDATE {table.quoted} SET {name} = {name} WHERE ctid = {row}"


_WAITING = b"""
SELECT extract(epoch FROM clock_timestamp() - waitstart), relation::regclass::text FROM pg_catalog.pg_locks
 WHERE NOT granted AND waitstart IS NOT NULL AND locktype = 'relation' AND pid = ANY(%s) ORDER BY waitstart LIMIT 1
"""
