"""What holds for every request: an id, a bounded body that is UTF-8 JSON, one log line, one count, and no error that tells
too much.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reference_impl.adapters.logs import REQUEST_ID, UNIT_ID
from reference_impl.domain.errors import StorageUnavailableError
from reference_impl.entrypoints.answers import error_response
from reference_impl.ports import Clock, Metrics

__all__ = ["WEBHOOK_PREFIX", "BodyPolicy", "RequestContext"]

WEBHOOK_PREFIX: Final = "/webhooks/"
_BODY_LIMIT: Final = 2 * 1024 * 1024
# A hundred thousand contact ids.
_CAMPAIGN_BODY_LIMIT: Final = 8 * 1024 * 1024
_BODY_DEADLINE_S: Final = 30.0
_log = logging.getLogger(__name__)


class RequestContext:
    """The outermost layer: nothing that a request does gets past it unlogged or leaves it as a stack trace."""

    def __init__(self, app: ASGIApp, *, clock: Clock, metrics: Metrics) -> None:
        self._app = app
        self._clock = clock
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        tokens = REQUEST_ID.set(request_id), UNIT_ID.set(None)
        begun = self._clock.monotonic()
        status: int | None = None

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        try:
            try:
                await self._app(scope, receive, observed)
            except StorageUnavailableError as error:
                if status is not None:
                    raise
                _log.warning("database cannot be used", exc_info=error.__cause__)
                await error_response(503, error.sentence, request_id, retry_after_s=1)(scope, receive, observed)
            except Exception:
                _log.exception("request failed")
                if status is None:
                    await error_response(500, "Internal error", request_id)(scope, receive, observed)
        finally:
            self._account(scope, status or 500, self._clock.monotonic() - begun)
            REQUEST_ID.reset(tokens[0])
            UNIT_ID.reset(tokens[1])

    def _account(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.count("http_requests", method=method, route=route, status=str(status))
        if not route.endswith("/events"):
            self._metrics.observe("http_duration", seconds, route=route)
        unit = scope.get("path_params", {}).get("unit") if route != "unmatched" else None
        _log.log(
            logging.WARNING if status >= 500 else logging.INFO,
            "request",
            extra={
                "method": method,
                "route": route,
                "status": status,
                "duration_ms": round(seconds * 1000, 1),
                "unit_id": UNIT_ID.get() or (str(unit) if status < 400 and unit is not None else None),
            },
        )


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class BodyPolicy:
    """Reads the body before anybody parses it: bounded, in time, UTF-8 without a byte order mark, JSON by its type, not
    compressed.

    Webhooks are left alone: whatever comes there is answered with 200 and kept.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(WEBHOOK_PREFIX):
            await self._app(scope, receive, send)
            return
        request_id = scope["state"]["request_id"]
        headers = {name.lower(): value for name, value in scope["headers"]}
        limit = _CAMPAIGN_BODY_LIMIT if scope["path"] == "/api/campaigns" else _BODY_LIMIT
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > limit:
            await error_response(413, "The body is too large", request_id, close=True)(scope, receive, send)
            return
        if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
            await error_response(415, "Content-Encoding is not supported", request_id, close=True)(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(_read(receive, limit), _BODY_DEADLINE_S)
        except TimeoutError:
            await error_response(408, "The body came too slowly", request_id, close=True)(scope, receive, send)
            return
        except _DisconnectedError:
            return
        if body is None:
            await error_response(413, "The body is too large", request_id, close=True)(scope, receive, send)
            return
        if body and (problem := _problem(body, headers.get(b"content-type", b""))) is not None:
            await error_response(problem[0], problem[1], request_id)(scope, receive, send)
            return
        handed_over = False

        async def replay() -> Message:
            nonlocal handed_over
            if handed_over:
                return await receive()
            handed_over = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


class _DisconnectedError(Exception):
    """The client went away before its body was complete."""


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None when it is over the limit."""
    chunks = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        chunks += message.get("body", b"")
        if len(chunks) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(chunks)


def _problem(body: bytes, content_type: bytes) -> tuple[int, str] | None:
    kind, _, parameters = content_type.lower().partition(b";")
    if kind.strip() != b"application/json":
        return 415, "Content-Type must be application/json"
    if b"charset" in parameters and b"utf-8" not in parameters and b"utf8" not in parameters:
        return 415, "JSON is UTF-8"
    if body.startswith(b"\xef\xbb\xbf"):
        return 400, "JSON begins without a byte order mark"
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return 400, "JSON is UTF-8"
    return None
