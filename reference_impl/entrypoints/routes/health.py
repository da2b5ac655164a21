"""Liveness, readiness, measurements."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import JSONResponse

from reference_impl.entrypoints.access import WithServices, may_read_docs
from reference_impl.entrypoints.description import described

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
    return JSONResponse({"status": "ready" if fine else "not_ready", "checks": checks}, 200 if fine else 503)


@router.get("/metrics")
async def metrics(services: WithServices) -> Response:
    """The Prometheus exposition, for whoever has the metrics token, which was asked for at the door."""
    body = await services.readiness.exposition()
    return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/openapi.json", dependencies=[Depends(may_read_docs)])
async def openapi(request: Request) -> dict[str, Any]:
    """This description: for anybody outside production, there for a super_admin alone."""
    return described(request.app)
