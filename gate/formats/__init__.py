"""Formats for people and machines: `render(result) -> str` in one module each, found by its name (`_` is written `-`)."""

from __future__ import annotations

import importlib
import pkgutil

from gate.errors import UsageError
from gate.policy import nearest
from gate.result import Result

__all__ = ["names", "render"]


def names() -> tuple[str, ...]:
    """The formats that there are, in order."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__) if not module.ispkg))


def render(name: str, result: Result) -> str:
    """A whole document, ending with a line end. Raises UsageError with the nearest name for a format that does not exist."""
    if name not in names():
        raise UsageError(f"no format {name!r}{nearest(name, names())}")
    return str(importlib.import_module(f"{__name__}.{name.replace('-', '_')}").render(result))
