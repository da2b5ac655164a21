"""Wake-ups on procrastinate: in Postgres for many workers, in memory for SQLite. The row is the truth and a job is only a
wake-up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from reference_impl.adapters.dsn import conninfo
from reference_impl.domain.errors import SchemaMissingError
from reference_impl.domain.invariants import existing
from reference_impl.ports import Metrics

if TYPE_CHECKING:
    import procrastinate

__all__ = ["QUEUE_SCHEMA", "JobQueue", "apply_schema"]

# Its own schema, so that the tables of the application stay the only ones in theirs.
QUEUE_SCHEMA: Final = "procrastinate"
_QUEUE: Final = "wake"
_TASK: Final = "wake"
_RUNTIME_ROLE: Final = "golive_runtime"
_log = logging.getLogger(__name__)


def apply_schema(url: str) -> bool:
    """Makes the queue's tables on Postgres and lets the runtime role use them; whether there was anything to make.

    Safe to run again and at the same time. Raises psycopg.Error.
    """
    import procrastinate
    import psycopg
    from procrastinate.schema import SchemaManager
    from psycopg import sql

    schema, role = sql.Identifier(QUEUE_SCHEMA), sql.Identifier(_RUNTIME_ROLE)
    with psycopg.connect(conninfo(url), connect_timeout=10) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('procrastinate schema'))")
        present = connection.execute("SELECT to_regclass(%s)", [f"{QUEUE_SCHEMA}.procrastinate_jobs"]).fetchone()
        made = present is None or present[0] is None
        if made:
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
            connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(schema))
            manager = SchemaManager(procrastinate.PsycopgConnector())
            connection.execute(manager.get_schema().encode())
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [_RUNTIME_ROLE]).fetchone() is not None:
            for statement in (
                "GRANT USAGE ON SCHEMA {0} TO {1}",
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {0} TO {1}",
                "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {0} TO {1}",
                "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {0} TO {1}",
            ):
                connection.execute(sql.SQL(statement).format(schema, role))
    return made


class JobQueue:
    """`open` before `wake`; `run` is the worker and returns only when cancelled. One run for one (task, key) at a time in a
    process.
    """

    def __init__(self, url: str, *, metrics: Metrics) -> None:
        self._url = url
        self._metrics = metrics
        self._handlers: dict[str, Callable[[str], Awaitable[None]]] = {}
        self._running: dict[tuple[str, str], bool] = {}
        self._app: procrastinate.App | None = None

    def handle(self, task: str, handler: Callable[[str], Awaitable[None]]) -> None:
        self._handlers[task] = handler

    async def open(self) -> None:
        """Connects. Raises SchemaMissingError when Postgres lacks the queue's tables."""
        import procrastinate

        connector: procrastinate.BaseConnector
        if sa.make_url(self._url).get_backend_name() == "sqlite":
            from procrastinate.testing import InMemoryConnector

            connector = InMemoryConnector()
        else:
            connector = procrastinate.PsycopgConnector(
                conninfo=conninfo(self._url, options=f"-c search_path={QUEUE_SCHEMA}"), min_size=1, max_size=4, timeout=5.0
            )
        self._app = procrastinate.App(connector=connector)
        self._app.task(name=_TASK, queue=_QUEUE)(self._run_job)
        await self._app.open_async()
        if not await self._app.check_connection_async():
            await self.close()
            raise SchemaMissingError("the job queue has no tables in this database; run `golive backend migrate` first")

    async def close(self) -> None:
        if self._app is not None:
            await self._app.close_async()
            self._app = None

    async def wake(self, task: str, key: str) -> None:
        from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

        if self._app is None:
            return
        try:
            await self._app.configure_task(_TASK, queue=_QUEUE, queueing_lock=f"{task}:{key}").defer_async(task=task, key=key)
        except AlreadyEnqueued:
            return
        except ConnectorException:
            # The change itself is committed; the worker's sweep finds it without a wake-up.
            self._metrics.count("queue_failures")
            _log.warning("wake-up could not be queued", exc_info=True)

    async def run(self, *, concurrency: int) -> None:
        """Works until cancelled; then jobs under way are cancelled too, because every one of them can be taken up again."""
        await existing(self._app, "open comes first").run_worker_async(
            queues=[_QUEUE],
            concurrency=concurrency,
            install_signal_handlers=False,
            listen_notify=True,
            delete_jobs="always",
            shutdown_graceful_timeout=0,
        )

    async def _run_job(self, task: str, key: str) -> None:
        handler = self._handlers.get(task)
        if handler is None:
            _log.warning("wake-up for a task that is not known", extra={"task": task})
            return
        identity = (task, key)
        if identity in self._running:
            self._running[identity] = True
            return
        self._running[identity] = False
        try:
            while True:
                await handler(key)
                if not self._running[identity]:
                    return
                self._running[identity] = False
        except asyncio.CancelledError:
            raise
        except Exception:
            self._metrics.count("queue_failures")
            _log.exception("wake-up failed", extra={"task": task})
        finally:
            with contextlib.suppress(KeyError):
                del self._running[identity]
