"""Errors of the harness: we could not look."""

from __future__ import annotations

from gate.errors import GateError

__all__ = ["HarnessError", "NotInTimeError"]


class HarnessError(GateError):
    """A part of the harness could not do its work. One line: what, where, what to do."""


class NotInTimeError(HarnessError):
    """Something awaited did not happen within its time."""
