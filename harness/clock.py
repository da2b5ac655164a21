"""Time as a port: real time for production, time that can be moved for everything else.

Every part that waits takes a `Clock`, so that an hour of monitoring or twenty minutes of webhook retries take milliseconds.
`VirtualClock` flows like real time and can be advanced or frozen from any thread; whoever sleeps on it wakes when its deadline
is reached, whether by the flow or by a jump.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "SkewedClock", "SystemClock", "VirtualClock"]


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

    async def limit(self, seconds: float) -> None:
        """As `sleep`, for a time limit that is hoped not to be reached: who moves the clock does not hurry towards it."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    async def limit(self, seconds: float) -> None:
        await self.sleep(seconds)


class SkewedClock(SystemClock):
    """The time of a machine whose wall clock is wrong by `skew_s`, as after a jump or without a time server."""

    def __init__(self, skew_s: float) -> None:
        self._skew = timedelta(seconds=skew_s)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._skew

    def ahead(self) -> float:
        """Seconds by which somebody moved it: 0, for it does not know that it is wrong."""
        return 0.0


class VirtualClock:
    """A clock that flows with real time and can be advanced, frozen and resumed; safe to use from several threads and loops.

    `start` is the wall time at creation, aware (default: the real one). A frozen clock moves by `advance` alone.
    """

    def __init__(self, *, start: datetime | None = None, frozen: bool = False) -> None:
        if start is not None and start.tzinfo is None:
            raise ValueError("a clock starts at an aware datetime: give it a time zone, such as UTC")
        self._lock = threading.Lock()
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, _Sleeper]] = []
        self._start = start.astimezone(UTC) if start is not None else datetime.now(UTC)
        self._elapsed = 0.0
        self._resumed_at: float | None = None if frozen else time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        with self._lock:
            return self._read()

    def ahead(self) -> float:
        """Seconds by which it is ahead of the machine's own time: what a database, which cannot be moved, has to be told."""
        return (self.now() - datetime.now(UTC)).total_seconds()

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
        self._tell_sleepers()

    def advance(self, seconds: float) -> None:
        """Jumps forward and wakes whoever was due. Raises ValueError for a negative step: this clock never goes back."""
        if seconds < 0:
            raise ValueError(f"a clock cannot be advanced by {seconds} s: it never goes back")
        with self._lock:
            self._elapsed += seconds
        self._tell_sleepers()

    def next_deadline(self) -> float | None:
        """Seconds until the next sleeper is due (0 when overdue); None when nobody sleeps."""
        with self._lock:
            while self._sleepers and self._sleepers[0][2].awake:
                heapq.heappop(self._sleepers)
            return max(0.0, self._sleepers[0][0] - self._read()) if self._sleepers else None

    def next_wait(self) -> float | None:
        """As `next_deadline`, without time limits: seconds until somebody goes on as he meant to."""
        with self._lock:
            waits = [deadline for deadline, _, sleeper in self._sleepers if not sleeper.awake and not sleeper.is_limit]
            return max(0.0, min(waits) - self._read()) if waits else None

    async def sleep(self, seconds: float) -> None:
        await self._sleep(seconds, is_limit=False)

    async def limit(self, seconds: float) -> None:
        await self._sleep(seconds, is_limit=True)

    async def _sleep(self, seconds: float, *, is_limit: bool) -> None:
        deadline = self.monotonic() + max(0.0, seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = _Sleeper(self, deadline, is_limit=is_limit)
        with self._lock:
            heapq.heappush(self._sleepers, (deadline, next(self._order), sleeper))
        try:
            # Only now, so that no jump falls between reading the clock and being told of jumps.
            sleeper.look()
            await sleeper.woken.wait()
        finally:
            sleeper.leave()
            with self._lock:
                self._drop_the_gone()

    def left(self, deadline: float) -> tuple[float, bool]:
        """Seconds until a reading of `monotonic`, and whether time flows towards it by itself."""
        with self._lock:
            return deadline - self._read(), self._resumed_at is not None

    def _read(self) -> float:
        flowed = 0.0 if self._resumed_at is None else time.monotonic() - self._resumed_at
        return self._elapsed + flowed

    def _drop_the_gone(self) -> None:
        # Sleepers that were cancelled far from their deadline would otherwise stay in the heap until then.
        while self._sleepers and self._sleepers[0][2].awake:
            heapq.heappop(self._sleepers)
        if len(self._sleepers) > 64:
            alive = [entry for entry in self._sleepers if not entry[2].awake]
            if len(alive) * 2 < len(self._sleepers):
                self._sleepers = alive
                heapq.heapify(self._sleepers)

    def _tell_sleepers(self) -> None:
        with self._lock:
            # While time stands still, those that are not due have nothing to do; while it flows, all must set their timers anew.
            flowing, now = self._resumed_at is not None, self._read()
            told = [sleeper for deadline, _, sleeper in sorted(self._sleepers) if flowing or deadline <= now]
        for sleeper in told:
            sleeper.nudge()


class _Sleeper:
    """One call of `VirtualClock.sleep` or `limit`, in the loop that made it."""

    def __init__(self, clock: VirtualClock, deadline: float, *, is_limit: bool) -> None:
        self.is_limit = is_limit
        self._clock = clock
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.woken = asyncio.Event()
        self.awake = False

    def nudge(self) -> None:
        """From any thread: look at the clock again."""
        # A loop may close between any check and this call; who slept in it is gone then.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.look)

    def look(self) -> None:
        """Wakes when due, else sets the timer for as long as time flows."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.awake:
            return
        left, flowing = self._clock.left(self._deadline)
        if left <= 0:
            self.awake = True
            self.woken.set()
        elif flowing:
            self._timer = self._loop.call_later(left, self.look)

    def leave(self) -> None:
        self.awake = True
        if self._timer is not None:
            self._timer.cancel()
