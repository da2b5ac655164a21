"""Databases that may be written to and broken: made for one look, and dropped after it.

On Postgres a database of its own on a given server, on SQLite a file in a temporary folder. Nothing here ever writes into the
database that is being released.
"""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gate.errors import GateError
from gate.facts.connections import backend_of, postgres, sqlite, with_database
from gate.facts.statements import split

__all__ = ["ThrowawayDatabase", "on_postgres", "on_sqlite"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrowawayDatabase:
    """A database that may be broken; a saboteur's world. `url` may hold the password of the server."""

    url: str = field(repr=False)

    @property
    def backend(self) -> str:
        return backend_of(self.url)

    def execute(self, sql: str) -> list[Any]:
        """Runs the statements one by one, each committed; the rows of the last one. Raises GateError when one is refused."""
        rows: list[Any] = []
        if self.backend == "sqlite":
            with sqlite(self.url) as connection:
                for statement in split(sql):
                    rows = connection.execute(statement).fetchall()
            return rows
        import psycopg

        with postgres(self.url, autocommit=True) as server:
            for statement in split(sql):
                try:
                    cursor = server.execute(statement.encode())
                except psycopg.Error as error:
                    raise GateError(f"throw-away database: {' '.join(str(error).split())}") from error
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def type_of(self, canonical: str) -> str:
        """How this database declares a type: `timestamptz` is DATETIME on SQLite."""
        return _SQLITE_TYPES.get(canonical, canonical) if self.backend == "sqlite" else canonical

    def drop_column(self, table: str, column: str) -> None:
        """Drops a column and the indexes over it, as Postgres does by itself."""
        if self.backend == "sqlite":
            query = f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = '{table}'"  # noqa: S608
            for name, definition in self.execute(query):
                if re.search(rf"\b{re.escape(column)}\b", definition or ""):
                    self.execute(f'DROP INDEX "{name}"')
        self.execute(f'ALTER TABLE "{table}" DROP COLUMN "{column}"')

    def replace_column(self, table: str, column: str, definition: str) -> None:
        """Drops a column and adds one of the same name: `replace_column("messages", "retry_count", "text")`."""
        self.drop_column(table, column)
        self.execute(f'ALTER TABLE "{table}" ADD COLUMN "{column}" {definition}')


_SQLITE_TYPES = {"timestamptz": "datetime", "jsonb": "json", "uuid": "char(32)"}


@contextmanager
def on_postgres(server_url: str, *, template: str | None = None) -> Iterator[ThrowawayDatabase]:
    """A database of its own on that server, empty or a copy of `template`. Raises GateError when it may not be created."""
    import psycopg
    from psycopg import sql

    name = f"golive_gate_{secrets.token_hex(6)}"
    source = sql.SQL("template0") if template is None else sql.Identifier(template)
    with postgres(server_url, autocommit=True) as server:
        try:
            server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), source))
        except psycopg.errors.InsufficientPrivilege:
            raise GateError(
                "a throw-away database cannot be created: the role lacks CREATEDB; name a scratch server whose role has it"
            ) from None
        except psycopg.Error as error:
            raise GateError(f"a throw-away database cannot be created: {' '.join(str(error).split())}") from error
    try:
        yield ThrowawayDatabase(url=with_database(server_url, name))
    finally:
        with postgres(server_url, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def on_sqlite() -> Iterator[ThrowawayDatabase]:
    """An empty SQLite file, in shared memory where there is some."""
    shared = Path("/dev/shm")  # noqa: S108 – a folder of its own is made below it
    with tempfile.TemporaryDirectory(prefix="golive-gate-", dir=shared if shared.is_dir() else None) as folder:
        path = Path(folder, "throwaway.sqlite")
        path.touch()
        yield ThrowawayDatabase(url=f"sqlite:///{path}")
