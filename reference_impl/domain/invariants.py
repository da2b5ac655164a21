"""What must be so because of how the code is built; a violation is a defect of ours and never a client's mistake."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["InvariantError", "existing"]

Value = TypeVar("Value")


class InvariantError(AssertionError):
    """Something that cannot be is."""


def existing(value: Value | None, why: str) -> Value:
    """The value, which is there because of `why`. Raises InvariantError."""
    if value is None:
        raise InvariantError(why)
    return value
