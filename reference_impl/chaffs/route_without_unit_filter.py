"""One route serves whatever it is asked for, whichever unit asks.

Area: security.
Killed by: scenario.tenants-isolated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import Path, Request

from reference_impl.entrypoints import access
from reference_impl.entrypoints.access import Caller, WithServices, parsed_id
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["CASES", "KILLED_ELSEWHERE", "apply"]

_ROUTES = (
    "POST /units/{unit}/whatsapp/connect",
    "GET /units/{unit}/whatsapp/status",
    "GET /units/{unit}/whatsapp/qrcode",
    "DELETE /units/{unit}/whatsapp/disconnect",
    "GET /units/{unit}/events",
    "POST /messages",
    "GET /messages/{message_id}",
    "GET /conversations",
    "GET /conversations/{conversation_id}/messages",
    "POST /contacts",
    "GET /contacts",
    "POST /api/campaigns",
    "GET /api/campaigns",
    "GET /api/campaigns/{campaign_id}",
    "POST /api/campaigns/{campaign_id}/dispatch",
    "POST /api/campaigns/{campaign_id}/pause",
    "POST /api/campaigns/{campaign_id}/resume",
    "POST /api/campaigns/{campaign_id}/cancel",
    "GET /admin/units",
    "POST /admin/units",
    "GET /admin/users",
    "POST /admin/users",
)


def _case(route: str) -> str:
    return re.sub(r"[^a-z]+", "-", re.sub(r"\{.*?\}", "", route).lower()).strip("-")


# Of two routes with one name the one that takes an id is told apart by what it takes.
_BY_CASE = {_case(route) + ("-one" if route.endswith("_id}") else ""): route for route in _ROUTES}
CASES = tuple(_BY_CASE)
# A connected unit has no QR code that another could see.
KILLED_ELSEWHERE = {"get-units-whatsapp-qrcode": "scenario.qr-code-is-the-units-own"}


def apply(backend: Backend, reach: Reach, case: str) -> None:
    method, _, path = _BY_CASE[case].partition(" ")
    overrides = backend.app.dependency_overrides

    def is_it(request: Request) -> bool:
        return bool(request.method == method and request.scope["route"].path == path)

    async def path_unit(
        request: Request, caller: Caller, services: WithServices, unit: Annotated[str, Path(max_length=64)]
    ) -> UUID:
        if not is_it(request):
            return await access._path_unit(caller, services, unit)
        if caller.unit_id is not None and str(caller.unit_id) != unit:
            reach()
        return parsed_id(unit)

    async def member_unit(request: Request, caller: Caller) -> UUID:
        own = await access._member_unit(caller)
        if not is_it(request) or not request.path_params:
            return own
        owner = await _owner(backend, request.path_params)
        if owner not in (None, own):
            reach()
        return owner or own

    async def super_admin(request: Request, caller: Caller) -> Any:
        if not is_it(request):
            return await access._super_admin(caller)
        if caller.role != "super_admin":
            reach()
        return caller

    overrides[access._path_unit] = path_unit
    overrides[access._member_unit] = member_unit
    overrides[access._super_admin] = super_admin
    if (change := _CHANGES.get(f"{method} {path}")) is not None:
        change(backend, reach)


async def _owner(backend: Backend, parameters: dict[str, Any]) -> UUID | None:
    """The unit that has the thing of this id, whichever it is."""
    name, text = next(iter(parameters.items()))
    identity = parsed_id(text)
    for unit in await backend.services.units.all_units():
        async with backend.store.unit_of_work(unit.id) as work:
            found: object = None
            match name:
                case "message_id":
                    found = await work.messages.get(unit.id, identity)
                case "conversation_id":
                    found = await work.conversations.get(unit.id, identity)
                case "campaign_id":
                    found = await work.campaigns.get(unit.id, identity)
        if found is not None:
            return unit.id
    return None


def _everybodys(owner_of: Callable[[Backend], Any], method: str) -> Callable[[Backend, Reach], None]:
    """A list of one unit becomes the list of all."""

    def change(backend: Backend, reach: Reach) -> None:
        async def page(unit_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None) -> list[Any]:
            found = list(await original(unit_id, limit=limit, after=after))
            for unit in await backend.services.units.all_units():
                if unit.id != unit_id and after is None:
                    others = await original(unit.id, limit=limit, after=None)
                    if others:
                        reach()
                    found += others
            return found[:limit]

        original = override(owner_of(backend), method, page)

    return change


def _unit_from_the_body(owner_of: Callable[[Backend], Any], method: str) -> Callable[[Backend, Reach], None]:
    """A member may name another unit, as a super_admin does, or have its contacts written to."""

    def change(backend: Backend, reach: Reach) -> None:
        async def write(unit_id: UUID, **arguments: Any) -> Any:
            named = _named.get() or unit_id
            for contact_id in arguments.get("contact_ids", ())[:1]:
                named = await _unit_of_contact(backend, contact_id) or named
            if named != unit_id:
                reach()
            return await original(named, **arguments)

        original = override(owner_of(backend), method, write)
        backend.wrap(_TakesTheUnit)

    return change


async def _unit_of_contact(backend: Backend, contact_id: UUID) -> UUID | None:
    for unit in await backend.services.units.all_units():
        async with backend.store.unit_of_work(unit.id) as work:
            if await work.contacts.existing(unit.id, [contact_id]):
                return unit.id
    return None


class _TakesTheUnit:
    """Takes the unit that a body names out of it, for as long as the request is served."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(_NAMING):
            await self._app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        _named.set(None)
        try:
            document = json.loads(body)
            _named.set(UUID(document.pop("unitId", None) or document.pop("unit_id")))
            body = json.dumps(document).encode()
        except (ValueError, KeyError, TypeError, AttributeError):
            _named.set(None)
        waiting = [{"type": "http.request", "body": body}]
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]

        async def again() -> Any:
            return waiting.pop() if waiting else await receive()

        await self._app({**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}, again, send)


_NAMING = ("/messages", "/contacts", "/api/campaigns")
_named: ContextVar[UUID | None] = ContextVar("named", default=None)
_CHANGES: dict[str, Callable[[Backend, Reach], None]] = {
    "GET /conversations": _everybodys(lambda backend: backend.services.contacts, "conversations"),
    "GET /contacts": _everybodys(lambda backend: backend.services.contacts, "page"),
    "GET /api/campaigns": _everybodys(lambda backend: backend.services.campaigns, "page"),
    "POST /messages": _unit_from_the_body(lambda backend: backend.services.outbound, "send"),
    "POST /contacts": _unit_from_the_body(lambda backend: backend.services.contacts, "add"),
    "POST /api/campaigns": _unit_from_the_body(lambda backend: backend.services.campaigns, "create"),
}
