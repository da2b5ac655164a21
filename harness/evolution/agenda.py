"""What is to happen at a moment of the clock: one task for all of it, because a task for each costs more than what it does."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable, Coroutine
from typing import Any

from harness.clock import Clock

__all__ = ["Agenda"]

# Under load every entry would wake the loop for itself: those of one hundredth of a second come together, at its beginning.
_A_SECOND = 100
# Closer than this is now: a clock that stands still gives back a moment with its last digits rounded.
_NOW = 1e-6


class Agenda:
    """Carries out what was added, each at its moment, the earliest first and what is due together in the order of adding."""

    def __init__(self, clock: Clock, spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]) -> None:
        self._clock = clock
        self._spawn = spawn
        self._moments: list[int] = []
        self._due: dict[int, list[tuple[Callable[..., object], tuple[Any, ...]]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._next: float = math.inf

    def add(self, seconds: float, act: Callable[..., object], *arguments: Any) -> None:
        """Calls `act` with `arguments` once so many seconds, less at most 10 ms, have passed."""
        moment = int((self._clock.monotonic() + seconds) * _A_SECOND)
        due = self._due.get(moment)
        if due is not None:
            due.append((act, arguments))
            return
        self._due[moment] = [(act, arguments)]
        heapq.heappush(self._moments, moment)
        if moment < self._next:
            if self._task is not None:
                self._task.cancel()
            self._next = moment
            self._task = self._spawn(self._work())

    def clear(self) -> None:
        """Forgets everything."""
        self._moments.clear()
        self._due.clear()
        self._next = math.inf
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _work(self) -> None:
        moments = self._moments
        while moments:
            left = moments[0] / _A_SECOND - self._clock.monotonic()
            if left > _NOW:
                self._next = moments[0]
                await self._clock.sleep(left)
                continue
            for act, arguments in self._due.pop(heapq.heappop(moments)):
                act(*arguments)
        self._next = math.inf
        self._task = None
