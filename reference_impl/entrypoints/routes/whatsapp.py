"""The WhatsApp connection of a unit, and the stream of what happens in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import JSONResponse, StreamingResponse

from reference_impl.domain.errors import BackendError, NotFoundError, ThrottledError
from reference_impl.entrypoints.access import PathUnit, WithServices
from reference_impl.entrypoints.answers import connection_status
from reference_impl.entrypoints.fields import CAMEL
from reference_impl.entrypoints.middleware import bearer_token

__all__ = ["router"]

router = APIRouter(prefix="/units/{unit}", tags=["whatsapp"])
_HEARTBEAT_S = 15.0
# Of one unit in one process.
_STREAMS_ALLOWED = 100


class Connect(BaseModel):
    """`credentials` is accepted and not used: address and key of the provider are never the caller's to choose."""

    model_config = CAMEL
    provider: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    credentials: dict[str, Any] = Field(default_factory=dict)


@router.post("/whatsapp/connect", status_code=201)
async def connect(unit: PathUnit, body: Connect, services: WithServices) -> Response:
    connection = await services.connections.connect(unit, body.provider)
    view = {
        "id": str(connection.id),
        "status": connection.status,
        "reason": connection.status_reason,
        "qrCode": connection.qr_code,
    }
    return JSONResponse({"success": True, "connection": view}, 201)


@router.get("/whatsapp/status")
async def status(unit: PathUnit, services: WithServices) -> Response:
    return JSONResponse(connection_status(await services.connections.status(unit), services.clock.now()))


@router.get("/whatsapp/qrcode")
async def qrcode(unit: PathUnit, services: WithServices) -> Response:
    connection = await services.connections.status(unit)
    if connection is None or connection.qr_code is None:
        raise NotFoundError("Not found")
    return JSONResponse({"qrcode": connection.qr_code, "status": connection.status})


@router.delete("/whatsapp/disconnect")
async def disconnect(unit: PathUnit, services: WithServices) -> dict[str, Any]:
    connection = await services.connections.disconnect(unit)
    return {"success": True, "status": connection.status, "reason": connection.status_reason}


@router.get("/events")
async def events(unit: PathUnit, request: Request, services: WithServices) -> StreamingResponse:
    """Server-sent events `status`, `message`, `message-status` of this unit, from now on for as long as the token is valid."""
    if services.events.streams(unit) >= _STREAMS_ALLOWED:
        raise ThrottledError("Too many open streams", retry_after_s=30.0)
    token = bearer_token(request.headers.get("authorization", ""))
    return StreamingResponse(_stream(unit, token, services), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _stream(unit: UUID, token: str, services: WithServices) -> AsyncIterator[str]:
    asked = services.clock.monotonic()
    with services.events.subscribed(unit) as queue:
        yield ": connected\n\n"
        while not services.closing.is_set():
            try:
                event = await asyncio.wait_for(queue.get(), _HEARTBEAT_S)
            except TimeoutError:
                event = None
            if services.clock.monotonic() >= asked + _HEARTBEAT_S:
                if not await _may_still_watch(unit, token, services):
                    return
                asked = services.clock.monotonic()
            yield f"event: {event.kind}\ndata: {json.dumps(event.payload)}\n\n" if event is not None else ": still here\n\n"


async def _may_still_watch(unit: UUID, token: str, services: WithServices) -> bool:
    """A stream is open for longer than a token is valid, an account is active or somebody is of a unit."""
    try:
        caller = await services.authentication.authenticate(token)
    except BackendError:
        return False
    return caller.role == "super_admin" or caller.unit_id == unit
