"""The WhatsApp connection of a unit, and the stream of what happens in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import JSONResponse, StreamingResponse

from reference_impl.domain.errors import NotFoundError, ThrottledError
from reference_impl.entrypoints.access import Caller, PathUnit, WithServices
from reference_impl.entrypoints.answers import connection_status
from reference_impl.entrypoints.fields import CAMEL

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
    return JSONResponse({"success": True, "connection": view}, 201, {"Cache-Control": "no-store"})


@router.get("/whatsapp/status")
async def status(unit: PathUnit, services: WithServices) -> Response:
    view = connection_status(await services.connections.status(unit), services.clock.now())
    return JSONResponse(view, headers={"Cache-Control": "no-store"})


@router.get("/whatsapp/qrcode")
async def qrcode(unit: PathUnit, services: WithServices) -> Response:
    connection = await services.connections.status(unit)
    if connection is None or connection.qr_code is None:
        raise NotFoundError("Not found")
    return JSONResponse({"qrcode": connection.qr_code, "status": connection.status}, headers={"Cache-Control": "no-store"})


@router.delete("/whatsapp/disconnect")
async def disconnect(unit: PathUnit, services: WithServices) -> dict[str, Any]:
    connection = await services.connections.disconnect(unit)
    return {"success": True, "status": connection.status, "reason": connection.status_reason}


@router.get("/events")
async def events(unit: PathUnit, _: Caller, services: WithServices) -> StreamingResponse:
    """Server-sent events `status`, `message`, `message-status` of this unit, from now on."""
    if services.events.streams(unit) >= _STREAMS_ALLOWED:
        raise ThrottledError("Too many open streams", retry_after_s=30.0)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(unit, services), media_type="text/event-stream", headers=headers)


async def _stream(unit: UUID, services: WithServices) -> AsyncIterator[str]:
    with services.events.subscribed(unit) as queue:
        yield ": connected\n\n"
        while not services.closing.is_set():
            try:
                event = await asyncio.wait_for(queue.get(), _HEARTBEAT_S)
            except TimeoutError:
                yield ": still here\n\n"
            else:
                yield f"event: {event.kind}\ndata: {json.dumps(event.payload)}\n\n"
