"""The worker: wake-ups from the queue, and on the clock whatever a lost wake-up or a crash left undone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from reference_impl.adapters.queue import JobQueue
from reference_impl.domain.errors import StorageUnavailableError
from reference_impl.ports import Clock, Store
from reference_impl.use_cases.campaigns import WAKE, CampaignService
from reference_impl.use_cases.connections import Connections
from reference_impl.use_cases.outbound import OutboundMessages
from reference_impl.use_cases.reconcile import Reconciliation

if TYPE_CHECKING:
    from reference_impl.settings import Settings

__all__ = ["Worker", "run_worker"]

_SWEEP_S: Final = 5.0
_QUEUE_PAUSE_S: Final = 5.0
_HOUSEKEEPING_S: Final = 3600.0
# Units with a running campaign at the same time in one process; each is a coroutine that mostly sleeps.
_CONCURRENCY: Final = 100
_EARLY_UPDATES_KEPT: Final = timedelta(days=7)
_log = logging.getLogger(__name__)


class Worker:
    """`run` works until it is cancelled. Several workers on one database share the work."""

    def __init__(
        self,
        *,
        clock: Clock,
        queue: JobQueue,
        store: Store,
        connections: Connections,
        outbound: OutboundMessages,
        campaigns: CampaignService,
        reconciliation: Reconciliation,
        poll_s: float,
    ) -> None:
        self._clock = clock
        self._queue = queue
        self._store = store
        self._connections = connections
        self._outbound = outbound
        self._campaigns = campaigns
        self._reconciliation = reconciliation
        self._poll_s = poll_s
        queue.handle(WAKE, self._run_campaigns)
        queue.handle("poll", self._poll)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(_QUEUE_PAUSE_S, self._work_queue))
            tasks.create_task(self._every(self._poll_s, self._connections.poll_all))
            tasks.create_task(self._every(_SWEEP_S, self._sweep))
            tasks.create_task(self._every(_HOUSEKEEPING_S, self._keep_house))

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except StorageUnavailableError as error:
                _log.warning("work put off: database cannot be used", extra={"work": work.__name__}, exc_info=error.__cause__)
            except Exception:
                _log.exception("work failed", extra={"work": work.__name__})
            await self._clock.sleep(seconds)

    async def _work_queue(self) -> None:
        # Ends only by an error, such as a lost connection; then it is begun anew.
        await self._queue.run(concurrency=_CONCURRENCY)

    async def _sweep(self) -> None:
        await self._campaigns.start_scheduled()
        await self._campaigns.wake_all()
        await self._outbound.recover()
        await self._reconciliation.run()

    async def _keep_house(self) -> None:
        now = self._clock.now()
        async with self._store.unit_of_work(None) as work:
            await work.refresh_tokens.delete_expired(now)
            await work.messages.drop_updates_before(now - _EARLY_UPDATES_KEPT)

    async def _run_campaigns(self, key: str) -> None:
        await self._campaigns.run(UUID(key))

    async def _poll(self, key: str) -> None:
        await self._connections.poll(UUID(key))


def run_worker(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT, in a process without HTTP. Raises what stops the start."""
    from reference_impl.bootstrap import build

    asyncio.run(_run_alone(build(settings).run_worker))


async def _run_alone(work: Callable[[], Awaitable[None]]) -> None:
    import signal

    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(work())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running
