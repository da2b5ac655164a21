"""Liveness, readiness, measurements."""

from __future__ import annotations

import hmac
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from reference_impl.domain.errors import UnauthorizedError
from reference_impl.entrypoints.access import WithServices

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/health")
async def health(services: WithServices) -> dict[str, Any]:
    """Alive; touches nothing."""
    return {"status": "ok", "uptime": round(services.uptime(), 3), "version": services.version}


@router.get("/ready")
async def ready(services: WithServices) -> Response:
    """Whether the database and the provider answer."""
    checks = await services.readiness.checks()
    fine = all(result == "ok" for result in checks.values())
    return JSONResponse(
        {"status": "ready" if fine else "not_ready", "checks": checks}, 200 if fine else 503, {"Cache-Control": "no-store"}
    )


@router.get("/metrics")
async def metrics(request: Request, services: WithServices) -> Response:
    """The Prometheus exposition, for whoever has the token."""
    given = request.headers.get("authorization", "").encode()
    expected = services.metrics_token
    if expected is None or not hmac.compare_digest(given, f"Bearer {expected}".encode()):
        raise UnauthorizedError("Unauthorized")
    body = await services.readiness.exposition()
    return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")
