"""A short load on a running backend: locust in its own process drives it, this package judges what it wrote down."""

from __future__ import annotations

__all__ = ["expected_ids"]


def expected_ids() -> list[str]:
    """The ids that a load run answers."""
    from harness.load.run import IDS

    return list(IDS)
