"""What the checks of a package say of themselves, read from their source without importing it.

To list checks needs no facts, no database driver and no world to break, which take several times as long to import as the listing
takes. Only what is written plainly is read; a check whose decorator computes something is imported after all, so that the outline
never differs from the registry.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from gate.errors import RegistryError
from gate.model import Severity
from gate.registry import Item, Kind, Registry, id_of, parse_docstring, registry

__all__ = ["outline"]


class _NotPlain(Exception):
    """Something that only running it tells."""


def outline(package: str) -> Registry:
    """The checks below a package, as `Registry.load` would find them, but not to be asked, and without their saboteurs.

    Raises RegistryError for a file that holds no check or two, or whose documentation is not whole.
    """
    found = Registry(Kind.CHECK)
    for module, path in _modules(package):
        try:
            found.add(_read(module, path))
        except _NotPlain:
            importlib.import_module(module)
            held = [item for item in registry(Kind.CHECK) if item.module == module]
            if not held:
                raise RegistryError(f"{module} holds no @check: a file there is one check") from None
            for item in held:
                found.add(item)
    return found


def _modules(package: str) -> Iterator[tuple[str, Path]]:
    for root in map(Path, importlib.import_module(package).__path__):
        for path in sorted(root.rglob("*.py")):
            inside = path.relative_to(root).with_suffix("")
            if path.name != "__init__.py" and "tests" not in inside.parts:
                yield ".".join((package, *inside.parts)), path


def _read(module: str, path: Path) -> Item:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError) as error:
        raise RegistryError(f"{module}: cannot be read ({error})") from error
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    checks = [(function, call) for function in functions for call in function.decorator_list if _is_check(call)]
    if len(checks) != 1:
        raise _NotPlain
    function, call = checks[0]
    title, paragraphs = parse_docstring(ast.get_docstring(tree) or "", where=module, kind=Kind.CHECK)
    return Item(
        kind=Kind.CHECK,
        id=id_of(module, Kind.CHECK),
        title=title,
        paragraphs=paragraphs,
        function=_not_loaded,
        facts=_parameters(function),
        module=module,
        **_settings(call),
    )


def _is_check(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check"


def _parameters(function: ast.FunctionDef) -> tuple[str, ...]:
    named = function.args
    if named.vararg or named.kwarg:
        raise _NotPlain
    return tuple(argument.arg for argument in (*named.posonlyargs, *named.args, *named.kwonlyargs))


def _settings(call: ast.expr) -> dict[str, Any]:
    assert isinstance(call, ast.Call)  # noqa: S101 – found as one
    found: dict[str, Any] = {}
    for keyword in call.keywords:
        value = keyword.value
        try:
            if keyword.arg == "severity" and isinstance(value, ast.Attribute):
                found["severity"] = Severity[value.attr]
            elif keyword.arg == "order":
                found["order"] = int(ast.literal_eval(value))
            elif keyword.arg == "tags":
                found["tags"] = frozenset(map(str, ast.literal_eval(value)))
            else:
                raise _NotPlain
        except (ValueError, KeyError, TypeError):
            raise _NotPlain from None
    return found


def _not_loaded(*_: object, **__: object) -> NoReturn:
    raise RegistryError("this check was only outlined; load its registry to ask it")
