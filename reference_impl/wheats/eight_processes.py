"""The backend runs in eight processes on one database.

Area: wheat.
"""

from __future__ import annotations

from reference_impl.wheats.two_processes import POSTGRES, apply

__all__ = ["POSTGRES", "PROCESSES", "apply"]

PROCESSES = 8
