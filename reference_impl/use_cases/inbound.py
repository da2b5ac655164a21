"""What the provider delivers: customer messages, acknowledgements, connection events. An answer of 2xx means committed."""

from __future__ import annotations

import hmac
import logging
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal
from uuid import UUID, uuid4

from reference_impl.domain.connections import unit_of_instance
from reference_impl.domain.errors import BackendError, InvalidProviderError, NotFoundError, ThrottledError, UnstorableError
from reference_impl.domain.invariants import existing
from reference_impl.domain.limits import SlidingWindow
from reference_impl.domain.phones import phone_variants
from reference_impl.domain.records import Connection, Message
from reference_impl.domain.webhooks import (
    Envelope,
    InboundMessage,
    MalformedEventError,
    NoInstanceError,
    StatusUpdate,
    connection_event,
    echo,
    inbound_messages,
    is_known_event,
    parse_event,
    status_updates,
    strip_secrets,
)
from reference_impl.ports import Clock, Events, Metrics, Queue, Store, UnitOfWork
from reference_impl.use_cases.connections import PROVIDER, Connections
from reference_impl.use_cases.outbound import OutboundMessages
from reference_impl.use_cases.reconcile import Reconciliation

__all__ = ["WAKE", "InboundMessages", "Receipt"]

WAKE: Final = "replay"

_HEAD_KEPT: Final = 4096
_QUARANTINE_BODY_KEPT: Final = 256 * 1024
# A secret that the cut goes through is not recognised.
_SECRET_LONGEST: Final = 1024
_LONG_DIGITS: Final = re.compile(rb"[0-9]{4,}([0-9]{4})")
_ZONE_STEP_S: Final = 900.0
_WRONG_SECRETS: Final = 600
_WRONG_SECRETS_WINDOW_S: Final = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of one delivery; `refused` is the wrong secret."""

    warning: Literal["no_instance", "unknown_instance", "quarantined"] | None = None
    duplicate: bool = False
    refused: bool = False


_UNKNOWN_INSTANCE: Final = Receipt(warning="unknown_instance")


@dataclass(slots=True)
class _Effects:
    """What to tell after the commit, and what could not be read."""

    connections: list[Connection] = field(default_factory=list)
    moved: list[Message] = field(default_factory=list)
    received: list[Message] = field(default_factory=list)
    provider_time: datetime | None = None
    seen_before: int = 0
    poison: list[str] = field(default_factory=list)


class InboundMessages:
    """Handles deliveries of every unit. What is kept of one that cannot be processed holds none of `secrets`."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        connections: Connections,
        outbound: OutboundMessages,
        reconciliation: Reconciliation,
        queue: Queue,
        events: Events,
        metrics: Metrics,
        secrets: tuple[str, ...],
    ) -> None:
        self._store = store
        self._queue = queue
        self._secrets = secrets
        self._clock = clock
        self._connections = connections
        self._outbound = outbound
        self._reconciliation = reconciliation
        self._events = events
        self._metrics = metrics
        self._wrong_secrets = SlidingWindow(limit=_WRONG_SECRETS, window_s=_WRONG_SECRETS_WINDOW_S)

    async def handle(self, provider: str, secret: str, body: bytes) -> Receipt:
        """Commits everything that the delivery says, once.

        Raises InvalidProviderError for a provider that is not known, ThrottledError after too many wrong secrets for one
        instance,
        StorageUnavailableError when nothing could be committed.
        """
        if provider != PROVIDER:
            raise InvalidProviderError
        try:
            envelope = parse_event(body)
        except NoInstanceError:
            self._metrics.count("webhooks", event="none", outcome="no_instance")
            return Receipt(warning="no_instance")
        except MalformedEventError as error:
            return await self._quarantine_unread(provider, secret, body, str(error), len(body))
        label = envelope.event if is_known_event(envelope.event) else "unknown"
        unit_id = unit_of_instance(envelope.instance)
        receipt = await self._process(unit_id, secret, envelope, body) if unit_id is not None else _UNKNOWN_INSTANCE
        if receipt.warning == "unknown_instance":
            self._metrics.count("unknown_instance")
            _log.warning("webhook for an instance that is not known", extra={"webhook_event": label})
        outcome = receipt.warning or ("duplicate" if receipt.duplicate else "processed")
        self._metrics.count("webhooks", event=label, outcome="wrong_secret" if receipt.refused else outcome)
        if receipt.refused:
            self._refuse(envelope.instance, unit_id)
        return receipt

    async def replay_all(self, limit: int) -> list[UUID]:
        """Wakes a worker for each of the oldest deliveries in quarantine; which those are."""
        async with self._store.unit_of_work(None) as work:
            kept = [entry.id for entry in await work.quarantine.open(limit)]
        await self._queue.wake_many(WAKE, [str(quarantine_id) for quarantine_id in kept])
        return kept

    async def refuse_oversized(self, provider: str, secret: str, head: bytes, size: int) -> None:
        """Keeps the head of a body that was too large to read."""
        await self._quarantine_unread(provider, secret, head[:_HEAD_KEPT], "over the size limit", size)

    async def replay(self, quarantine_id: UUID) -> Receipt:
        """Processes a quarantined delivery again. Raises NotFoundError when there is none or its instance is not known."""
        async with self._store.unit_of_work(None) as work:
            kept = await work.quarantine.get(quarantine_id)
        if kept is None:
            raise NotFoundError("Not found")
        try:
            envelope = parse_event(kept.body)
            unit_id = unit_of_instance(envelope.instance)
            if unit_id is None:
                raise NotFoundError("Not found")
            effects = _Effects()
            async with self._store.unit_of_work(unit_id) as work:
                if await work.connections.by_instance(envelope.instance, kept.provider) is None:
                    raise NotFoundError("Not found")
                await self._apply(work, unit_id, envelope, effects)
        except (MalformedEventError, NoInstanceError, UnstorableError) as error:
            effects = _Effects(poison=[str(error)])
        async with self._store.unit_of_work(None) as work:
            problem = "; ".join(sorted(set(effects.poison))) or None
            await work.quarantine.note_replay(quarantine_id, error=problem, now=work.now)
        await self._tell(effects)
        return Receipt(warning="quarantined" if effects.poison else None)

    def _is_secret_of(self, connection: Connection, secret: str, now: datetime) -> bool:
        overlap = connection.previous_webhook_secret_expires_at
        previous = connection.previous_webhook_secret if overlap is not None and now < overlap else None
        given = secret.encode("utf-8", "surrogatepass")
        # Both are always compared, so that the time tells nothing.
        matches = [
            hmac.compare_digest(given, (valid or "").encode()) and bool(valid) for valid in (connection.webhook_secret, previous)
        ]
        return any(matches)

    async def _process(self, unit_id: UUID, secret: str, envelope: Envelope, body: bytes) -> Receipt:
        # Whoever sends it is judged in the transaction that stores it: a second one would cost as much again.
        connection, effects = None, _Effects()
        try:
            async with self._store.unit_of_work(unit_id) as work:
                connection = await work.connections.by_instance(envelope.instance, PROVIDER)
                if connection is None:
                    return _UNKNOWN_INSTANCE
                if not self._is_secret_of(connection, secret, work.now):
                    return Receipt(refused=True)
                await self._apply(work, unit_id, envelope, effects)
        except (MalformedEventError, UnstorableError) as error:
            effects = _Effects(poison=[str(error)])
        except BackendError:
            raise
        except Exception:
            # The same bytes would fail again with every redelivery: kept for a person, they are not lost.
            _log.exception("webhook could not be processed", extra={"unit_id": str(unit_id)})
            effects = _Effects(poison=["could not be processed"])
        if effects.poison:
            connection = existing(connection, "nothing is read before it was found")
            await self._quarantine(connection, envelope.event, body, "; ".join(sorted(set(effects.poison))), len(body))
        await self._tell(effects)
        if effects.poison:
            return Receipt(warning="quarantined")
        return Receipt(duplicate=effects.seen_before > 0 and not effects.received)

    def _refuse(self, instance: str, unit_id: UUID | None) -> None:
        """Notes a wrong secret. Raises ThrottledError after too many of them."""
        _log.warning("webhook with a wrong secret", extra={"unit_id": str(unit_id)})
        wait = self._wrong_secrets.wait_s(instance, self._clock.monotonic())
        if wait > 0:
            raise ThrottledError("Too many wrong secrets", retry_after_s=wait)
        self._wrong_secrets.note(instance, self._clock.monotonic())

    async def _apply(self, work: UnitOfWork, unit_id: UUID, envelope: Envelope, effects: _Effects) -> None:
        """Stores what the delivery says. Raises MalformedEventError for an event that is not known."""
        if not is_known_event(envelope.event):
            raise MalformedEventError("event not known")
        match envelope.event:
            case "messages.upsert":
                await self._receive(work, unit_id, envelope, effects)
            case "messages.update":
                await self._acknowledge(work, unit_id, envelope, effects)
            case "send.message":
                found = echo(envelope.data)
                moved = await self._reconciliation.by_echo(work, unit_id, found) if found is not None else None
                effects.moved += [moved] if moved is not None else []
            case "connection.update" | "qrcode.updated":
                event = connection_event(envelope)
                changed = await self._connections.apply(work, envelope.instance, event) if event is not None else None
                if changed is not None:
                    effects.connections.append(changed)
                    effects.provider_time = envelope.occurred_at

    async def _receive(self, work: UnitOfWork, unit_id: UUID, envelope: Envelope, effects: _Effects) -> None:
        found = list(inbound_messages(envelope.data))
        effects.poison += [str(entry) for entry in found if isinstance(entry, MalformedEventError)]
        # In one order for every transaction, so that two batches cannot wait for each other's contacts.
        messages = sorted(
            (entry for entry in found if isinstance(entry, InboundMessage)),
            key=lambda entry: (entry.phone or "", entry.lid or ""),
        )
        for message in messages:
            stored = await self._store_message(work, unit_id, message)
            if stored is None:
                effects.seen_before += 1
            else:
                effects.received.append(stored)

    async def _store_message(self, work: UnitOfWork, unit_id: UUID, found: InboundMessage) -> Message | None:
        if await work.messages.by_external_id(unit_id, found.external_id) is not None:
            return None
        now = work.now
        contact = await work.contacts.get_or_add(
            unit_id=unit_id,
            phone=found.phone,
            lid=found.lid,
            name=found.push_name,
            now=now,
            variants=phone_variants(found.phone) if found.phone is not None else (),
        )
        if contact.name is None and found.push_name is not None:
            await work.contacts.name_if_nameless(contact.id, found.push_name, now)
        message = _inbound_row(found, unit_id, await work.conversations.open_of(contact, now), now)
        return message if await work.messages.add(message, provider=PROVIDER) else None

    async def _acknowledge(self, work: UnitOfWork, unit_id: UUID, envelope: Envelope, effects: _Effects) -> None:
        found = list(status_updates(envelope.data))
        effects.poison += [str(entry) for entry in found if isinstance(entry, MalformedEventError)]
        # In one order for every transaction, so that two batches cannot wait for each other's messages.
        for update in sorted((entry for entry in found if isinstance(entry, StatusUpdate)), key=lambda entry: entry.external_id):
            moved = await self._outbound.acknowledge(work, unit_id, update.external_id, update.status)
            if moved is not None:
                effects.moved.append(moved)

    async def _tell(self, effects: _Effects) -> None:
        for connection in effects.connections:
            _log.info(
                "connection changed",
                extra={"unit_id": str(connection.unit_id), "status": connection.status, "reason": connection.status_reason},
            )
            await self._connections.announce(connection)
            if effects.provider_time is not None:
                self._metrics.observe("status_latency", _latency_s(effects.provider_time, self._clock.now()))
        for message in effects.moved:
            await self._outbound.announce(message)
        for message in effects.received:
            self._metrics.count("messages", direction="inbound", status="received")
            if message.provider_timestamp is not None:
                latency = (self._clock.now() - message.provider_timestamp).total_seconds()
                self._metrics.observe("inbound_latency", max(0.0, latency))
            await self._events.publish(
                message.unit_id, "message", {"id": str(message.id), "conversationId": str(message.conversation_id)}
            )

    async def _quarantine_unread(self, provider: str, secret: str, body: bytes, reason: str, size: int) -> Receipt:
        # It names no instance, so only a secret that is ours earns it a place; anybody can send garbage.
        async with self._store.unit_of_work(None) as work:
            connection = await work.connections.by_secret(secret, provider) if _could_be_secret(secret) else None
        if connection is not None:
            await self._quarantine(connection, None, body, reason, size)
        self._metrics.count("webhooks", event="none", outcome="quarantined")
        return Receipt(warning="quarantined")

    async def _quarantine(self, connection: Connection, event: str | None, body: bytes, reason: str, size: int) -> None:
        its_own = tuple(secret for secret in (connection.webhook_secret, connection.previous_webhook_secret) if secret)
        kept = strip_secrets(body[:_QUARANTINE_BODY_KEPT], self._secrets + its_own)
        if size > len(body) or len(body) > _QUARANTINE_BODY_KEPT:
            # What is not whole cannot be replayed, and so needs no phone either.
            kept = _LONG_DIGITS.sub(rb"****\1", kept[:-_SECRET_LONGEST])
        async with self._store.unit_of_work(connection.unit_id) as work:
            await work.quarantine.add(
                unit_id=connection.unit_id,
                provider=connection.provider,
                instance_id=connection.instance_id,
                event=event,
                reason=reason,
                body=kept,
                body_size=size,
                now=work.now,
            )
        _log.warning("webhook quarantined", extra={"unit_id": str(connection.unit_id), "reason": reason})


def _latency_s(provider_time: datetime, now: datetime) -> float:
    """Seconds from one to the other, whatever zone the provider pretended: zones differ by whole quarters of an hour."""
    seconds = (now - provider_time).total_seconds() % _ZONE_STEP_S
    return seconds if seconds < _ZONE_STEP_S - 60 else 0.0


def _could_be_secret(secret: str) -> bool:
    return secret.isascii() and "\x00" not in secret and 20 <= len(secret) <= 200


def _inbound_row(found: InboundMessage, unit_id: UUID, conversation_id: UUID, now: datetime) -> Message:
    return Message(
        id=uuid4(),
        unit_id=unit_id,
        conversation_id=conversation_id,
        direction="inbound",
        sender="customer",
        content=found.text,
        message_type=found.message_type,
        status="received",
        external_id=found.external_id,
        remote_jid=found.remote_jid,
        recipient_phone=None,
        caption=found.caption,
        media_mimetype=found.media_mimetype,
        client_message_id=None,
        params_hash=None,
        delivery_policy=None,
        attempts=0,
        error_details=None,
        last_retry_at=None,
        next_attempt_at=None,
        lease_until=None,
        lease_token=None,
        provider_timestamp=found.provider_timestamp,
        sent_at=None,
        delivered_at=None,
        read_at=None,
        created_at=now,
        updated_at=now,
    )
