"""Judges one import: does it succeed, without side effects, with the name that the application uses, and is it mounted?"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.facts.modules import Modules
from gate.model import Evidence

__all__ = ["judge_import", "judge_route"]

LONGEST_IMPORT_S = 10.0
_NOTHING = {"NoneType": "None", "Mock": "a mock", "MagicMock": "a mock", "AsyncMock": "a mock"}


def judge_import(modules: Modules, role: str) -> Iterator[Evidence]:
    """Raises Failure in one sentence that quotes what was expected and seen."""
    found = modules.of(role)
    name, _, attribute = found.wanted.name.partition(":")
    if found.error:
        raise Failure(f"{name} does not import: {found.error}")
    if not found.present:
        raise Failure(f"{name} has no {attribute}, expected the name that the application uses")
    if found.kind in _NOTHING:
        raise Failure(
            f"{name}.{attribute} is {_NOTHING[found.kind]}: what the application uses could not be had, and nobody said so"
        )
    if found.effects:
        raise Failure(f"importing {name} is not without side effects: it {', '.join(found.effects)}")
    if found.seconds > LONGEST_IMPORT_S:
        raise Failure(f"importing {name} took {found.seconds:.1f} s, expected at most {LONGEST_IMPORT_S:g} s")
    yield Evidence(label=f"{name} imports", value=round(found.seconds, 4), unit="s")
    yield Evidence(label=f"{name}.{attribute}", value=found.kind)


def judge_route(modules: Modules, role: str) -> Iterator[Evidence]:
    """The same, and every route of the role is served by the application."""
    yield from judge_import(modules, role)
    wanted = modules.of(role).wanted.routes
    if not wanted:
        raise Failure(f"the subject names no route for {role}; a module that imports and is not mounted would pass")
    if modules.application_error:
        raise Failure(f"the application {modules.application} cannot be built: {modules.application_error}")
    for route in wanted:
        if not modules.mounted.get(route, False):
            raise Failure(f"{route} is not served by {modules.application}, expected it mounted")
        yield Evidence(label=f"{route} is served by", value=modules.application)
