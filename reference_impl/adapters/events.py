"""Tells the units' open streams what changed: within this process at once, in the others through Postgres."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID, uuid4

from reference_impl.adapters.dsn import conninfo
from reference_impl.ports import Clock

if TYPE_CHECKING:
    import psycopg

__all__ = ["Event", "EventBroker", "PostgresRelay"]

_BACKLOG: Final = 256
_OUTBOX: Final = 10_000
_CHANNEL: Final = "reference_backend_events"
_RECONNECT_S: Final = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened in a unit."""

    kind: str
    payload: dict[str, object]


class EventBroker:
    """Subscribers get what is published after they came; one that reads too slowly loses the oldest."""

    def __init__(self) -> None:
        self._subscribers: dict[UUID, set[asyncio.Queue[Event]]] = defaultdict(set)
        self._relays: list[asyncio.Queue[tuple[UUID, Event]]] = []

    async def publish(
        self, unit_id: UUID, kind: Literal["status", "message", "message-status"], payload: dict[str, object]
    ) -> None:
        event = Event(kind=kind, payload=payload)
        self.deliver(unit_id, event)
        for outbox in self._relays:
            if outbox.full():
                outbox.get_nowait()
            outbox.put_nowait((unit_id, event))

    @contextmanager
    def relayed(self) -> Iterator[asyncio.Queue[tuple[UUID, Event]]]:
        """What is published here while the block runs, to be carried to other processes."""
        outbox: asyncio.Queue[tuple[UUID, Event]] = asyncio.Queue(_OUTBOX)
        self._relays.append(outbox)
        try:
            yield outbox
        finally:
            self._relays.remove(outbox)

    def deliver(self, unit_id: UUID, event: Event) -> None:
        """Hands an event to the streams of this process."""
        for queue in self._subscribers.get(unit_id, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

    def streams(self, unit_id: UUID) -> int:
        """How many streams of this unit are open in this process."""
        return len(self._subscribers.get(unit_id, ()))

    @contextmanager
    def subscribed(self, unit_id: UUID) -> Iterator[asyncio.Queue[Event]]:
        """A queue of this unit's events while the block runs."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_BACKLOG)
        self._subscribers[unit_id].add(queue)
        try:
            yield queue
        finally:
            self._subscribers[unit_id].discard(queue)
            if not self._subscribers[unit_id]:
                del self._subscribers[unit_id]


class PostgresRelay:
    """Carries events between the processes of one database with LISTEN and NOTIFY.

    Best effort: whoever missed one reads the state.
    """

    def __init__(self, url: str, *, broker: EventBroker, clock: Clock) -> None:
        self._url = url
        self._broker = broker
        self._clock = clock
        self._origin = uuid4().hex

    async def run(self) -> None:
        """Relays until cancelled; a lost connection is made anew."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._for_ever(self._listen))
            tasks.create_task(self._for_ever(self._notify))

    async def _for_ever(self, work: Callable[[psycopg.AsyncConnection], Awaitable[None]]) -> None:
        import psycopg

        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(conninfo(self._url), autocommit=True, connect_timeout=5)
                try:
                    await work(connection)
                finally:
                    await connection.close()
            except psycopg.Error:
                _log.warning("events are not relayed for a moment", exc_info=True)
                await self._clock.sleep(_RECONNECT_S)

    async def _listen(self, connection: psycopg.AsyncConnection) -> None:
        await connection.execute(f"LISTEN {_CHANNEL}")
        async for notification in connection.notifies():
            found = json.loads(notification.payload)
            if found["origin"] != self._origin:
                self._broker.deliver(UUID(found["unit"]), Event(kind=found["kind"], payload=found["payload"]))

    async def _notify(self, connection: psycopg.AsyncConnection) -> None:
        with self._broker.relayed() as outbox:
            while True:
                unit_id, event = await outbox.get()
                told = {"origin": self._origin, "unit": str(unit_id), "kind": event.kind, "payload": event.payload}
                await connection.execute("SELECT pg_notify(%s, %s)", [_CHANNEL, json.dumps(told)])
