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
from reference_impl.use_cases.campaigns import WAKE as CAMPAIGNS
from reference_impl.use_cases.campaigns import CampaignService
from reference_impl.use_cases.connections import WAKE as POLL
from reference_impl.use_cases.connections import Connections
from reference_impl.use_cases.inbound import WAKE as REPLAY
from reference_impl.use_cases.inbound import InboundMessages
from reference_impl.use_cases.outbound import WAKE as SEND
from reference_impl.use_cases.outbound import OutboundMessages
from reference_impl.use_cases.reconcile import WAKE as RECONCILE
from reference_impl.use_cases.reconcile import Reconciliation
from reference_impl.use_cases.stopping import Stop

if TYPE_CHECKING:
    from reference_impl.settings import Settings

__all__ = ["Worker", "run_worker"]

_SWEEP_S: Final = 5.0
_QUEUE_PAUSE_S: Final = 5.0
_HOUSEKEEPING_S: Final = 3600.0
_EARLY_UPDATES_KEPT: Final = timedelta(days=7)
_log = logging.getLogger(__name__)


class Worker:
    """`run` works until it is cancelled, then ends what is under way. Several workers on one database share the work.

    Everything is done by jobs. The sweep only finds rows that nobody is working on and queues jobs for them: a wake-up, or the
    worker that had it, may have been lost.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        stop: Stop,
        queue: JobQueue,
        store: Store,
        connections: Connections,
        outbound: OutboundMessages,
        inbound: InboundMessages,
        campaigns: CampaignService,
        reconciliation: Reconciliation,
        poll_s: float,
    ) -> None:
        self._clock = clock
        self._stop = stop
        self._queue = queue
        self._store = store
        self._connections = connections
        self._outbound = outbound
        self._inbound = inbound
        self._campaigns = campaigns
        self._reconciliation = reconciliation
        self._poll_s = poll_s
        queue.handle(CAMPAIGNS, self._for_unit(campaigns.run))
        queue.handle(POLL, self._for_unit(connections.poll))
        queue.handle(REPLAY, self._replay)
        queue.handle(SEND, self._for_unit(outbound.send_due))
        queue.handle(RECONCILE, self._for_unit(reconciliation.run))

    async def run(self) -> None:
        _log.info("worker at work")
        jobs = asyncio.ensure_future(self._every(_QUEUE_PAUSE_S, self._queue.run))
        rounds = [
            asyncio.ensure_future(self._every(self._poll_s, self._poll)),
            asyncio.ensure_future(self._every(_SWEEP_S, self._sweep)),
            asyncio.ensure_future(self._every(_HOUSEKEEPING_S, self._keep_house)),
        ]
        try:
            await asyncio.gather(jobs, *rounds)
        finally:
            # New jobs are not found any more; those under way see the request, and their calls are waited for.
            self._stop.request()
            for task in (*rounds, jobs):
                task.cancel()
            await asyncio.gather(*rounds, jobs, return_exceptions=True)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except StorageUnavailableError as error:
                _log.warning("work put off: database cannot be used", extra={"work": work.__name__}, exc_info=error.__cause__)
            except Exception:
                _log.exception("work failed", extra={"work": work.__name__})
            await self._clock.sleep(seconds)

    async def _sweep(self) -> None:
        for work in (
            self._queue.take_over,
            self._campaigns.start_due,
            self._campaigns.wake_all,
            self._outbound.recover,
            self._reconciliation.wake_all,
        ):
            try:
                await work()
            except Exception:
                # One that fails must not keep the others from their turn.
                _log.exception("work failed", extra={"work": work.__name__})

    async def _poll(self) -> None:
        await self._connections.wake_polls(self._poll_s)

    async def _keep_house(self) -> None:
        async with self._store.unit_of_work(None) as work:
            await work.refresh_tokens.delete_expired(work.now)
            await work.messages.drop_updates_before(work.now - _EARLY_UPDATES_KEPT)

    async def _replay(self, key: str) -> None:
        await self._inbound.replay(UUID(key))

    def _for_unit(self, work: Callable[[UUID], Awaitable[None]]) -> Callable[[str], Awaitable[None]]:
        async def run(key: str) -> None:
            await work(UUID(key))

        return run


def run_worker(settings: Settings, clock: Clock | None = None) -> None:
    """Works until SIGTERM or SIGINT, in a process without HTTP. Raises what stops the start."""
    from reference_impl.bootstrap import build

    asyncio.run(_run_alone(build(settings, clock).run_worker))


async def _run_alone(work: Callable[[], Awaitable[None]]) -> None:
    import signal

    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(work())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running
