"""Messages of doubtful outcome: looked up at the provider, and never decided without proof."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from reference_impl.domain.connections import instance_name
from reference_impl.domain.errors import ProviderFailedError, ProviderUnavailableError
from reference_impl.domain.messages import ATTEMPTS_ALLOWED, MessageStatus
from reference_impl.domain.phones import jid_digits, phone_variants
from reference_impl.domain.records import Message
from reference_impl.domain.webhooks import Echo
from reference_impl.ports import Metrics, Provider, Queue, Store, UnitOfWork
from reference_impl.use_cases.outbound import WAKE as SEND
from reference_impl.use_cases.outbound import OutboundMessages
from reference_impl.use_cases.stopping import Stop

__all__ = ["WAKE", "Reconciliation"]

WAKE: Final = "reconcile"

_BATCH: Final = 50
_LOOK_AGAIN: Final = timedelta(minutes=1)
_AFTER_TWIN: Final = timedelta(seconds=5)
# The provider writes whole seconds by its own clock.
_EARLY: Final = timedelta(seconds=5)
_log = logging.getLogger(__name__)


class Reconciliation:
    """`window_s` is how long after its start an attempt may still have been sent."""

    def __init__(
        self,
        *,
        store: Store,
        stop: Stop,
        provider: Provider,
        outbound: OutboundMessages,
        queue: Queue,
        metrics: Metrics,
        window_s: float,
    ) -> None:
        self._store = store
        self._stop = stop
        self._provider = provider
        self._outbound = outbound
        self._queue = queue
        self._metrics = metrics
        self._window = timedelta(seconds=window_s)

    async def wake_all(self) -> None:
        """Wakes for every unit that has a message whose grace is over."""
        async with self._store.unit_of_work(None) as work:
            units = await work.messages.units_with_unknown(work.now)
        await self._queue.wake_many(WAKE, [str(unit_id) for unit_id in units])

    async def run(self, unit_id: UUID) -> None:
        """Looks up every message of the unit whose grace is over."""
        async with self._store.unit_of_work(unit_id) as work:
            due = await work.messages.due_unknown(unit_id, work.now, _BATCH)
        for message in due:
            if self._stop.requested:
                return
            await self._settle(message)

    async def by_echo(self, work: UnitOfWork, unit_id: UUID, found: Echo) -> Message | None:
        """A `send.message` event as proof for a doubtful message; the message when it was one.

        While a twin of it is being sent, the event may as well be the twin's: then looking it up decides, later.
        """
        doubtful = await work.messages.doubtful_to(unit_id, phone_variants(jid_digits(found.remote_jid)), found.text)
        if any(candidate.status == MessageStatus.SENDING for candidate in doubtful):
            return None
        for candidate in doubtful:
            if self._fits(candidate, found):
                return await self._prove(work, candidate, found)
        return None

    async def _settle(self, message: Message) -> None:
        try:
            found = await self._look_up(message)
        except (ProviderFailedError, ProviderUnavailableError) as error:
            await self._postpone(message, error.sentence)
            return
        requeued = False
        async with self._store.unit_of_work(message.unit_id) as work:
            phones = phone_variants(message.recipient_phone or "")
            doubtful = await work.messages.doubtful_to(message.unit_id, phones, message.content)
            current = next((candidate for candidate in doubtful if candidate.id == message.id), None)
            if current is None or current.status != MessageStatus.UNKNOWN:
                return
            if any(candidate.status == MessageStatus.SENDING for candidate in doubtful):
                # What was found may be a twin's whose answer is still to come.
                await work.messages.save(replace(current, next_attempt_at=work.now + _AFTER_TWIN, updated_at=work.now))
                return
            known = await work.messages.known_external_ids(message.unit_id, [record.external_id for record in found])
            free = sorted(
                (record for record in found if record.external_id not in known),
                key=lambda record: (record.provider_timestamp is None, record.provider_timestamp, record.external_id),
            )
            # One record proves one attempt: twins are paired in the order in which they were tried.
            for candidate in doubtful:
                proof = next((record for record in free if self._fits(candidate, record)), None)
                if proof is not None:
                    free.remove(proof)
                    await self._prove(work, candidate, proof)
                elif candidate.id == message.id:
                    # The provider's clock may be wrong: what could be this message at another time forbids to send it again.
                    requeued = await self._not_found(work, candidate, may_repeat=not free)
        if requeued:
            await self._queue.wake("campaigns", str(message.unit_id))
            await self._queue.wake(SEND, str(message.unit_id))

    async def _look_up(self, message: Message) -> list[Echo]:
        found: dict[str, Echo] = {}
        for digits in phone_variants(message.recipient_phone or ""):
            for record in await self._provider.sent_messages(
                instance_name(message.unit_id), remote_jid=f"{digits}@s.whatsapp.net"
            ):
                if record.text == message.content:
                    found[record.external_id] = record
        return list(found.values())

    def _fits(self, message: Message, found: Echo) -> bool:
        begun = message.last_retry_at
        if begun is None or found.provider_timestamp is None:
            return False
        return begun - _EARLY <= found.provider_timestamp <= begun + self._window

    async def _prove(self, work: UnitOfWork, message: Message, found: Echo) -> Message | None:
        proven = await self._outbound.prove_sent(
            work, message, external_id=found.external_id, remote_jid=found.remote_jid, now=work.now
        )
        if proven is not None:
            self._metrics.count("reconciled", outcome="found")
            _log.info("doubtful message was sent", extra={"unit_id": str(message.unit_id), "message_id": str(message.id)})
        return proven

    async def _not_found(self, work: UnitOfWork, message: Message, *, may_repeat: bool) -> bool:
        """Whether the message was queued again."""
        now = work.now
        if may_repeat and message.delivery_policy == "at_least_once" and message.attempts < ATTEMPTS_ALLOWED:
            again = replace(
                message,
                status=MessageStatus.QUEUED.value,
                next_attempt_at=now,
                lease_until=None,
                lease_token=None,
                updated_at=now,
            )
            await work.messages.save(again)
            self._metrics.count("reconciled", outcome="queued_again")
            return True
        # Acknowledgements may still prove it; looking for ever would not.
        await work.messages.save(replace(message, next_attempt_at=self._next_look(message, now), updated_at=now))
        self._metrics.count("reconciled", outcome="not_found")
        return False

    def _next_look(self, message: Message, now: datetime) -> datetime | None:
        begun = message.last_retry_at or message.created_at
        return now + _LOOK_AGAIN if now < begun + self._window + 5 * _LOOK_AGAIN else None

    async def _postpone(self, message: Message, reason: str) -> None:
        async with self._store.unit_of_work(message.unit_id) as work:
            current = await work.messages.get(message.unit_id, message.id, lock=True)
            if current is not None and current.status == MessageStatus.UNKNOWN:
                await work.messages.save(replace(current, next_attempt_at=work.now + _LOOK_AGAIN, updated_at=work.now))
        self._metrics.count("reconciled", outcome="postponed")
        _log.warning("doubtful message could not be looked up", extra={"message_id": str(message.id), "detail": reason})
