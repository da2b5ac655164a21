"""Gives tests a published client by the name and the version it has on its registry."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

import pytest

# Read now: tests see no setting of whoever runs them.
_REQUIRED = os.environ.get("GOLIVE_REQUIRE_CLIENTS") == "1"
_WANTED = {"evolutionapi": "0.1.2", "evolution-whatsapp": "0.1.1", "pyevolutionapi": "0.1.1"}


@pytest.fixture(scope="session")
def published() -> Callable[[str, str], ModuleType]:
    """Imports a module of a distribution; without it the test is skipped, or fails when the clients are required."""

    def load(distribution: str, module: str) -> ModuleType:
        wanted = _WANTED[distribution]
        try:
            found = version(distribution)
        except PackageNotFoundError:
            found = "not installed"
        if found != wanted:
            reason = f"{distribution} {wanted} is wanted, here is {found}; `tox -e clients` installs it"
            if _REQUIRED:
                pytest.fail(reason)
            pytest.skip(reason)
        return importlib.import_module(module)

    return load
