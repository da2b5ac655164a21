"""Imports of the modules that the application uses. What breaks any of them is the same, whatever the module is for."""

from __future__ import annotations

from gate.facts.tree import SourceTree
from gate.registry import Item

__all__ = ["break_import", "break_route"]


def break_import(item: Item, role: str) -> None:
    """Adds the saboteurs that break the import of the module of `role`."""

    @item.breaks
    def does_not_import(tree: SourceTree) -> None:
        tree.fail_to_import(role)

    @item.breaks
    def under_another_name(tree: SourceTree) -> None:
        tree.forget_the_name(role)


def break_route(item: Item, role: str) -> None:
    """The same, and one after which the module imports and serves nothing."""
    break_import(item, role)

    @item.breaks
    def not_mounted(tree: SourceTree) -> None:
        tree.append(role, f"{tree.name_of(role)}.routes.clear()")
