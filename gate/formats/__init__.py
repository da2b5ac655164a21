"""Formats for machines: `render(outcomes, verdict) -> str` in one module each, found by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from gate.errors import UsageError
from gate.model import Outcome, Verdict
from gate.policy import nearest

__all__ = ["names", "render"]


def names() -> tuple[str, ...]:
    """The formats that there are, in order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg))


def render(name: str, outcomes: Sequence[Outcome], verdict: Verdict) -> str:
    """Raises UsageError with the nearest name for a format that does not exist."""
    if name not in names():
        raise UsageError(f"no format {name!r}{nearest(name, names())}")
    return str(importlib.import_module(f"{__name__}.{name}").render(outcomes, verdict))
