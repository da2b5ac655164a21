"""The smoke test: eight steps through a running backend, from its health to a message that was sent."""

from __future__ import annotations

__all__ = ["expected_ids"]


def expected_ids() -> list[str]:
    """The ids that a smoke test answers, in their order."""
    from harness.smoke.walk import probes

    return [item.id for item in probes()]
