"""Everything one fake consists of, and the loop's work on its behalf."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Mapping
from typing import Any

from harness.clock import Clock, SystemClock, VirtualClock
from harness.evolution.agenda import Agenda
from harness.evolution.errors import ControlError
from harness.evolution.identity import Identity
from harness.evolution.injection import Injection, Injector, Memory, Socket
from harness.evolution.ledger import Bounded, Delivery, RequestRecord, Send
from harness.evolution.settings import ServerSettings
from harness.evolution.state import Connection, Instance, Store
from harness.evolution.transport import Port
from harness.evolution.webhooks import Webhooks

__all__ = ["Fake"]

_KEPT = 20_000
# The longest that one step of `advance` waits, in real seconds, for deliveries that are under way.
_STEP_PATIENCE = 0.05
# And all steps of one call together: a listener that never answers must not make an hour last an hour.
_PATIENCE = 3.0
_MOST_STEPS = 2_000


class Fake:
    """One fake Evolution server without its HTTP surface. All of it runs in one event loop."""

    def __init__(
        self,
        *,
        key: str,
        clock: Clock | None = None,
        control_token: str | None = None,
        seed: int | None = None,
        settings: ServerSettings | None = None,
        control_from_anywhere: bool = False,
    ) -> None:
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.control_token = control_token
        self.control_from_anywhere = control_from_anywhere
        self.address = "http://localhost:8080"
        self.control_address = ""
        self.store = Store(key=key, clock=self.clock, identity=Identity(seed), settings=settings or ServerSettings())
        self._seed = seed
        self._settings = self.store.settings
        self._tasks: set[asyncio.Task[None]] = set()
        self.sends: Bounded[Send] = Bounded(_KEPT)
        self.requests: Bounded[RequestRecord] = Bounded(_KEPT)
        self.deliveries: Bounded[Delivery] = Bounded(_KEPT)
        self.port = Port(self.clock)
        self.faults = Injector(self.store.identity, self.clock, on_change=self.port.update)
        self.port.faults = self.faults
        self.webhooks = Webhooks(self, self.spawn)
        self.agenda = Agenda(self.clock, self.spawn)
        # Requests that are open, and what clients have asked for before they hung up.
        self.handlers: set[asyncio.Task[Any]] = set()
        self.abandoned: set[asyncio.Task[Any]] = set()
        self._paused: set[asyncio.Task[Any]] = set()

    @property
    def server_url(self) -> str:
        return self.store.settings.server_url or self.address

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs `work` beside the requests until it ends or the server's memory is lost."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def pause(self, seconds: float) -> None:
        """Lets a request wait on the clock."""
        if seconds <= 0:
            return
        # A request has no task of its own before it waits for the first time.
        await asyncio.sleep(0)
        task = asyncio.current_task()
        if task is None:
            return
        self._paused.add(task)
        try:
            await self.clock.sleep(seconds)
        finally:
            self._paused.discard(task)

    async def wait_out(self, injection: Injection) -> None:
        """Lets a request wait until an injection is withdrawn or its window is over."""
        task = asyncio.current_task()
        if task is None:
            return
        ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(injection.over.wait())]
        if not math.isinf(injection.ends):
            ends.append(asyncio.ensure_future(self.clock.sleep(injection.ends - self.clock.monotonic())))
        self._paused.add(task)
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._paused.discard(task)
            for end in ends:
                end.cancel()

    async def go_down(self, seconds: float) -> None:
        """The process ends for so many seconds: requests that are under way die, and nobody can connect."""
        self.port.go_down(seconds)
        if seconds <= 0:
            return
        current = asyncio.current_task()
        # A client in this process would be cancelled together with its request.
        dying = [handler for handler in self.handlers if handler is not current] if self.port.is_served else []
        for handler in dying:
            handler.cancel()
        await asyncio.gather(*dying, return_exceptions=True)

    @property
    def held(self) -> int:
        """How many open requests wait on the clock; whoever moves it past their client's time limit makes that client give up."""
        return len(self._paused - self.abandoned)

    def emit(
        self, instance: Instance, event: str, data: Any, *, extra: Mapping[str, Any] | None = None
    ) -> asyncio.Task[None] | None:
        return self.webhooks.emit(instance, event, data, extra=extra)

    async def emit_and_wait(self, instance: Instance, event: str, data: Any) -> None:
        """For the few events whose delivery, retries included, the real server awaits."""
        task = self.emit(instance, event, data)
        if task is not None:
            await asyncio.wait({task})

    def connection(self, instance: Instance) -> Connection | None:
        """The instance in memory, or None when only the database knows it."""
        if not self.faults.switched_on:
            return instance.connection
        seam = Memory(instance=instance.name)
        self.faults.strike(seam)
        return None if seam.missing else instance.connection

    def socket_is_dead(self, instance: Instance) -> bool:
        """Whether the socket has silently gone while everything says it is open."""
        if not self.faults.switched_on:
            return self.store.is_dead(instance)
        seam = Socket(instance=instance.name)
        self.faults.strike(seam)
        return seam.dead or self.store.is_dead(instance)

    async def quiesce(self, patience: float) -> bool:
        """Waits, at most `patience` real seconds, until no delivery is under way and nobody is overdue on the clock.

        Retries that wait for their time and acknowledgements that are not due yet are not under way.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while True:
            begun = self.webhooks.begun
            # What the clock or a finished delivery has woken needs a few turns of the loop before it shows.
            for _ in range(12):
                await asyncio.sleep(0)
                if self.webhooks.under_way:
                    break
            else:
                if self.webhooks.begun == begun and not self._somebody_is_overdue():
                    return True
            if loop.time() >= deadline:
                return False
            await self.webhooks.wait_for_one(deadline - loop.time())

    def _somebody_is_overdue(self) -> bool:
        if not isinstance(self.clock, VirtualClock):
            return False
        due = self.clock.next_deadline()
        return due is not None and due <= 0

    async def advance(self, seconds: float, *, patience: float | None = None) -> None:
        """Moves the virtual clock from deadline to deadline, so that whatever comes due on the way happens in its order.

        Before each step it waits, at most `patience` real seconds, for deliveries that are under way.

        Raises ControlError when the clock is the system's or `seconds` is negative.
        """
        patience = _STEP_PATIENCE if patience is None else patience
        clock = self.virtual_clock()
        if seconds < 0:
            raise ControlError(f"a clock cannot be advanced by {seconds:g} s: it never goes back")
        target = clock.monotonic() + seconds
        shortest = seconds / _MOST_STEPS
        loop = asyncio.get_running_loop()
        patient_until = loop.time() + max(_PATIENCE, patience)
        while (left := target - clock.monotonic()) > 0:
            await self.quiesce(min(patience, max(0.0, patient_until - loop.time())))
            due = clock.next_deadline()
            clock.advance(left if due is None else min(left, max(due, shortest, 1e-6)))
            await self._let_expire()
        await self.quiesce(patience)

    async def _let_expire(self) -> None:
        """Waits while listeners whose time is up use their last real moments: what follows is counted from there."""
        for _ in range(12):
            await asyncio.sleep(0)
        if self.webhooks.expiring:
            await asyncio.wait(set(self.webhooks.expiring))

    def virtual_clock(self) -> VirtualClock:
        """Raises ControlError when time cannot be moved."""
        if not isinstance(self.clock, VirtualClock):
            raise ControlError("the clock of this fake is the system's and cannot be moved; start it with a VirtualClock")
        return self.clock

    async def forget_work(self) -> None:
        """Ends everything that lives in memory only: pending retries, acknowledgements, connections in progress."""
        self.agenda.clear()
        current = asyncio.current_task()
        tasks = [task for task in (*self._tasks, *self.abandoned) if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def sow(self, seed: int) -> None:
        """Draws ids, tokens and codes from this seed, also after a reset.

        Raises ControlError when there are instances: their ids would be drawn a second time.
        """
        if self.store.instances:
            raise ControlError("the seed is set before the first instance is created: reset the fake first")
        self._seed = seed
        self.store.identity.sow(seed)

    async def reset(self) -> None:
        """Back to the beginning: no instance, no record, no fault, the first settings. The clock goes on."""
        await self.forget_work()
        store = self.store
        self.store = Store(key=store.key, clock=self.clock, identity=Identity(self._seed), settings=self._settings)
        self.port.go_down(0)
        self.sends.clear()
        self.requests.clear()
        self.deliveries.clear()
        self.faults.clear(self.store.identity)
        # The jitter of retries is drawn by the number of a delivery.
        self.webhooks.number = 0

    async def close(self) -> None:
        """Stops all work and closes connections."""
        self.port.serve(None)
        await self.forget_work()
        for handler in list(self.handlers):
            handler.cancel()
        await asyncio.gather(*self.handlers, return_exceptions=True)
        await self.webhooks.close()
