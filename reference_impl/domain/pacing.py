"""How fast one WhatsApp number may send, over all workers and campaigns."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

__all__ = ["MIN_GAP_S", "next_slot"]

MIN_GAP_S: Final = 2.0


def next_slot(finished_at: datetime, *, gap_s: float, jitter: float, asked_s: float | None = None) -> datetime:
    """When the number may send again after a call that ended at `finished_at`.

    Counted from the end, so that a slow call cannot shrink the gap that the provider sees. `gap_s` below 2 counts as 2,
    `jitter` is
    in 0..1 and only lengthens, `asked_s` is the provider's `Retry-After`.
    """
    gap = max(gap_s, MIN_GAP_S) * (1 + 0.25 * jitter)
    return finished_at + timedelta(seconds=max(gap, asked_s or 0.0))
