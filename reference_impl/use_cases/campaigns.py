"""Campaigns: one text for many contacts, one after the other, at the pace of the number."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from reference_impl.domain.errors import ConflictError, InvalidInputError, NotConnectedError, NotFoundError
from reference_impl.domain.messages import TextError, check_text
from reference_impl.domain.pacing import next_slot
from reference_impl.domain.records import Campaign, Contact, Message, Recipient
from reference_impl.ports import Metrics, Queue, Store, UnitOfWork
from reference_impl.use_cases.outbound import OutboundMessages
from reference_impl.use_cases.stopping import Stop

__all__ = ["WAKE", "CampaignService", "CampaignView"]

WAKE: Final = "campaigns"
_RECIPIENTS_ALLOWED: Final = 100_000
_FARTHEST: Final = timedelta(days=366)
_PAST_TOLERATED: Final = timedelta(minutes=1)
# Whoever runs a unit's campaigns moves the number's next send on; after this long without, nobody does.
_IDLE: Final = timedelta(seconds=10)
# Until reconciling has decided whether a doubtful recipient is tried again.
_DOUBT_PAUSE_S: Final = 5.0
_COUNTED: Final = ("pending", "sent", "delivered", "read", "failed", "unknown")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignView:
    """A campaign with its recipients counted by status; the counts add up to `total`."""

    campaign: Campaign
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class CampaignService:
    """Campaigns of every unit.

    `gap_s` is the least time between two sends of one number, never under two seconds. A number is held for one send for
    `lease_s` at most, which outlasts the provider client's timeout: a worker that dies gives it back by itself.
    """

    def __init__(
        self,
        *,
        store: Store,
        stop: Stop,
        outbound: OutboundMessages,
        queue: Queue,
        metrics: Metrics,
        gap_s: float,
        lease_s: float,
        jitter: random.Random,
    ) -> None:
        self._store = store
        self._stop = stop
        self._outbound = outbound
        self._queue = queue
        self._metrics = metrics
        self._gap_s = gap_s
        self._hold = timedelta(seconds=lease_s)
        self._jitter = jitter

    async def create(
        self,
        unit_id: UUID,
        *,
        name: str,
        content: str,
        contact_ids: Sequence[UUID],
        scheduled_at: datetime | None,
        delivery_policy: str,
    ) -> CampaignView:
        """Raises InvalidInputError for what cannot be sent or scheduled, NotFoundError when a contact is not the unit's."""
        try:
            check_text(content)
        except TextError as error:
            raise InvalidInputError(f"content: {error}") from error
        ids = list(dict.fromkeys(contact_ids))
        if not 0 < len(ids) <= _RECIPIENTS_ALLOWED:
            raise InvalidInputError(f"contactIds: 1 to {_RECIPIENTS_ALLOWED} contacts")
        async with self._store.unit_of_work(unit_id) as work:
            if scheduled_at is not None and not work.now - _PAST_TOLERATED <= scheduled_at <= work.now + _FARTHEST:
                raise InvalidInputError("scheduledAt: between now and a year from now")
            campaign = Campaign(
                id=uuid4(),
                unit_id=unit_id,
                name=name,
                content=content,
                status="draft" if scheduled_at is None else "scheduled",
                delivery_policy=delivery_policy,
                scheduled_at=scheduled_at,
                started_at=None,
                completed_at=None,
                resume_at=None,
                pause_reason=None,
                error=None,
                metadata={},
                created_at=work.now,
                updated_at=work.now,
            )
            contacts = {contact.id: contact for contact in await work.contacts.existing(unit_id, ids)}
            if len(contacts) != len(ids):
                raise NotFoundError("Not found")
            await work.campaigns.add(campaign, [_recipient(campaign, contacts[contact_id]) for contact_id in ids])
        return CampaignView(campaign=campaign, counts=_complete({"pending": len(ids)}))

    async def get(self, unit_id: UUID, campaign_id: UUID) -> CampaignView:
        """Raises NotFoundError."""
        async with self._store.unit_of_work(unit_id) as work:
            return await self._view(work, await work.campaigns.get(unit_id, campaign_id))

    async def page(self, unit_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None) -> list[CampaignView]:
        """Newest first."""
        async with self._store.unit_of_work(unit_id) as work:
            campaigns = await work.campaigns.page(unit_id, limit=limit, after=after)
            counts = await work.campaigns.counts([campaign.id for campaign in campaigns]) if campaigns else {}
        return [CampaignView(campaign=campaign, counts=_complete(counts[campaign.id])) for campaign in campaigns]

    async def dispatch(self, unit_id: UUID, campaign_id: UUID) -> CampaignView:
        """Starts the run; a second time it is the same run. Raises NotFoundError, NotConnectedError, ConflictError when
        cancelled.
        """
        async with self._store.unit_of_work(unit_id) as work:
            campaign = await work.campaigns.get(unit_id, campaign_id, lock=True)
            if campaign is None:
                raise NotFoundError("Not found")
            if campaign.status in ("cancelled", "failed"):
                raise ConflictError(f"The campaign is {campaign.status}")
            if campaign.status in ("draft", "scheduled"):
                await self._require_connection(work, unit_id)
                campaign = await self._start(work, campaign)
            view = await self._view(work, campaign)
        await self._queue.wake(WAKE, str(unit_id))
        return view

    async def pause(self, unit_id: UUID, campaign_id: UUID) -> CampaignView:
        """After it returns only a call that is already under way goes out. Raises NotFoundError, ConflictError when it does
        not run.
        """
        return await self._change(
            unit_id, campaign_id, allowed=("processing", "paused"), status="paused", pause_reason="requested"
        )

    async def resume(self, unit_id: UUID, campaign_id: UUID) -> CampaignView:
        """Sends the rest. Raises NotFoundError, NotConnectedError, ConflictError when it is not paused."""
        view = await self._change(
            unit_id, campaign_id, allowed=("paused", "processing"), status="processing", pause_reason=None, needs_connection=True
        )
        await self._queue.wake(WAKE, str(unit_id))
        return view

    async def cancel(self, unit_id: UUID, campaign_id: UUID) -> CampaignView:
        """For good; what was not sent stays pending in the counts. Raises NotFoundError, ConflictError when it is over."""
        allowed = ("draft", "scheduled", "processing", "paused", "cancelled")
        return await self._change(unit_id, campaign_id, allowed=allowed, status="cancelled", pause_reason=None)

    async def start_due(self) -> None:
        """Starts every campaign whose time has come, and goes on with those whose provider had asked for a pause that is over;
        a scheduled one whose unit is not connected is paused.
        """
        async with self._store.unit_of_work(None) as work:
            resumed = await work.campaigns.resume_due(work.now)
            for campaign in await work.campaigns.due_scheduled(work.now):
                connection = await work.connections.of_unit(campaign.unit_id)
                started = await self._start(work, campaign)
                if connection is None or connection.status != "connected":
                    await work.campaigns.save(replace(started, status="paused", pause_reason="disconnected"))
        for _ in resumed:
            self._metrics.count("campaigns", status="processing")
        await self._queue.wake_many(WAKE, [str(unit_id) for unit_id in dict.fromkeys(resumed)])

    async def wake_all(self) -> None:
        """Wakes a worker for every unit whose campaigns nobody runs: a wake-up, or who had it, may have been lost."""
        async with self._store.unit_of_work(None) as work:
            units = await work.campaigns.units_with_work(idle_since=work.now - _IDLE)
        await self._queue.wake_many(WAKE, [str(unit_id) for unit_id in units])

    async def run(self, unit_id: UUID) -> None:
        """Sends what runs in the unit until nothing is left, everything is paused, the unit is not connected, or this process is
        to end: then another worker is woken.
        """
        while (wait := await self._step(unit_id)) is not None:
            if self._stop.requested or (wait > 0 and not await self._stop.sleep(wait)):
                await self._queue.wake(WAKE, str(unit_id))
                return

    async def _step(self, unit_id: UUID) -> float | None:
        """At most one send; seconds until the next step, None when there is nothing more to do."""
        async with self._store.unit_of_work(unit_id) as work:
            now = work.now
            connection = await work.connections.of_unit(unit_id)
            if connection is None or not await work.campaigns.any_processing(unit_id):
                return None
            before = connection.next_send_at
            if not await work.connections.take_slot(unit_id, now=now, hold_until=now + self._hold):
                return await self._wait_for_slot(work, unit_id, now)
            turn = await work.campaigns.next_recipient(unit_id, now)
            message = await self._begin(work, *turn) if turn is not None else None
            if message is None:
                await work.connections.set_next_send(unit_id, before)
                return 1.0 if turn is not None else await self._finish(work, unit_id, now)
        asked_s: float | None = None
        try:
            _, outcome = await self._outbound.attempt(message)
            asked_s = outcome.retry_after_s
        finally:
            async with self._store.unit_of_work(unit_id) as work:
                now = work.now
                slot = next_slot(now, gap_s=self._gap_s, jitter=self._jitter.random(), asked_s=asked_s)
                await work.connections.set_next_send(unit_id, slot)
        return (slot - now).total_seconds()

    async def _wait_for_slot(self, work: UnitOfWork, unit_id: UUID, now: datetime) -> float | None:
        connection = await work.connections.of_unit(unit_id)
        if connection is None or connection.status in ("disconnected", "error"):
            await work.campaigns.pause_all(unit_id, reason="disconnected", resume_at=None, now=now)
            return None
        if connection.next_send_at is not None and connection.next_send_at > now:
            # Not to the end of a long hold: its holder usually gives the number back much earlier.
            return min((connection.next_send_at - now).total_seconds(), 5.0)
        return 1.0

    async def _begin(self, work: UnitOfWork, campaign: Campaign, recipient: Recipient) -> Message | None:
        """The recipient's message with an attempt begun; None when this recipient gets none (any more)."""
        now = work.now
        if recipient.phone is None:
            await work.campaigns.fail_recipient(recipient.id, "contact has no phone", now)
            return None
        if recipient.message_id is not None:
            queued = await work.messages.get(campaign.unit_id, recipient.message_id)
            return await self._outbound.claim(work, queued, holder=queued.lease_token) if queued is not None else None
        contact = await work.contacts.get_or_add(
            unit_id=campaign.unit_id, phone=recipient.phone, lid=None, name=None, now=now, variants=(recipient.phone,)
        )
        message = await self._outbound.begin(
            work,
            contact,
            number=recipient.phone,
            text=str(campaign.metadata.get("content", campaign.content)),
            client_message_id=f"campaign:{recipient.id}",
            policy=campaign.delivery_policy,
        )
        if message is None:
            await work.campaigns.fail_recipient(recipient.id, "message exists already", now)
        else:
            await work.campaigns.link_message(recipient.id, message.id, now)
        return message

    async def _finish(self, work: UnitOfWork, unit_id: UUID, now: datetime) -> float | None:
        """Completes what has nobody left; seconds to wait for those that only wait for a retry."""
        open_campaigns = await work.campaigns.processing(unit_id)
        if not open_campaigns:
            return None
        counts = await work.campaigns.counts([campaign.id for campaign in open_campaigns])
        left = doubtful = False
        for campaign in open_campaigns:
            found = counts[campaign.id]
            if found.get("pending", 0):
                left = True
                continue
            if campaign.delivery_policy == "at_least_once" and await work.campaigns.awaits_proof(campaign.id):
                doubtful = True
                continue
            failed = found.get("failed", 0) == sum(found.values())
            done = replace(
                campaign,
                status="failed" if failed else "completed",
                error="no recipient could be reached" if failed else None,
                completed_at=now,
                updated_at=now,
            )
            await work.campaigns.save(done)
            self._metrics.count("campaigns", status=done.status)
            _log.info("campaign over", extra={"unit_id": str(unit_id), "campaign_id": str(campaign.id), "status": done.status})
        if left:
            return 1.0
        return _DOUBT_PAUSE_S if doubtful else None

    async def _start(self, work: UnitOfWork, campaign: Campaign) -> Campaign:
        now = work.now
        started = replace(
            campaign,
            status="processing",
            started_at=campaign.started_at or now,
            pause_reason=None,
            metadata={**campaign.metadata, "content": campaign.content, "gapSeconds": self._gap_s},
            updated_at=now,
        )
        await work.campaigns.save(started)
        self._metrics.count("campaigns", status="processing")
        return started

    async def _change(
        self,
        unit_id: UUID,
        campaign_id: UUID,
        *,
        allowed: tuple[str, ...],
        status: str,
        pause_reason: str | None,
        needs_connection: bool = False,
    ) -> CampaignView:
        async with self._store.unit_of_work(unit_id) as work:
            campaign = await work.campaigns.get(unit_id, campaign_id, lock=True)
            if campaign is None:
                raise NotFoundError("Not found")
            if campaign.status not in allowed:
                raise ConflictError(f"The campaign is {campaign.status}")
            # A person's pause outlives the one that the provider asked for.
            if (campaign.status, campaign.resume_at) != (status, None):
                if needs_connection:
                    await self._require_connection(work, unit_id)
                campaign = replace(campaign, status=status, pause_reason=pause_reason, resume_at=None, updated_at=work.now)
                await work.campaigns.save(campaign)
                self._metrics.count("campaigns", status=status)
            return await self._view(work, campaign)

    async def _require_connection(self, work: UnitOfWork, unit_id: UUID) -> None:
        connection = await work.connections.of_unit(unit_id)
        if connection is None or connection.status != "connected":
            raise NotConnectedError

    async def _view(self, work: UnitOfWork, campaign: Campaign | None) -> CampaignView:
        if campaign is None:
            raise NotFoundError("Not found")
        counts = await work.campaigns.counts([campaign.id])
        return CampaignView(campaign=campaign, counts=_complete(counts[campaign.id]))


def _recipient(campaign: Campaign, contact: Contact) -> Recipient:
    return Recipient(
        id=uuid4(),
        unit_id=campaign.unit_id,
        campaign_id=campaign.id,
        contact_id=contact.id,
        phone=contact.phone,
        status="pending",
        message_id=None,
    )


def _complete(counts: Mapping[str, int]) -> dict[str, int]:
    return {status: counts.get(status, 0) for status in _COUNTED}
