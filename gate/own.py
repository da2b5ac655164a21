"""Finds the checks that a release brings along: Python files that `golive.toml` names, and installed packages.

A file is a check as the shipped ones are: a docstring with `Why:` and `Fix:`, and one function under `@check`. Its id is its
folder and its name: `release_checks/billing/no_debts.py` is `billing.no-debts`, a file right below is `own.<name>`. An installed
package offers the entry point `golive.checks`, whose value is the package with the checks.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from gate.errors import RegistryError, UsageError
from gate.registry import Kind, Registry

__all__ = ["ENTRY_POINTS", "FAMILY", "load"]

ENTRY_POINTS = "golive.checks"
FAMILY = "own"
# Where `Registry` begins to read an id.
_PACKAGE = "golive_own.checks"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def load(registry: Registry, paths: Sequence[Path]) -> None:
    """Adds the checks of installed packages, and of files and folders. Raises UsageError or RegistryError in one line."""
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            registry.load(point.value)
        except RegistryError:
            raise
        except Exception as error:
            raise RegistryError(f"entry point {point.name} ({point.value}): {_said(error)}") from error
    for path in paths:
        for family, file in _files(path):
            _import(registry, family, file)


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield FAMILY, path
        return
    if not path.is_dir():
        raise UsageError(f"gate.checks: {path} is neither a file nor a folder")
    found = [
        file for file in sorted(path.rglob("*.py")) if not file.name.startswith(("_", "test_")) and file.name != "conftest.py"
    ]
    if not found:
        raise UsageError(f"gate.checks: {path} holds no check; a check is a Python file under @check")
    for file in found:
        inside = file.relative_to(path).parts
        yield inside[-2] if len(inside) > 1 else FAMILY, file


def _import(registry: Registry, family: str, file: Path) -> None:
    if not (_NAME.fullmatch(file.stem) and _NAME.fullmatch(family)):
        raise UsageError(f"gate.checks: {family}/{file.name}: name folder and file in lower case, as family/what_is_checked.py")
    name = f"{_PACKAGE}.{family}.{file.stem}"
    known = sys.modules.get(name)
    if known is not None:
        if Path(known.__file__ or "").absolute() == file.absolute():
            return
        raise RegistryError(f"{file}: another check is called {family}.{file.stem} too: {known.__file__}")
    identifier = f"{family}.{file.stem}".replace("_", "-")
    shipped = next((item for item in registry if item.id == identifier), None)
    if shipped is not None:
        raise RegistryError(f"{file}: {identifier} is a check that is shipped; choose another name, none may be replaced")
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise RegistryError(f"{file}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise RegistryError(f"{file}: cannot be imported: {_said(error)}") from error
    if not _defines(registry, module):
        del sys.modules[name]
        raise RegistryError(f"{file} holds no @{Kind.CHECK}: a file there is one {Kind.CHECK}")


def _defines(registry: Registry, module: ModuleType) -> bool:
    return any(item.module == module.__name__ for item in registry)


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
