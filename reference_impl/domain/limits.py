"""How often something may fail or happen within a window, by key."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

__all__ = ["SlidingWindow", "TokenBucket"]

_KEYS_KEPT: Final = 10_000


class SlidingWindow:
    """At most `limit` notes for one key within `window_s` seconds. Memory is bounded: the key unused for longest is
    forgotten first.
    """

    def __init__(self, *, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._notes: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, key: str, now: float) -> float:
        """Seconds until the key is free again; 0 when it is. `now` is monotonic."""
        notes = self._fresh(key, now)
        return 0.0 if len(notes) < self._limit else max(0.0, notes[0] + self._window_s - now)

    def note(self, key: str, now: float) -> None:
        """Counts one for the key."""
        notes = self._fresh(key, now)
        notes.append(now)
        while len(notes) > self._limit:
            notes.popleft()
        self._notes[key] = notes
        self._notes.move_to_end(key)
        while len(self._notes) > _KEYS_KEPT:
            self._notes.popitem(last=False)

    def room(self, key: str, now: float) -> int:
        """How many more may be noted for the key now."""
        return self._limit - len(self._fresh(key, now))

    def clear(self, key: str) -> None:
        """Forgets the key."""
        self._notes.pop(key, None)

    def _fresh(self, key: str, now: float) -> deque[float]:
        notes = self._notes.get(key) or deque()
        while notes and notes[0] <= now - self._window_s:
            notes.popleft()
        return notes


class TokenBucket:
    """For each key `rate_s` a second on average and `burst` at once. Memory is bounded: the key unused for longest is forgotten
    first, and so begins with a full bucket.
    """

    def __init__(self, *, rate_s: float, burst: float) -> None:
        self._rate_s = rate_s
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now: float) -> float:
        """Takes one; 0, or the seconds after which there would be one. `now` is monotonic."""
        level, at = self._buckets.get(key, (self._burst, now))
        level = min(self._burst, level + max(0.0, now - at) * self._rate_s)
        wait = 0.0 if level >= 1 else (1 - level) / self._rate_s
        self._buckets[key] = (level - 1 if wait == 0 else level, max(at, now))
        self._buckets.move_to_end(key)
        while len(self._buckets) > _KEYS_KEPT:
            self._buckets.popitem(last=False)
        return wait
