"""Where the provider delivers."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from reference_impl.domain.errors import InvalidProviderError, UnauthorizedError
from reference_impl.entrypoints.access import WithServices
from reference_impl.entrypoints.answers import error_response
from reference_impl.use_cases.connections import PROVIDER

__all__ = ["router"]

router = APIRouter(prefix="/webhooks/whatsapp", tags=["webhooks"])
_BODY_LIMIT: Final = 8 * 1024 * 1024
_BODY_DEADLINE_S: Final = 20.0


@router.post("/{provider}/{secret}")
async def deliver(provider: str, secret: str, request: Request, services: WithServices) -> Response:
    """2xx means committed. 503 and 413 are the only answers that ask for, or lose, a redelivery."""
    request_id = request.state.request_id
    if provider != PROVIDER:
        raise InvalidProviderError
    if services.webhook_tokens is not None:
        services.webhook_tokens.check(request.headers.get("authorization", ""))
    try:
        body, complete = await asyncio.wait_for(_read(request), _BODY_DEADLINE_S)
    except TimeoutError:
        return error_response(408, "The body came too slowly", request_id, close=True)
    except ClientDisconnect:
        return Response(status_code=400)
    if not complete:
        declared = request.headers.get("content-length", "")
        size = int(declared) if declared.isdigit() and len(declared) < 16 else len(body)
        await services.inbound.refuse_oversized(provider, secret, body, size)
        return error_response(413, "The body is too large", request_id, close=True)
    receipt = await services.inbound.handle(provider, secret, body)
    if receipt.refused:
        raise UnauthorizedError("Unauthorized")
    answer: dict[str, Any] = {"received": True}
    if receipt.warning is not None:
        answer["warning"] = receipt.warning
    else:
        answer = {"success": True, **answer}
    if receipt.duplicate:
        answer["duplicate"] = True
    return JSONResponse(answer)


async def _read(request: Request) -> tuple[bytes, bool]:
    """The body and True, or as much as was read and False when it is over the limit."""
    declared = request.headers.get("content-length", "")
    too_large = declared.isdigit() and (len(declared) > 15 or int(declared) > _BODY_LIMIT)
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if too_large or len(received) > _BODY_LIMIT:
            return bytes(received[:_BODY_LIMIT]), False
    return bytes(received), not too_large
