"""The application factory: routes, errors, and the layers around them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import compile_path

from reference_impl.domain import errors
from reference_impl.domain.errors import BackendError
from reference_impl.entrypoints.answers import error_response
from reference_impl.entrypoints.middleware import BodyPolicy, Doorkeeper, FairShare, RequestContext
from reference_impl.entrypoints.routes import admin, campaigns, health, messages, webhooks, whatsapp

if TYPE_CHECKING:
    from reference_impl.bootstrap import Services
    from reference_impl.settings import Settings

__all__ = ["build_app"]

_STATUS: dict[type[BackendError], int] = {
    errors.UnauthorizedError: 401,
    errors.ForbiddenError: 403,
    errors.NotFoundError: 404,
    errors.InvalidProviderError: 400,
    errors.InvalidInputError: 422,
    errors.NotConnectedError: 409,
    errors.ConflictError: 409,
    errors.ThrottledError: 429,
    errors.ProviderFailedError: 502,
    errors.ProviderUnavailableError: 503,
    errors.StorageUnavailableError: 503,
}
_SENTENCES = {404: "Not found", 405: "Method not allowed", 400: "Bad request"}


def build_app(services: Services, lifespan: Callable[[], AbstractAsyncContextManager[Any]], settings: Settings) -> FastAPI:
    """The ASGI application. A server that knows lifespans starts and stops everything through it."""

    @asynccontextmanager
    async def run(_: FastAPI) -> Any:
        async with lifespan():
            yield

    app = FastAPI(
        title="Reference backend",
        version=services.version,
        lifespan=run,
        docs_url=None,
        redoc_url=None,
        # Served by a route of ours, which may want a token.
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    for module in (health, admin, whatsapp, messages, campaigns, webhooks):
        app.include_router(module.router)
    app.add_exception_handler(BackendError, _on_backend_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    # The last one added is the outermost.
    app.add_middleware(BodyPolicy)
    app.add_middleware(
        FairShare,
        clock=services.clock,
        metrics=services.metrics,
        account_rate_s=settings.account_requests_per_second,
        webhook_rate_s=settings.webhooks_per_second,
        webhooks_at_once=max(2, settings.database_pool_size // 2),
    )
    app.add_middleware(
        Doorkeeper,
        claims_of=services.authentication.claims_of,
        metrics_token=services.metrics_token,
        open_docs=settings.open_docs,
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_credentials=settings.cors_credentials,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After", "X-Request-Id"],
        )
    app.add_middleware(RequestContext, clock=services.clock, metrics=services.metrics)
    return app


async def _on_backend_error(request: Request, error: Exception) -> Response:
    if isinstance(error, errors.StorageUnavailableError):
        raise error
    known = cast("BackendError", error)
    status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    return error_response(
        status, known.sentence, request.state.request_id, details=known.details, retry_after_s=known.retry_after_s
    )


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    """Names the fields and the rule, and repeats nothing of what was sent."""
    found = cast("RequestValidationError", error).errors()
    if any(entry["type"] == "json_invalid" for entry in found):
        return error_response(400, "The body is not JSON", request.state.request_id)
    missing = any(entry["type"] == "missing" for entry in found)
    status = 400 if missing and request.scope["path"] == "/admin/login" else 422
    details = [{"field": ".".join(map(str, entry["loc"][1:])) or "body", "problem": entry["type"]} for entry in found[:20]]
    return error_response(status, "The request is not valid", request.state.request_id, details=details)


async def _on_http_error(request: Request, error: Exception) -> Response:
    refused = cast("HTTPException", error)
    response = error_response(
        refused.status_code, _SENTENCES.get(refused.status_code, "Request refused"), request.state.request_id
    )
    for name, value in (refused.headers or {}).items():
        response.headers.setdefault(name, value)
    if refused.status_code == 405:
        # The router names only the methods of the first route with this path.
        matching = (route for route in iter_route_contexts(request.app.routes) if _has_path(route, request.scope["path"]))
        response.headers["Allow"] = ", ".join(sorted({method for route in matching for method in route.methods or ()}))
    return response


def _has_path(route: Any, path: str) -> bool:
    return compile_path(str(route.path))[0].fullmatch(path) is not None
