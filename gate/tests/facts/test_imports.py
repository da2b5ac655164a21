"""One import is judged by all that it did, and a route only counts where the application serves it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gate.errors import Failure, GateError
from gate.facts.imports import judge_import, judge_route
from gate.facts.modules import Import, Modules
from gate.facts.subject import ImportedModule, Route

ROUTE = Route(method="POST", path="/messages")
WANTED = ImportedModule(role="messages-route", name="shop.routes:router", routes=(ROUTE,))
SOUND = Import(wanted=WANTED, error="", seconds=0.1, present=True, kind="APIRouter", effects=())


def modules(found: Import, *, error: str = "", mounted: bool = True) -> Modules:
    return Modules(
        imports={found.wanted.role: found}, application="shop.app:app", application_error=error, mounted={ROUTE: mounted}
    )


def test_an_import_that_only_defines_passes_with_what_it_is() -> None:
    assert [piece.value for piece in judge_route(modules(SOUND), "messages-route")] == [0.1, "APIRouter", "shop.app:app"]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (replace(SOUND, error="ModuleNotFoundError: no shop"), "shop.routes does not import: ModuleNotFoundError: no shop"),
        (replace(SOUND, present=False), "shop.routes has no router"),
        (replace(SOUND, kind="NoneType"), "shop.routes.router is None: what the application uses could not be had"),
        (replace(SOUND, kind="MagicMock"), "shop.routes.router is a mock"),
        (
            replace(SOUND, effects=("starts a process", "opens a socket")),
            "not without side effects: it starts a process, opens a socket",
        ),
        (replace(SOUND, seconds=10.1), "took 10.1 s, expected at most 10 s"),
    ],
)
def test_an_import_that_does_anything_else_fails(found: Import, reason: str) -> None:
    with pytest.raises(Failure, match=reason):
        list(judge_import(modules(found), "messages-route"))


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (modules(replace(SOUND, wanted=replace(WANTED, routes=()))), "names no route for messages-route"),
        (modules(SOUND, error="SettingsError: nothing is set"), "shop.app:app cannot be built: SettingsError"),
        (modules(SOUND, mounted=False), "POST /messages is not served by shop.app:app"),
    ],
)
def test_a_route_that_is_not_served_fails(seen: Modules, reason: str) -> None:
    with pytest.raises(Failure, match=reason):
        list(judge_route(seen, "messages-route"))


def test_a_role_without_a_module_is_an_error_and_no_pass() -> None:
    with pytest.raises(GateError, match="no module was given for campaign-service"):
        list(judge_import(modules(SOUND), "campaign-service"))
