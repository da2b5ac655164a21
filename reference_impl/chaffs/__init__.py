"""Planted bugs: the backend with one plausible mistake each, so that what must find it can be seen to find it.

A chaff is a module here with `apply(backend, reach)`; its file's name is its name (`fourth_attempt.py` is `fourth-attempt`), and
its docstring names the scenario that must fail. With `CASES` it comes once for each. One is switched on by the setting `CHAFF`,
never two, and never in production.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl import variants
from reference_impl.variants import Variant

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["catalogue", "names", "plant"]


def catalogue() -> list[Variant]:
    """Every chaff."""
    return variants.catalogue(__name__)


def names() -> list[str]:
    """Every chaff, by name."""
    return variants.names(__name__)


def plant(backend: Backend, name: str) -> None:
    """Breaks the backend before it is opened. Raises KeyError for a chaff that does not exist."""
    variants.load(__name__, name)(backend)
