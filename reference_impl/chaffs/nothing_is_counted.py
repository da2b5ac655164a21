"""The measurements are there and never move.

Area: release.
Killed by: scenario.metrics-name-nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def count(*_: object, **__: object) -> None:
        reach()

    override(backend.services.metrics, "count", count)
