"""Puts the parts together; the one place that knows which adapter stands behind which port."""

from __future__ import annotations

import asyncio
import importlib.metadata
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from reference_impl import chaffs, wheats
from reference_impl.adapters.clock import SystemClock
from reference_impl.adapters.database import Database
from reference_impl.adapters.events import EventBroker, PostgresRelay
from reference_impl.adapters.evolution import EvolutionProvider
from reference_impl.adapters.logs import JsonLog
from reference_impl.adapters.metrics import PrometheusMetrics
from reference_impl.adapters.passwords import ArgonPasswords
from reference_impl.adapters.queue import JobQueue
from reference_impl.adapters.tokens import JwtTokens, WebhookTokens
from reference_impl.domain.records import Connection
from reference_impl.entrypoints.worker import Worker
from reference_impl.ports import Clock, Store
from reference_impl.settings import Settings
from reference_impl.use_cases.campaigns import CampaignService
from reference_impl.use_cases.connections import Connections
from reference_impl.use_cases.contacts import Contacts
from reference_impl.use_cases.inbound import InboundMessages
from reference_impl.use_cases.login import Authentication
from reference_impl.use_cases.outbound import OutboundMessages
from reference_impl.use_cases.readiness import Readiness
from reference_impl.use_cases.reconcile import Reconciliation
from reference_impl.use_cases.stopping import Stop
from reference_impl.use_cases.units import Units

__all__ = ["Backend", "Services", "build"]

# Between the end of a call on our side and the last moment at which the provider may still have sent.
_RECONCILE_MARGIN_S = 30.0
# Beyond the longest call that a stopping worker waits for.
_DRAIN_MARGIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the routes use."""

    clock: Clock
    metrics: PrometheusMetrics
    metrics_token: str | None
    events: EventBroker
    authentication: Authentication
    units: Units
    connections: Connections
    contacts: Contacts
    outbound: OutboundMessages
    inbound: InboundMessages
    campaigns: CampaignService
    readiness: Readiness
    closing: asyncio.Event
    open_docs: bool
    webhook_tokens: WebhookTokens | None
    version: str
    started: float

    def uptime(self) -> float:
        """Seconds since the backend was built, on its clock."""
        return self.clock.monotonic() - self.started


class Backend:
    """One backend: `app` for a server, `lifespan` for whoever serves without one, `run_worker` for a process without HTTP."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._running = 0
        known = (
            settings.evolution_api_key,
            settings.jwt_access_secret,
            settings.jwt_refresh_secret,
            settings.metrics_token or "",
            settings.webhook_jwt_key or "",
            settings.bootstrap_admin_password or "",
            settings.database_url if "@" in settings.database_url else "",
        )
        self._log = JsonLog(path=settings.log_file, level=settings.log_level, clock=clock, secrets=known)
        self._metrics = PrometheusMetrics()
        self._database = Database(settings.database_url, clock=clock, pool_size=settings.database_pool_size)
        self._queue = JobQueue(
            settings.database_url, metrics=self._metrics, drain_s=settings.evolution_timeout_seconds + _DRAIN_MARGIN_S
        )
        self._events = EventBroker()
        self._relay = PostgresRelay(settings.database_url, broker=self._events, clock=clock)
        self._passwords = ArgonPasswords()
        self._provider = EvolutionProvider(
            url=settings.evolution_api_url,
            key=settings.evolution_api_key,
            clock=clock,
            metrics=self._metrics,
            timeout_s=settings.evolution_timeout_seconds,
            webhook_jwt_key=settings.webhook_jwt_key,
        )
        self._stop = stop = Stop(clock)
        jitter = random.Random()  # noqa: S311 - spreads retries, guards nothing
        connections = Connections(
            store=self._database,
            clock=clock,
            provider=self._provider,
            queue=self._queue,
            events=self._events,
            metrics=self._metrics,
            webhook_url=lambda secret: f"{settings.base_url}/webhooks/whatsapp/evolution/{secret}",
            remember_secret=self._log.remember,
            secret_overlap=timedelta(seconds=settings.webhook_secret_overlap_seconds),
        )
        outbound = OutboundMessages(
            store=self._database,
            stop=stop,
            provider=self._provider,
            connections=connections,
            queue=self._queue,
            events=self._events,
            metrics=self._metrics,
            lease_s=settings.evolution_timeout_seconds + settings.lease_margin_seconds,
            reconcile_grace_s=settings.reconcile_grace_seconds,
            jitter=jitter,
        )
        reconciliation = Reconciliation(
            store=self._database,
            stop=stop,
            provider=self._provider,
            outbound=outbound,
            queue=self._queue,
            metrics=self._metrics,
            window_s=settings.evolution_timeout_seconds + _RECONCILE_MARGIN_S,
        )
        campaigns = CampaignService(
            store=self._database,
            stop=stop,
            outbound=outbound,
            queue=self._queue,
            metrics=self._metrics,
            gap_s=settings.campaign_gap_seconds,
            lease_s=settings.evolution_timeout_seconds + settings.lease_margin_seconds,
            jitter=jitter,
        )
        inbound = InboundMessages(
            store=self._database,
            clock=clock,
            connections=connections,
            outbound=outbound,
            reconciliation=reconciliation,
            queue=self._queue,
            events=self._events,
            metrics=self._metrics,
            secrets=known,
        )
        self._worker = Worker(
            clock=clock,
            stop=stop,
            queue=self._queue,
            store=self._database,
            connections=connections,
            outbound=outbound,
            inbound=inbound,
            campaigns=campaigns,
            reconciliation=reconciliation,
            poll_s=settings.evolution_poll_seconds,
        )
        self.services = Services(
            clock=clock,
            metrics=self._metrics,
            metrics_token=settings.metrics_token,
            events=self._events,
            authentication=Authentication(
                store=self._database,
                clock=clock,
                passwords=self._passwords,
                tokens=JwtTokens(
                    access_secret=settings.jwt_access_secret, refresh_secret=settings.jwt_refresh_secret, clock=clock
                ),
                metrics=self._metrics,
            ),
            units=Units(store=self._database, clock=clock, passwords=self._passwords),
            connections=connections,
            contacts=Contacts(store=self._database, clock=clock),
            outbound=outbound,
            inbound=inbound,
            campaigns=campaigns,
            readiness=Readiness(store=self._database, provider=self._provider, metrics=self._metrics),
            closing=stop.event,
            open_docs=settings.open_docs,
            webhook_tokens=(
                WebhookTokens(key=settings.webhook_jwt_key, clock=clock) if settings.webhook_jwt_key is not None else None
            ),
            version=_version(),
            started=clock.monotonic(),
        )
        self._app: Any = None
        self._reached = 0
        if settings.chaff is not None:
            chaffs.plant(self, settings.chaff)
        if settings.wheat is not None:
            wheats.sow(self, settings.wheat)

    @property
    def provider(self) -> EvolutionProvider:
        return self._provider

    @property
    def clock(self) -> Clock:
        return self.services.clock

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def reached(self) -> int:
        """How often a planted change was run through."""
        return self._reached

    def reach(self) -> None:
        """Counts that a planted change is run through."""
        self._reached += 1

    def wrap(self, middleware: Callable[[Any], Any]) -> None:
        """Puts an ASGI middleware around the application."""
        self._app = middleware(self.app)

    @property
    def store(self) -> Store:
        """Where everything durable lives."""
        return self._database

    @property
    def app(self) -> Any:
        """The ASGI application."""
        if self._app is None:
            from reference_impl.entrypoints.http import build_app

            self._app = build_app(self.services, self.lifespan, self._settings)
        return self._app

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Everything open and, unless another process works, the worker running. Raises what stops the start."""
        # A server may run the application's own lifespan inside one that its caller opened already.
        if self._running:
            yield
            return
        self._running += 1
        try:
            async with AsyncExitStack() as stack:
                await self._open(stack)
                if self._settings.worker_in_process or self._database.is_embedded:
                    stack.push_async_callback(_stop, asyncio.ensure_future(self._worker.run()))
                stack.callback(self._stop.request)
                yield
        finally:
            self._running -= 1

    async def check(self) -> None:
        """Opens everything once and closes it. Raises what would stop the start."""
        async with AsyncExitStack() as stack:
            await self._open(stack)

    async def replay(self, limit: int) -> int:
        """Queues the oldest deliveries in quarantine for a worker, at most `limit`; how many."""
        async with AsyncExitStack() as stack:
            await self._open(stack)
            return len(await self.services.inbound.replay_all(limit))

    async def rotate_webhook_secret(self, unit_id: UUID) -> Connection:
        """Registers a new webhook secret for the unit's connection. Raises what `Connections.rotate_secret` does."""
        async with AsyncExitStack() as stack:
            await self._open(stack)
            return await self.services.connections.rotate_secret(unit_id)

    async def run_worker(self) -> None:
        """Works until cancelled."""
        async with AsyncExitStack() as stack:
            await self._open(stack)
            await self._worker.run()

    async def _open(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        self._log.open()
        stack.callback(self._log.close)
        stack.callback(self._passwords.close)
        await self._database.open()
        stack.push_async_callback(self._database.close)
        await self._queue.open()
        stack.push_async_callback(self._queue.close)
        if not self._database.is_embedded:
            stack.push_async_callback(_stop, asyncio.ensure_future(self._relay.run()))
        await self._provider.open()
        stack.push_async_callback(self._provider.close)
        if settings.bootstrap_admin_email is not None and settings.bootstrap_admin_password is not None:
            await self.services.units.bootstrap(email=settings.bootstrap_admin_email, password=settings.bootstrap_admin_password)


def build(settings: Settings, clock: Clock | None = None) -> Backend:
    """A backend that has opened nothing yet; `clock` is the machine's own unless given."""
    return Backend(settings, clock if clock is not None else SystemClock())


async def _stop(task: asyncio.Future[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _version() -> str:
    try:
        return importlib.metadata.version("golive")
    except importlib.metadata.PackageNotFoundError:
        return "0"
