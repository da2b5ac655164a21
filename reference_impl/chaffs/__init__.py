"""Planted bugs: the backend with one plausible mistake each, so that what must find it can be seen to find it.

A chaff is a module here with `plant(backend)`; its file's name is its name (`fourth_attempt.py` is `fourth-attempt`). One is
switched on by the setting `CHAFF`, never two, and never in production.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["names", "override", "plant"]


def names() -> list[str]:
    """Every chaff, by name."""
    return sorted(info.name.replace("_", "-") for info in pkgutil.iter_modules(__path__))


def plant(backend: Backend, name: str) -> None:
    """Breaks the backend before it is opened. Raises KeyError for a chaff that does not exist."""
    if name not in names():
        raise KeyError(name)
    importlib.import_module(f"{__name__}.{name.replace('-', '_')}").plant(backend)


def override(owner: Any, method: str, replacement: Any) -> Any:
    """Puts `replacement` in the place of one object's method and returns the method that was there."""
    original = getattr(owner, method)
    setattr(owner, method, replacement)
    return original
