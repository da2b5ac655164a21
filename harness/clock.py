"""Time as a port: real time for production, time that can be moved for everything else.

Every part that waits takes a `Clock`, so that an hour of monitoring or twenty minutes of webhook retries take milliseconds.
`VirtualClock` flows like real time and can be advanced or frozen from any thread; whoever sleeps on it wakes when its deadline
is reached, whether by the flow or by a jump.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "SystemClock", "VirtualClock"]


class Clock(Protocol):
    """What a component may ask of time."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns once `seconds` have passed on this clock."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class VirtualClock:
    """A clock that flows with real time and can be advanced, frozen and resumed; safe to use from several threads and loops.

    `start` is the wall time at creation (default: the real one). A frozen clock moves by `advance` alone.
    """

    def __init__(self, *, start: datetime | None = None, frozen: bool = False) -> None:
        self._lock = threading.Lock()
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, Callable[[], None]]] = []
        self._waiting: set[int] = set()
        self._start = start if start is not None else datetime.now(UTC)
        self._elapsed = 0.0
        self._resumed_at: float | None = None if frozen else time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        with self._lock:
            return self._read()

    @property
    def frozen(self) -> bool:
        return self._resumed_at is None

    def freeze(self) -> None:
        """Stops the flow; `advance` still moves."""
        with self._lock:
            self._elapsed, self._resumed_at = self._read(), None

    def resume(self) -> None:
        """Lets time flow again at the rate of real time; sleepers keep their deadlines."""
        with self._lock:
            if self._resumed_at is None:
                self._resumed_at = time.monotonic()
        # A sleeper that went to sleep while the clock was frozen set no timer: wake all, they go back to sleep by themselves.
        self._wake(everyone=True)

    def advance(self, seconds: float) -> None:
        """Jumps forward and wakes whoever was due. Raises ValueError for a negative step: this clock never goes back."""
        if seconds < 0:
            raise ValueError(f"a clock cannot be advanced by {seconds} s: it never goes back")
        with self._lock:
            self._elapsed += seconds
        self._wake()

    def next_deadline(self) -> float | None:
        """Seconds until the next sleeper is due (0 when overdue); None when nobody sleeps."""
        with self._lock:
            while self._sleepers and self._sleepers[0][1] not in self._waiting:
                heapq.heappop(self._sleepers)
            return max(0.0, self._sleepers[0][0] - self._read()) if self._sleepers else None

    async def sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = self.monotonic() + max(0.0, seconds)
        while (left := deadline - self.monotonic()) > 0:
            woken = asyncio.Event()

            def wake(event: asyncio.Event = woken) -> None:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(event.set)

            with self._lock:
                number = next(self._order)
                self._waiting.add(number)
                heapq.heappush(self._sleepers, (deadline, number, wake))
                flowing = self._resumed_at is not None
            timer = loop.call_later(left, woken.set) if flowing else None
            # The clock may have jumped between reading it and queueing: then nobody would wake us.
            if deadline <= self.monotonic():
                woken.set()
            try:
                await woken.wait()
            finally:
                if timer is not None:
                    timer.cancel()
                with self._lock:
                    self._waiting.discard(number)
                    self._drop_the_gone()
        if seconds <= 0:
            await asyncio.sleep(0)

    def _read(self) -> float:
        flowed = 0.0 if self._resumed_at is None else time.monotonic() - self._resumed_at
        return self._elapsed + flowed

    def _drop_the_gone(self) -> None:
        # Sleepers that were cancelled far from their deadline would otherwise stay in the heap until then.
        if len(self._sleepers) > 64 + 2 * len(self._waiting):
            self._sleepers = [entry for entry in self._sleepers if entry[1] in self._waiting]
            heapq.heapify(self._sleepers)

    def _wake(self, *, everyone: bool = False) -> None:
        with self._lock:
            due = []
            while self._sleepers and (everyone or self._sleepers[0][0] <= self._read()):
                _, number, wake = heapq.heappop(self._sleepers)
                if number in self._waiting:
                    due.append(wake)
        for wake in due:
            wake()
