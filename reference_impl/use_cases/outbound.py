"""Outbound messages: each is one row, at most three provider calls, and never more certain than the proof."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from reference_impl.domain.connections import instance_name
from reference_impl.domain.errors import ConflictError, InvalidInputError, NotConnectedError, NotFoundError
from reference_impl.domain.invariants import existing
from reference_impl.domain.messages import (
    ATTEMPTS_ALLOWED,
    CallOutcome,
    MessageStatus,
    OutcomeClass,
    TextError,
    check_text,
    later_status,
    params_hash,
    retry_wait,
)
from reference_impl.domain.phones import PhoneError, normalise_phone, phone_variants
from reference_impl.domain.records import Contact, Message
from reference_impl.ports import Events, Metrics, Provider, Queue, Store, UnitOfWork
from reference_impl.use_cases.connections import PROVIDER, Connections
from reference_impl.use_cases.stopping import Stop

__all__ = ["WAKE", "OutboundMessages", "SendResult"]

WAKE: Final = "send"

# A client waits this long at most; a provider that asks for more gets it from the worker.
_LONGEST_WAIT_IN_REQUEST_S: Final = 10.0
# A message that a crash left behind is not sent out of the blue hours later.
_WAITS_FOR_CONNECTION: Final = timedelta(minutes=10)
_BATCH: Final = 100
# For a provider that asks for a pause and does not say how long.
_PAUSE_UNTOLD: Final = timedelta(minutes=1)
# Calls of one unit at the same time: one that hangs does not hold up all the others.
_CALLS_AT_ONCE: Final = 4
_CLASS: Final = {
    OutcomeClass.ACCEPTED: "accepted",
    OutcomeClass.NOT_SENT: "failed",
    OutcomeClass.THROTTLED: "failed",
    OutcomeClass.REJECTED: "permanent",
    OutcomeClass.REFUSED: "unit_permanent",
    OutcomeClass.UNKNOWN: "unknown",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """The message as it stands, and whether it is the answer to an earlier request with the same key."""

    message: Message
    deduplicated: bool


class OutboundMessages:
    """Sends, retries, and picks up what a crash left behind.

    `lease_s` must outlast the provider client's timeout: nobody may take over a call that may still be answered.
    """

    def __init__(
        self,
        *,
        store: Store,
        stop: Stop,
        provider: Provider,
        connections: Connections,
        queue: Queue,
        events: Events,
        metrics: Metrics,
        lease_s: float,
        reconcile_grace_s: float,
        jitter: random.Random,
    ) -> None:
        self._store = store
        self._stop = stop
        self._provider = provider
        self._connections = connections
        self._queue = queue
        self._events = events
        self._metrics = metrics
        self._lease = timedelta(seconds=lease_s)
        self._reconcile_grace = timedelta(seconds=reconcile_grace_s)
        self._jitter = jitter

    async def send(self, unit_id: UUID, *, phone: str, text: str, client_message_id: str | None, wait: bool = True) -> SendResult:
        """Sends now and waits for the outcome, or leaves the sending to a worker when nobody is to `wait`.

        Raises InvalidInputError for a phone or text that cannot be sent and for a known key with other parameters,
        NotConnectedError,
        ConflictError while the first request with this key is running.
        """
        try:
            number = normalise_phone(phone)
            check_text(text)
        except PhoneError as error:
            raise InvalidInputError(f"phone: {error}") from error
        except TextError as error:
            raise InvalidInputError(f"message: {error}") from error
        fingerprint = params_hash(number, text)
        async with self._store.unit_of_work(unit_id) as work:
            earlier = await work.messages.by_client_id(unit_id, client_message_id) if client_message_id else None
            if earlier is None:
                connection = await work.connections.of_unit(unit_id)
                if connection is None or connection.status != "connected":
                    raise NotConnectedError
                contact = await work.contacts.get_or_add(
                    unit_id=unit_id, phone=number, lid=None, name=None, now=work.now, variants=phone_variants(number)
                )
                message = await self.begin(
                    work,
                    contact,
                    number=number,
                    text=text,
                    client_message_id=client_message_id,
                    policy="at_most_once",
                    queued=not wait,
                )
                if message is None:
                    taken = existing(client_message_id, "only a key can be taken")
                    earlier = await work.messages.by_client_id(unit_id, taken)
        if earlier is not None:
            return self._replay(earlier, fingerprint)
        message = existing(message, "either made or found")
        if not wait:
            await self._queue.wake(WAKE, str(unit_id))
            return SendResult(message=message, deduplicated=False)
        return SendResult(message=await self._until_decided(message), deduplicated=False)

    async def get(self, unit_id: UUID, message_id: UUID) -> Message:
        """Raises NotFoundError."""
        async with self._store.unit_of_work(unit_id) as work:
            message = await work.messages.get(unit_id, message_id)
        if message is None:
            raise NotFoundError("Not found")
        return message

    async def begin(
        self,
        work: UnitOfWork,
        contact: Contact,
        *,
        number: str,
        text: str,
        client_message_id: str | None,
        policy: str,
        queued: bool = False,
    ) -> Message | None:
        """Stores a new message with its first attempt begun, for `attempt`, or `queued` for whoever comes first; None when the
        unit has this key already.
        """
        now = work.now
        message = Message(
            id=uuid4(),
            unit_id=contact.unit_id,
            conversation_id=await work.conversations.open_of(contact, now),
            direction="outbound",
            sender="agent",
            content=text,
            message_type="text",
            status=(MessageStatus.QUEUED if queued else MessageStatus.SENDING).value,
            external_id=None,
            remote_jid=None,
            recipient_phone=number,
            caption=None,
            media_mimetype=None,
            client_message_id=client_message_id,
            params_hash=params_hash(number, text),
            delivery_policy=policy,
            attempts=0 if queued else 1,
            error_details=None,
            last_retry_at=None if queued else now,
            next_attempt_at=now if queued else None,
            lease_until=None if queued else now + self._lease,
            lease_token=None if queued else uuid4(),
            provider_timestamp=None,
            sent_at=None,
            delivered_at=None,
            read_at=None,
            created_at=now,
            updated_at=now,
        )
        return message if await work.messages.add(message, provider=PROVIDER) else None

    async def claim(self, work: UnitOfWork, message: Message, *, holder: UUID | None = None) -> Message | None:
        """Begins the next attempt of a queued message; None when it is not queued any more or somebody else holds it."""
        current = await work.messages.get(message.unit_id, message.id, lock=True)
        if current is None or current.status != MessageStatus.QUEUED or current.attempts >= ATTEMPTS_ALLOWED:
            self._metrics.count("claims_lost")
            return None
        if current.lease_token != holder and current.lease_until is not None and current.lease_until > work.now:
            self._metrics.count("claims_lost")
            return None
        return await self._claimed(work, current)

    async def attempt(self, message: Message) -> tuple[Message, CallOutcome]:
        """One provider call for a claimed message, with nothing locked meanwhile, and its outcome stored."""
        number = existing(message.recipient_phone, "outbound messages have a number")
        if message.attempts > 1:
            self._metrics.count("message_retries")
        outcome = await self._provider.send_text(instance_name(message.unit_id), number=number, text=message.content)
        stored = await self._store_outcome(message, outcome)
        if outcome.kind is OutcomeClass.REFUSED:
            await self._connections.fail(message.unit_id, outcome.detail)
        if outcome.kind is OutcomeClass.THROTTLED:
            await self._ease_off(message.unit_id, outcome.retry_after_s)
        return stored, outcome

    async def recover(self) -> None:
        """Takes over what lost workers left: a call that was under way becomes unknown, and whoever has waiting messages is
        woken for.
        """
        async with self._store.unit_of_work(None) as work:
            now = work.now
            for message in await work.messages.stale_sending(now, _BATCH):
                # Its lease outlasted the call by far, so the grace before reconciling has begun long ago.
                lost = replace(
                    message,
                    status=MessageStatus.UNKNOWN.value,
                    error_details="worker lost during the provider call",
                    next_attempt_at=(message.last_retry_at or now) + self._reconcile_grace,
                    lease_until=None,
                    lease_token=None,
                    updated_at=now,
                )
                await work.messages.save(lost)
                self._metrics.count("messages", direction="outbound", status="unknown")
                self._metrics.count("messages_taken_over")
            units = await work.messages.units_with_queued(now)
        await self._queue.wake_many(WAKE, [str(unit_id) for unit_id in units])

    async def send_due(self, unit_id: UUID) -> None:
        """Sends what waits in the unit outside campaigns, a few at a time, until nothing is due or this process is to end."""
        while not self._stop.requested:
            claimed = await self._claim_due(unit_id)
            if not claimed:
                return
            results = await asyncio.gather(*(self.attempt(message) for message in claimed), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    async def acknowledge(self, work: UnitOfWork, unit_id: UUID, external_id: str, status: MessageStatus) -> Message | None:
        """Moves the message with this provider id forward; kept for later when there is none yet. The message when it changed."""
        message = await work.messages.by_external_id(unit_id, external_id, lock=True)
        now = work.now
        if message is None:
            # A message may be getting this id just now: whoever comes second sees what the first has committed.
            await work.messages.hold_updates(unit_id, external_id)
            message = await work.messages.by_external_id(unit_id, external_id, lock=True)
            if message is None:
                await work.messages.keep_update(unit_id, external_id, status.value, now)
                return None
        if message.direction != "outbound":
            return None
        moved = _moved(message, status, now)
        if moved is None:
            return None
        await work.messages.save(moved)
        self._metrics.count("messages", direction="outbound", status=moved.status)
        return moved

    async def prove_sent(
        self, work: UnitOfWork, message: Message, *, external_id: str, remote_jid: str | None, now: datetime
    ) -> Message | None:
        """Binds a provider id to a message; None when that id belongs to another message already.

        The row of `message` must be locked. Acknowledgements that came before are applied.
        """
        taken = await work.messages.by_external_id(message.unit_id, external_id)
        if taken is not None:
            return taken if taken.id == message.id else None
        await work.messages.hold_updates(message.unit_id, external_id)
        early = [MessageStatus(status) for status in await work.messages.take_updates(message.unit_id, external_id)]
        sent = replace(
            message,
            status=later_status(MessageStatus(message.status), MessageStatus.SENT).value,
            external_id=external_id,
            remote_jid=remote_jid,
            error_details=None,
            sent_at=message.sent_at or now,
            next_attempt_at=None,
            lease_until=None,
            lease_token=None,
            updated_at=now,
        )
        for status in early:
            sent = _moved(sent, status, now) or sent
        await work.messages.save(sent)
        self._metrics.count("messages", direction="outbound", status="sent")
        return sent

    async def announce(self, message: Message) -> None:
        """Tells the unit's screens how far a message is."""
        await self._events.publish(message.unit_id, "message-status", {"id": str(message.id), "status": message.status})

    def _replay(self, earlier: Message, fingerprint: str) -> SendResult:
        if earlier.params_hash != fingerprint:
            raise InvalidInputError("This clientMessageId was used for another phone or text")
        if earlier.status in (MessageStatus.QUEUED, MessageStatus.SENDING):
            raise ConflictError(
                "The first request with this clientMessageId is still running",
                details={"internalId": str(earlier.id)},
                retry_after_s=1.0,
            )
        return SendResult(message=earlier, deduplicated=True)

    async def _until_decided(self, message: Message) -> Message:
        while True:
            message, _ = await self.attempt(message)
            if message.status != MessageStatus.QUEUED or message.next_attempt_at is None:
                return message
            wait = (message.next_attempt_at - message.updated_at).total_seconds()
            # Who is not waited for here is sent by a worker.
            if wait > _LONGEST_WAIT_IN_REQUEST_S or not await self._stop.sleep(wait):
                return message
            claimed = await self._claim_alone(message)
            if claimed is None:
                return await self.get(message.unit_id, message.id)
            message = claimed

    async def _claim_due(self, unit_id: UUID) -> list[Message]:
        """The next attempts of a few messages, begun; those that waited for a connection for too long have failed."""
        given_up = []
        async with self._store.unit_of_work(unit_id) as work:
            connection = await work.connections.of_unit(unit_id)
            due = await work.messages.due_queued(unit_id, work.now, _CALLS_AT_ONCE)
            if connection is not None and connection.status == "connected":
                if not due and await work.messages.any_queued(unit_id, work.now):
                    self._metrics.count("claims_lost")
                    _log.info("another worker has the messages", extra={"unit_id": str(unit_id)})
                return [await self._claimed(work, message) for message in due]
            for message in due:
                if message.created_at + _WAITS_FOR_CONNECTION < work.now:
                    outcome = CallOutcome(kind=OutcomeClass.REJECTED, detail="WhatsApp not connected for this unit")
                    given_up.append(self._after(message, outcome, work.now))
                    await work.messages.save(given_up[-1])
        for message in given_up:
            self._metrics.count("messages", direction="outbound", status=message.status)
            await self.announce(message)
        return []

    async def _claimed(self, work: UnitOfWork, current: Message) -> Message:
        """The next attempt begun. The row of `current`, which is queued, must be locked."""
        claimed = replace(
            current,
            status=MessageStatus.SENDING.value,
            attempts=current.attempts + 1,
            last_retry_at=work.now,
            next_attempt_at=None,
            lease_until=work.now + self._lease,
            lease_token=uuid4(),
            updated_at=work.now,
        )
        await work.messages.save(claimed)
        return claimed

    async def _claim_alone(self, message: Message) -> Message | None:
        async with self._store.unit_of_work(message.unit_id) as work:
            return await self.claim(work, message, holder=message.lease_token)

    async def _store_outcome(self, message: Message, outcome: CallOutcome) -> Message:
        async with self._store.unit_of_work(message.unit_id) as work:
            now = work.now
            current = existing(await work.messages.get(message.unit_id, message.id, lock=True), "messages are never deleted")
            if outcome.kind is OutcomeClass.ACCEPTED and outcome.provider_id is not None:
                # Proof counts even when the lease was lost meanwhile.
                proven = await self.prove_sent(
                    work, current, external_id=outcome.provider_id, remote_jid=outcome.remote_jid, now=now
                )
                if proven is not None:
                    stored = proven
                else:
                    outcome = replace(outcome, kind=OutcomeClass.UNKNOWN, detail="the provider answered another message's id")
                    stored = self._after(current, outcome, now)
                    await work.messages.save(stored)
            elif current.lease_token != message.lease_token:
                return current
            else:
                stored = self._after(current, outcome, now)
                await work.messages.save(stored)
        if stored.status in (MessageStatus.FAILED, MessageStatus.UNKNOWN) and stored.external_id is None:
            self._metrics.count("messages", direction="outbound", status=stored.status)
        if stored.status != MessageStatus.QUEUED:
            self._metrics.count("messages_sent", **{"class": _CLASS[outcome.kind]})
        if outcome.kind is not OutcomeClass.ACCEPTED:
            _log.warning(
                "provider call did not succeed",
                extra={
                    "unit_id": str(message.unit_id),
                    "message_id": str(message.id),
                    "attempt": message.attempts,
                    "outcome": outcome.kind.value,
                    "detail": outcome.detail,
                },
            )
        await self.announce(stored)
        return stored

    def _after(self, current: Message, outcome: CallOutcome, now: datetime) -> Message:
        """The message after a call that was not accepted."""
        freed = replace(
            current, error_details=outcome.detail, lease_until=None, lease_token=None, next_attempt_at=None, updated_at=now
        )
        match outcome.kind:
            case OutcomeClass.NOT_SENT | OutcomeClass.THROTTLED if current.attempts < ATTEMPTS_ALLOWED:
                wait = retry_wait(current.attempts, asked_s=outcome.retry_after_s, jitter=self._jitter.random())
                due = now + timedelta(seconds=wait)
                # Whoever waits for the retry keeps the message until shortly after it is due; then a worker may take it.
                return replace(
                    freed,
                    status=MessageStatus.QUEUED.value,
                    next_attempt_at=due,
                    lease_until=due + timedelta(seconds=5) if wait <= _LONGEST_WAIT_IN_REQUEST_S else None,
                    lease_token=current.lease_token,
                )
            case OutcomeClass.UNKNOWN:
                return replace(freed, status=MessageStatus.UNKNOWN.value, next_attempt_at=now + self._reconcile_grace)
            case _:
                return replace(freed, status=MessageStatus.FAILED.value)

    async def _ease_off(self, unit_id: UUID, asked_s: float | None) -> None:
        async with self._store.unit_of_work(unit_id) as work:
            resume_at = work.now + (timedelta(seconds=asked_s) if asked_s is not None else _PAUSE_UNTOLD)
            # The number first, then its campaigns: the order in which everybody locks them.
            if asked_s is not None:
                await work.connections.push_next_send(unit_id, resume_at)
            await work.campaigns.pause_all(unit_id, reason="rate_limited", resume_at=resume_at, now=work.now)
        self._metrics.count("provider_throttled")


def _moved(message: Message, status: MessageStatus, now: datetime) -> Message | None:
    later = later_status(MessageStatus(message.status), status)
    if later == message.status:
        return None
    moved = replace(message, status=later.value, updated_at=now, next_attempt_at=None)
    match later:
        case MessageStatus.SENT:
            return replace(moved, sent_at=message.sent_at or now)
        case MessageStatus.DELIVERED:
            return replace(moved, sent_at=message.sent_at or now, delivered_at=message.delivered_at or now, error_details=None)
        case MessageStatus.READ:
            return replace(
                moved,
                sent_at=message.sent_at or now,
                delivered_at=message.delivered_at or now,
                read_at=message.read_at or now,
                error_details=None,
            )
        case MessageStatus.FAILED:
            return replace(moved, error_details="refused by WhatsApp after it was accepted")
        case _:
            return moved
