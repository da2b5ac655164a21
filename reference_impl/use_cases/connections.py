"""The WhatsApp connection of a unit: connect, watch, disconnect, and what the provider reports meanwhile."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from reference_impl.domain.connections import PAUSING_REASONS, ConnectionEvent, EventKind, apply_event, instance_name, is_outdated
from reference_impl.domain.errors import (
    ConflictError,
    InvalidProviderError,
    NotFoundError,
    ProviderFailedError,
    ProviderUnavailableError,
)
from reference_impl.domain.invariants import existing
from reference_impl.domain.records import Connection
from reference_impl.ports import Clock, Events, Metrics, Provider, Queue, Store, UnitOfWork

__all__ = ["PROVIDER", "WAKE", "Connections"]

WAKE: Final = "poll"

PROVIDER: Final = "evolution"
_CONNECT_LEASE: Final = timedelta(seconds=90)
_QR_LOOKS: Final = 3
_QR_PAUSE_S: Final = 1.0
# A drop shows `close` for milliseconds up to seconds before the provider is back by itself.
_SECOND_LOOK_S: Final = 3.0
_log = logging.getLogger(__name__)


class Connections:
    """One connection for each unit.

    `webhook_url` makes the URL to register from a secret; `remember_secret` is told every secret, so that no log line shows it.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        provider: Provider,
        queue: Queue,
        events: Events,
        metrics: Metrics,
        webhook_url: Callable[[str], str],
        remember_secret: Callable[[str], None],
        secret_overlap: timedelta,
    ) -> None:
        self._store = store
        self._clock = clock
        self._provider = provider
        self._queue = queue
        self._events = events
        self._metrics = metrics
        self._webhook_url = webhook_url
        self._remember_secret = remember_secret
        self._secret_overlap = secret_overlap

    async def status(self, unit_id: UUID) -> Connection | None:
        """The stored connection; reading changes nothing."""
        async with self._store.unit_of_work(unit_id) as work:
            return await work.connections.of_unit(unit_id)

    async def connect(self, unit_id: UUID, provider: str) -> Connection:
        """Starts pairing, or returns the connection that pairs or is open already.

        Raises InvalidProviderError for a provider that is not known, ConflictError while another connect runs,
        ProviderFailedError,
        ProviderUnavailableError.
        """
        if provider != PROVIDER:
            raise InvalidProviderError
        begun = await self._begin(unit_id)
        if isinstance(begun, Connection):
            return begun
        connection, is_new = begun
        instance = existing(connection.instance_id, "set by _begin")
        url = self._webhook_url(existing(connection.webhook_secret, "set by _begin"))
        try:
            created = is_new and await self._provider.create_instance(instance, webhook_url=url)
            if not created:
                await self._register_again(instance, url)
            qr_code = await self._await_qr(unit_id, instance)
        except (ProviderFailedError, ProviderUnavailableError) as error:
            await self._give_up(connection, error)
            raise
        return await self._finish(connection, qr_code)

    async def disconnect(self, unit_id: UUID) -> Connection:
        """Logs the instance out. Raises NotFoundError, ProviderFailedError (also when unreachable); then nothing has changed."""
        connection = await self.status(unit_id)
        if connection is None or connection.instance_id is None:
            raise NotFoundError("Not found")
        try:
            await self._provider.logout(connection.instance_id)
        except ProviderUnavailableError as error:
            raise ProviderFailedError(error.sentence, details=error.details) from error
        async with self._store.unit_of_work(unit_id) as work:
            current = existing(await work.connections.of_unit(unit_id, lock=True), "connections are never deleted")
            now = work.now
            closed = replace(
                current,
                status="disconnected",
                status_reason="disconnected",
                disconnected_at=now,
                qr_code=None,
                degraded=False,
                connect_lease_until=None,
                connection_epoch=current.connection_epoch + 1,
                updated_at=now,
            )
            await self._store_change(work, current, closed, now)
        await self._announce(closed)
        return closed

    async def rotate_secret(self, unit_id: UUID) -> Connection:
        """Registers a new webhook secret; the old one stays valid for the overlap. Raises NotFoundError and the provider's
        errors.
        """
        fresh = self._new_secret()
        async with self._store.unit_of_work(unit_id) as work:
            now = work.now
            current = await work.connections.of_unit(unit_id, lock=True)
            if current is None or current.instance_id is None:
                raise NotFoundError("Not found")
            rotated = replace(
                current,
                webhook_secret=fresh,
                previous_webhook_secret=current.webhook_secret,
                previous_webhook_secret_expires_at=now + self._secret_overlap,
                updated_at=now,
            )
            await work.connections.save(rotated, expected_epoch=current.connection_epoch)
        try:
            await self._provider.set_webhook(instance_name(unit_id), webhook_url=self._webhook_url(fresh))
        except (ProviderFailedError, ProviderUnavailableError):
            # It may have been registered all the same: both stay valid, the old one for good.
            await self._take_back(rotated)
            raise
        return rotated

    async def apply(self, work: UnitOfWork, instance_id: str, event: ConnectionEvent) -> Connection | None:
        """Applies an event of the provider within the caller's transaction; the changed connection, None when nothing changed.

        Whoever calls must `announce` the change after the commit. An outdated event asks for a poll: it alone knows which
        of the two is true.
        """
        current = await work.connections.by_instance(instance_id, PROVIDER, lock=True)
        if current is None:
            return None
        now = work.now
        changed = apply_event(current, event, now)
        if changed is None:
            if is_outdated(current, event):
                self._metrics.count("connection_events", outcome="outdated")
                await self._queue.wake(WAKE, str(current.unit_id))
            return None
        await self._store_change(work, current, changed, now)
        return changed if (changed.status, changed.qr_code) != (current.status, current.qr_code) else None

    async def announce(self, connection: Connection) -> None:
        """Tells the unit's screens about a committed change."""
        await self._announce(connection)

    async def fail(self, unit_id: UUID, detail: str) -> None:
        """The provider refused this unit as a whole (key, instance): nothing can be sent until somebody acts."""
        async with self._store.unit_of_work(unit_id) as work:
            now = work.now
            current = await work.connections.of_unit(unit_id, lock=True)
            if current is None or current.status == "error":
                return
            failed = replace(
                current,
                status="error",
                status_reason="provider_refused",
                last_error=detail,
                qr_code=None,
                connection_epoch=current.connection_epoch + 1,
                updated_at=now,
            )
            await self._store_change(work, current, failed, now)
        _log.error("provider refuses the unit", extra={"unit_id": str(unit_id), "detail": detail})
        await self._announce(failed)

    async def wake_polls(self, interval_s: float) -> None:
        """Wakes a worker for every connection that was not polled for `interval_s` seconds."""
        async with self._store.unit_of_work(None) as work:
            units = await work.connections.units_to_poll(work.now - timedelta(seconds=interval_s))
        await self._queue.wake_many(WAKE, [str(unit_id) for unit_id in units])

    async def poll(self, unit_id: UUID) -> None:
        """Corrects a missed event. A provider that cannot be reached makes the connection degraded and changes nothing else."""
        first = await self._look(unit_id)
        if first is None:
            return
        event, epoch = first
        if event.kind is not EventKind.OPEN:
            await self._clock.sleep(_SECOND_LOOK_S)
            if await self._look(unit_id) != first:
                return
        try:
            event = await self._explained(unit_id, event)
        except (ProviderFailedError, ProviderUnavailableError) as error:
            _log.debug("no details of the instance", extra={"unit_id": str(unit_id), "detail": error.sentence})
        async with self._store.unit_of_work(unit_id) as work:
            connection = await work.connections.of_unit(unit_id, lock=True)
            # An event that came while the poll was under way is newer than what the poll saw.
            if connection is None or connection.instance_id is None or connection.connection_epoch != epoch:
                return
            changed = await self.apply(work, connection.instance_id, event)
        if changed is not None:
            _log.info("poll corrected the connection", extra={"unit_id": str(unit_id), "status": changed.status})
            self._metrics.count("connection_events", outcome="corrected_by_poll")
            await self._announce(changed)

    async def _take_back(self, rotated: Connection) -> None:
        async with self._store.unit_of_work(rotated.unit_id) as work:
            current = existing(await work.connections.of_unit(rotated.unit_id, lock=True), "connections are never deleted")
            kept = replace(
                current, webhook_secret=rotated.previous_webhook_secret, previous_webhook_secret=rotated.webhook_secret
            )
            await work.connections.save(kept, expected_epoch=current.connection_epoch)

    async def _begin(self, unit_id: UUID) -> Connection | tuple[Connection, bool]:
        """The connection as it is when there is nothing to do; else the leased row, committed with its secret, and whether
        it is new.
        """
        async with self._store.unit_of_work(unit_id) as work:
            now = work.now
            await work.connections.add_if_absent(unit_id=unit_id, instance_id=instance_name(unit_id), provider=PROVIDER, now=now)
            current = existing(await work.connections.of_unit(unit_id, lock=True), "added above")
            if current.connect_lease_until is not None and current.connect_lease_until > now:
                raise ConflictError("Another connect is running for this unit", retry_after_s=2.0)
            if current.status == "connected" or (current.status == "qr" and current.qr_code is not None):
                return current
            is_new = current.webhook_secret is None
            leased = replace(
                current,
                status="connecting",
                status_reason="initializing",
                instance_id=instance_name(unit_id),
                webhook_secret=current.webhook_secret or self._new_secret(),
                connect_lease_until=now + _CONNECT_LEASE,
                connection_epoch=current.connection_epoch + 1,
                qr_code=None,
                last_error=None,
                degraded=False,
                updated_at=now,
            )
            await work.connections.save(leased, expected_epoch=current.connection_epoch)
        self._remember_secret(existing(leased.webhook_secret, "set above"))
        return leased, is_new

    async def _await_qr(self, unit_id: UUID, instance: str) -> str | None:
        """The QR as soon as there is one; None when it takes longer, or when a webhook has told more meanwhile."""
        qr_code = await self._provider.request_qr(instance)
        for _ in range(_QR_LOOKS):
            if qr_code is not None:
                break
            await self._clock.sleep(_QR_PAUSE_S)
            connection = await self.status(unit_id)
            if connection is None or connection.status != "connecting":
                return None
            qr_code = await self._provider.request_qr(instance)
        if qr_code is None:
            # The instance may be open already, and its event lost.
            await self._queue.wake(WAKE, str(unit_id))
        return qr_code

    async def _register_again(self, instance_id: str, url: str) -> None:
        if await self._provider.state(instance_id) == "missing":
            await self._provider.create_instance(instance_id, webhook_url=url)
        else:
            await self._provider.set_webhook(instance_id, webhook_url=url)

    async def _finish(self, leased: Connection, qr_code: str | None) -> Connection:
        async with self._store.unit_of_work(leased.unit_id) as work:
            now = work.now
            current = existing(await work.connections.of_unit(leased.unit_id, lock=True), "connections are never deleted")
            finished = replace(current, connect_lease_until=None)
            # A webhook may have told more meanwhile: a newer QR, or the scan itself.
            untold = current.connection_epoch == leased.connection_epoch or (
                current.status == "connecting" and current.qr_code is None
            )
            if qr_code is not None and untold:
                finished = replace(
                    finished,
                    status="qr",
                    status_reason="waiting_scan",
                    qr_code=qr_code,
                    qr_updated_at=now,
                    connection_epoch=current.connection_epoch + 1,
                    updated_at=now,
                )
            await self._store_change(work, current, finished, now)
        await self._announce(finished)
        return finished

    async def _give_up(self, leased: Connection, error: ProviderFailedError | ProviderUnavailableError) -> None:
        async with self._store.unit_of_work(leased.unit_id) as work:
            now = work.now
            current = existing(await work.connections.of_unit(leased.unit_id, lock=True), "connections are never deleted")
            failed = replace(current, connect_lease_until=None, last_error=error.sentence, updated_at=now)
            if current.connection_epoch == leased.connection_epoch:
                failed = replace(
                    failed, status="error", status_reason="provider_error", connection_epoch=current.connection_epoch + 1
                )
            await self._store_change(work, current, failed, now)
        await self._announce(failed)

    async def _store_change(self, work: UnitOfWork, before: Connection, after: Connection, now: datetime) -> None:
        saved = await work.connections.save(after, expected_epoch=before.connection_epoch)
        if not saved:
            raise ConflictError("The connection changed meanwhile", retry_after_s=1.0)
        if before.status == after.status:
            return
        self._metrics.count("connection_changes", status=after.status)
        if before.status == "connected":
            self._metrics.count("connection_flaps", unit=str(after.unit_id))
        if after.status in ("disconnected", "error"):
            reason = after.status_reason if after.status_reason in PAUSING_REASONS else "disconnected"
            await work.campaigns.pause_all(after.unit_id, reason=reason or "disconnected", resume_at=None, now=now)

    async def _announce(self, connection: Connection) -> None:
        await self._events.publish(
            connection.unit_id, "status", {"status": connection.status, "reason": connection.status_reason}
        )

    async def _look(self, unit_id: UUID) -> tuple[ConnectionEvent, int] | None:
        """What the provider says, as an event, when it differs from what is stored; and the epoch it was compared with."""
        async with self._store.unit_of_work(unit_id) as work:
            connection, now = await work.connections.of_unit(unit_id), work.now
        if connection is None or connection.instance_id is None or connection.webhook_secret is None:
            return None
        if connection.connect_lease_until is not None and connection.connect_lease_until > now:
            return None
        error: str | None = None
        state = None
        try:
            state = await self._provider.state(connection.instance_id)
        except (ProviderFailedError, ProviderUnavailableError) as failure:
            error = failure.sentence
        async with self._store.unit_of_work(unit_id) as work:
            await work.connections.note_poll(connection.id, now=work.now, error=error)
        if error is not None:
            self._metrics.count("connection_events", outcome="poll_failed")
        match state, connection.status:
            case "open", status if status != "connected" or connection.phone is None:
                return ConnectionEvent(kind=EventKind.OPEN), connection.connection_epoch
            case "close" | "missing", "connected" | "connecting" | "qr":
                return ConnectionEvent(kind=EventKind.CLOSE), connection.connection_epoch
            case "connecting", "connected":
                return ConnectionEvent(kind=EventKind.CONNECTING), connection.connection_epoch
            case _:
                return None

    async def _explained(self, unit_id: UUID, event: ConnectionEvent) -> ConnectionEvent:
        details = await self._provider.details(instance_name(unit_id))
        if event.kind is EventKind.OPEN:
            return replace(event, phone=details.phone)
        return replace(event, code=details.disconnection_code) if event.kind is EventKind.CLOSE else event

    def _new_secret(self) -> str:
        secret = secrets.token_urlsafe(32)
        self._remember_secret(secret)
        return secret
