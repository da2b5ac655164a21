"""The step library: one module for each area, found and loaded by the plugin, each usable from every feature."""

from __future__ import annotations

from features.definitions import given, then, when
from features.expressions import parameter_type

__all__ = ["given", "parameter_type", "then", "when"]
