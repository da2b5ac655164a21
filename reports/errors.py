"""What can go wrong while documents are made."""

from __future__ import annotations

__all__ = ["ReportError"]


class ReportError(Exception):
    """The documents cannot be made. The text is one line: what, where, what to do."""
