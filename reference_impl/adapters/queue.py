"""Wake-ups on procrastinate: in Postgres for many workers, in memory for SQLite. The row is the truth and a job is only a
wake-up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from reference_impl.adapters.dsn import conninfo
from reference_impl.adapters.logs import REQUEST_ID
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
# Units that one process works for at the same time; each is a coroutine that mostly waits.
_CONCURRENCY: Final = 100
_HEARTBEAT_S: Final = 5.0
_STALLED_AFTER_S: Final = 20.0
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
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

    def __init__(self, url: str, *, metrics: Metrics, drain_s: float) -> None:
        self._url = url
        self._metrics = metrics
        self._drain_s = drain_s
        self._handlers: dict[str, Callable[[str], Awaitable[None]]] = {}
        self._running: dict[tuple[str, str], bool] = {}
        self._app: procrastinate.App | None = None

    def handle(self, task: str, handler: Callable[[str], Awaitable[None]]) -> None:
        self._handlers[task] = handler

    async def open(self) -> None:
        """Connects. Raises SchemaMissingError when Postgres lacks the queue's tables."""
        import procrastinate

        connector: procrastinate.BaseConnector
        if self._is_embedded:
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
            # Asking first costs less than an insert that is refused, and of many wake-ups in a row all but one are.
            if await self._not_waiting(task, [key]):
                await self._deferrer(task, key).defer_async(**_arguments(task, key))
        except AlreadyEnqueued:
            return
        except ConnectorException:
            self._note_failure()

    async def wake_many(self, task: str, keys: Sequence[str]) -> None:
        from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

        if self._app is None or not keys:
            return
        try:
            absent = await self._not_waiting(task, keys)
            if absent:
                jobs = [self._deferrer(task, key).make_new_job(**_arguments(task, key)) for key in absent]
                await self._app.job_manager.batch_defer_jobs_async(jobs)
        except AlreadyEnqueued:
            # Somebody was faster with one of them, and the batch is refused as a whole.
            for key in absent:
                await self.wake(task, key)
        except ConnectorException:
            self._note_failure()

    async def run(self) -> None:
        """Works until cancelled; then takes no new job and lets those under way end, for as long as `drain_s` seconds."""
        await existing(self._app, "open comes first").run_worker_async(
            queues=[_QUEUE],
            concurrency=_CONCURRENCY,
            install_signal_handlers=False,
            listen_notify=True,
            delete_jobs="always",
            shutdown_graceful_timeout=self._drain_s,
            update_heartbeat_interval=_HEARTBEAT_S,
            stalled_worker_timeout=_STALLED_AFTER_S,
        )

    async def take_over(self) -> int:
        """Puts the jobs of workers that have died back; how many there were. Whether one is dead is judged by the database."""
        from procrastinate.exceptions import ConnectorException
        from procrastinate.jobs import Status

        manager = existing(self._app, "open comes first").job_manager
        stalled = list(await manager.get_stalled_jobs(queue=_QUEUE, seconds_since_heartbeat=_STALLED_AFTER_S))
        for job in stalled:
            try:
                # The moment is the queue's own and this machine's clock may be wrong: long ago is due everywhere.
                await manager.retry_job(job, retry_at=_LONG_AGO)
            except ConnectorException:
                # The same wake-up waits already, or another worker has taken it over.
                with contextlib.suppress(ConnectorException):
                    await manager.finish_job(job, status=Status.FAILED, delete_job=True)
        if stalled:
            self._metrics.count("jobs_taken_over")
            _log.warning("jobs of a lost worker taken over", extra={"jobs": len(stalled)})
        return len(stalled)

    @property
    def _is_embedded(self) -> bool:
        return sa.make_url(self._url).get_backend_name() == "sqlite"

    def _deferrer(self, task: str, key: str) -> procrastinate.jobs.JobDeferrer:
        app = existing(self._app, "checked by the caller")
        return app.configure_task(_TASK, queue=_QUEUE, queueing_lock=f"{task}:{key}")

    async def _not_waiting(self, task: str, keys: Sequence[str]) -> list[str]:
        """Those of `keys` for which no job waits."""
        if self._is_embedded:
            waiting = await existing(self._app, "checked by the caller").job_manager.list_jobs_async(status="todo")
            locks = {job.queueing_lock for job in waiting}
        else:
            rows = await existing(self._app, "checked by the caller").connector.execute_query_all_async(
                "SELECT queueing_lock FROM procrastinate_jobs WHERE status = 'todo' AND queueing_lock = ANY(%(locks)s)",
                locks=[f"{task}:{key}" for key in keys],
            )
            locks = {row["queueing_lock"] for row in rows}
        return [key for key in dict.fromkeys(keys) if f"{task}:{key}" not in locks]

    def _note_failure(self) -> None:
        # The change itself is committed; the worker's sweep finds it without a wake-up.
        self._metrics.count("queue_failures")
        _log.warning("wake-up could not be queued", exc_info=True)

    async def _run_job(self, task: str, key: str, request_id: str | None = None) -> None:
        handler = self._handlers.get(task)
        if handler is None:
            _log.warning("wake-up for a task that is not known", extra={"task": task})
            return
        identity = (task, key)
        if identity in self._running:
            self._running[identity] = True
            return
        self._running[identity] = False
        token = REQUEST_ID.set(request_id)
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
            REQUEST_ID.reset(token)
            with contextlib.suppress(KeyError):
                del self._running[identity]


def _arguments(task: str, key: str) -> dict[str, str | None]:
    return {"task": task, "key": key, "request_id": REQUEST_ID.get()}
