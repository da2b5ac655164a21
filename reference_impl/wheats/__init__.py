"""Correct backends that differ where the contract leaves it to them: the scenarios must pass on every one.

A wheat is a module here with `apply(backend, reach)`, named as a chaff is. One is switched on by the setting `WHEAT`, never two,
and never in production.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl import variants
from reference_impl.variants import Variant

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["catalogue", "names", "sow"]


def catalogue() -> list[Variant]:
    """Every wheat."""
    return variants.catalogue(__name__)


def names() -> list[str]:
    """Every wheat, by name."""
    return variants.names(__name__)


def sow(backend: Backend, name: str) -> None:
    """Changes the backend before it is opened. Raises KeyError for a wheat that does not exist."""
    variants.load(__name__, name)(backend)
