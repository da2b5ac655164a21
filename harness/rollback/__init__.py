"""The rehearsal of a rollback: the commands, the previous release on the new schema, and what must not be lost."""

from __future__ import annotations

__all__ = ["expected_ids"]


def expected_ids() -> list[str]:
    """The ids that a rollback rehearsal answers, in their order."""
    from harness.rollback.run import IDS

    return list(IDS)
