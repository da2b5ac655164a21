"""Units of work on SQLAlchemy Core: psycopg 3 on Postgres, one shared connection on SQLite in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from reference_impl.adapters import schema
from reference_impl.adapters.repositories import SqlUnitOfWork
from reference_impl.domain.errors import SchemaMissingError, StorageUnavailableError, UnsafeRoleError, UnstorableError
from reference_impl.domain.invariants import existing
from reference_impl.ports import Clock

__all__ = ["Database"]

# The provider is never called inside a transaction, so one that takes longer than this is stuck. In a zone east of Greenwich the
# last moment of the year 9999 could not be read.
_SESSION = "-c statement_timeout=10000 -c idle_in_transaction_session_timeout=10000 -c lock_timeout=5000 -c timezone=UTC"
_SYSTEM = "app.scope = 'system'"
_UNAVAILABLE = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)


class Database:
    """One database. `open` before use, `close` after; both belong to one event loop. Only with `any_role` may whoever connects be
    one whom row-level security does not hold.

    Transactions know the database's time. It cannot be moved, so `clock` says how far the time of this process was.
    """

    def __init__(self, url: str, *, clock: Clock, pool_size: int = 10, any_role: bool = False) -> None:
        self._url = _async_url(url)
        self._clock = clock
        self._pool_size = pool_size
        self._any_role = any_role
        self._engine: AsyncEngine | None = None
        # SQLite in memory lives as long as its one connection, so its transactions take turns.
        self._turn = asyncio.Lock() if self.is_embedded else None

    @property
    def is_embedded(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    async def open(self) -> None:
        """Connects. Makes the tables on SQLite; on Postgres raises SchemaMissingError when the migration has not run, and
        UnsafeRoleError when row-level security does not hold for whoever connects.
        """
        if self.is_embedded:
            self._engine = create_async_engine(self._url, poolclass=StaticPool, connect_args={"check_same_thread": False})
            async with self._engine.begin() as connection:
                await connection.exec_driver_sql("PRAGMA foreign_keys = ON")
                await connection.run_sync(schema.metadata.create_all)
            return
        self._engine = create_async_engine(
            self._url,
            pool_size=self._pool_size,
            max_overflow=0,
            pool_timeout=5,
            # `_begin` says BEGIN itself, together with the scope; the driver ends what it finds begun.
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            connect_args={
                "connect_timeout": 5,
                "application_name": "reference-backend",
                "options": f"{_options(self._url)} {_SESSION}".strip(),
            },
        )
        try:
            async with self._engine.connect() as connection:
                missing = await connection.run_sync(_missing)
                unguarded = [] if missing or self._any_role else await _unguarded(connection)
        except _UNAVAILABLE as error:
            await self.close()
            raise StorageUnavailableError("The database cannot be reached") from error
        if missing:
            await self.close()
            raise SchemaMissingError(
                f"the database is not migrated: {', '.join(missing[:5])} missing; run `golive backend migrate` first"
            )
        if unguarded:
            await self.close()
            raise UnsafeRoleError(
                f"the role of DATABASE_URL sees every tenant's rows ({', '.join(unguarded[:3])}): it is a superuser or bypasses"
                " row-level security; use a login that is a member of golive_runtime, or add options=-crole%3Dgolive_runtime"
            )

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    async def ping(self) -> None:
        """Raises StorageUnavailableError when no query is answered."""
        async with self._transaction(_SYSTEM) as (connection, _):
            await connection.execute(sa.text("SELECT 1"))

    @contextlib.asynccontextmanager
    async def unit_of_work(self, unit_id: UUID | None) -> AsyncIterator[SqlUnitOfWork]:
        """One transaction in the scope of `unit_id`, or of the whole system when None; commits unless the block raises.

        Raises StorageUnavailableError when the database cannot be used; then nothing was changed. Do not nest.
        """
        scope = _SYSTEM if unit_id is None else f"app.unit_id = '{UUID(str(unit_id))}'"
        async with self._transaction(scope) as (connection, now):
            yield SqlUnitOfWork(connection, now)

    @contextlib.asynccontextmanager
    async def _transaction(self, scope: str) -> AsyncIterator[tuple[AsyncConnection, datetime]]:
        engine = self._engine
        if engine is None:
            raise StorageUnavailableError("The database is not open")
        try:
            if self._turn is not None:
                async with self._turn, engine.begin() as connection:
                    yield connection, self._clock.now()
                return
            connection, now = await self._begun(engine, scope)
            async with contextlib.aclosing(connection), connection.begin():
                yield connection, now + timedelta(seconds=self._clock.ahead())
        except (*_UNAVAILABLE, psycopg.OperationalError) as error:
            if isinstance(getattr(error, "orig", error), psycopg.errors.ProgramLimitExceeded):
                raise UnstorableError from error
            raise StorageUnavailableError("The database cannot be used now") from error
        except (sa.exc.DataError, UnicodeEncodeError) as error:
            raise UnstorableError from error

    async def _begun(self, engine: AsyncEngine, scope: str) -> tuple[AsyncConnection, datetime]:
        # When the server has restarted, every pooled connection is dead, and each is found so once. Nothing was done on it yet.
        for _ in range(self._pool_size):
            with contextlib.suppress(psycopg.OperationalError):
                return await _begin(engine, scope)
        return await _begin(engine, scope)


async def _begin(engine: AsyncEngine, scope: str) -> tuple[AsyncConnection, datetime]:
    """A connection in a new transaction with its scope set, and the server's time: one round trip, where a ping, BEGIN, a setting
    and a question would be four.
    """
    connection = await engine.connect()
    try:
        raw = await connection.get_raw_connection()
        driver: psycopg.AsyncConnection[Any] = existing(raw.driver_connection, "a connection that is checked out has one")
        # Several statements cannot be prepared.
        answers = await driver.execute(f"BEGIN; SET LOCAL {scope}; SELECT clock_timestamp()".encode(), prepare=False)
        while answers.nextset():
            pass
        (now,) = existing(await answers.fetchone(), "a SELECT without FROM has one row")
    except BaseException:
        await connection.invalidate()
        await connection.close()
        raise
    return connection, now


def _async_url(url: str) -> sa.URL:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return parsed.set(drivername="sqlite+aiosqlite")
    return parsed.set(drivername="postgresql+psycopg")


def _options(url: sa.URL) -> str:
    given = url.query.get("options", "")
    return given if isinstance(given, str) else " ".join(given)


async def _unguarded(connection: AsyncConnection) -> list[str]:
    """The tenants' tables that the present role sees whole."""
    names = [table.name for table in schema.metadata.tables.values() if "unit_id" in table.c]
    rows = await connection.execute(
        sa.text("SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE NOT row_security_active(name)"), {"names": names}
    )
    return sorted(rows.scalars())


def _missing(connection: sa.Connection) -> list[str]:
    inspector = sa.inspect(connection)
    present = set(inspector.get_table_names())
    missing = [name for name in schema.metadata.tables if name not in present]
    if missing:
        return [f"table {name}" for name in missing]
    columns: dict[tuple[str | None, str], list[Any]] = dict(inspector.get_multi_columns())
    found = {table: {column["name"] for column in listed} for (_, table), listed in columns.items()}
    return [
        f"column {table.name}.{column.name}"
        for table in schema.metadata.tables.values()
        for column in table.columns
        if column.name not in found.get(table.name, set())
    ]
