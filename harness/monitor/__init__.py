"""The first hour after a deploy: sources, signals with their limits, the rule that decides, and the watch that runs them."""

from __future__ import annotations

__all__ = ["expected_ids"]


def expected_ids() -> list[str]:
    """The ids that a watch answers, in their order."""
    from harness.monitor.watch import SOURCES_ID, signals

    return [SOURCES_ID, *(item.id for item in signals())]
