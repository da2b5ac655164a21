"""Read-only look at Postgres: who waits for a lock for more than a second, and how many connections are in use."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from harness.errors import HarnessError
from harness.monitor.sources import Readings

__all__ = ["DatabaseSource"]

_READINGS = ("lock_waits", "connections_used")
_TIMEOUT_MS = 2000
# `waitstart` is when the wait began; one wait has one process and one beginning, however often it is seen.
_WAITS = """
SELECT pid, extract(epoch FROM waitstart)::float8
FROM pg_locks
WHERE NOT granted AND waitstart < clock_timestamp() - interval '1 second'
"""
_CONNECTIONS = """
SELECT count(*)::float8 / (
  SELECT setting::float8 FROM pg_settings WHERE name = 'max_connections'
)
FROM pg_stat_activity
WHERE backend_type = 'client backend'
"""


class DatabaseSource:
    """Reads with its own connection. Raises HarnessError when Postgres cannot be reached; the message never shows the URL."""

    def __init__(self, url: str) -> None:
        import psycopg

        try:
            self._connection: psycopg.Connection[Any] = psycopg.connect(
                url.replace("postgresql+psycopg://", "postgresql://", 1),
                autocommit=True,
                connect_timeout=5,
                application_name="golive watch",
                options=f"-c default_transaction_read_only=on -c statement_timeout={_TIMEOUT_MS}",
            )
        except psycopg.Error as error:
            raise HarnessError(f"the database cannot be reached for the watch ({type(error).__name__})") from error
        self._waits: set[tuple[int, float]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def read(self) -> Readings:
        """`lock_waits` seen since the beginning, and the part of the connections in use, ours included."""
        import psycopg

        try:
            self._waits |= {(int(pid), float(began)) for pid, began in self._connection.execute(_WAITS)}
            row = self._connection.execute(_CONNECTIONS).fetchone()
        except psycopg.Error as error:
            return Readings(errors=dict.fromkeys(_READINGS, f"the database did not answer ({type(error).__name__})"))
        if row is None:
            return Readings(errors=dict.fromkeys(_READINGS, "the database answered no row"))
        return Readings(values={"lock_waits": float(len(self._waits)), "connections_used": float(row[0])})
