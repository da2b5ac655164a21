"""What can go wrong while documents are made."""

from __future__ import annotations

from gate.errors import GateError

__all__ = ["ReportError"]


class ReportError(GateError):
    """The documents cannot be made. The text is one line: what, where, what to do."""
