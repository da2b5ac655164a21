"""What holds for every request: an id, a token unless the route is for anybody, a fair share, a bounded body that is UTF-8 JSON,
one log line, one count, and no error that tells too much.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reference_impl.adapters.logs import REQUEST_ID, UNIT_ID
from reference_impl.domain.errors import StorageUnavailableError, ThrottledError, UnauthorizedError
from reference_impl.domain.limits import TokenBucket
from reference_impl.entrypoints.answers import error_response
from reference_impl.ports import Clock, Metrics, TokenClaims

__all__ = ["BodyPolicy", "Doorkeeper", "FairShare", "RequestContext", "bearer_token"]

_WEBHOOK: Final = re.compile(r"/webhooks/whatsapp/[^/]+/([^/]+)")
# What anybody may ask for; whatever is not here wants a token, also a path that does not exist.
_OPEN: Final = frozenset({"/health", "/ready", "/admin/login", "/admin/refresh"})
_TOKEN_LONGEST: Final = 4096
# Deeper than any request needs, and far from what a parser's stack bears.
_DEEPEST: Final = 64
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_BODY_LIMIT: Final = 2 * 1024 * 1024
# A hundred thousand contact ids.
_CAMPAIGN_BODY_LIMIT: Final = 8 * 1024 * 1024
_BODY_DEADLINE_S: Final = 20.0
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
                    # Whatever is answered is of one tenant, and of this moment.
                    (b"cache-control", b"no-store"),
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


def bearer_token(authorization: str) -> str:
    """The token in an Authorization header. Raises UnauthorizedError for another scheme, for none, and for one far too long."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or len(token) > _TOKEN_LONGEST:
        raise UnauthorizedError("Unauthorized")
    return token.strip()


class Doorkeeper:
    """Nobody without a token that is ours and valid now gets past, but to what is open: no body is read for him, no route looked
    for, and every path and method answers him the same.

    What the token's user may do is judged later, with the database.
    """

    def __init__(
        self, app: ASGIApp, *, claims_of: Callable[[str], TokenClaims], metrics_token: str | None, open_docs: bool
    ) -> None:
        self._app = app
        self._claims_of = claims_of
        self._metrics_token = metrics_token
        self._open = _OPEN | {"/openapi.json"} if open_docs else _OPEN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._open or _WEBHOOK.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in reversed(scope["headers"])}
        authorization = headers.get(b"authorization", b"")
        try:
            if scope["path"] == "/metrics":
                self._check_metrics_token(authorization)
            else:
                scope["state"]["account"] = str(self._claims_of(bearer_token(authorization.decode("latin-1"))).user_id)
        except UnauthorizedError as error:
            has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
            await error_response(401, error.sentence, scope["state"]["request_id"], close=has_body)(scope, receive, send)
            return
        if not scope["path"].isprintable():
            # The router's patterns match before a line break too: `/metrics%0a` would be one path here and another there.
            await error_response(404, "Not found", scope["state"]["request_id"], close=True)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_metrics_token(self, authorization: bytes) -> None:
        expected = self._metrics_token
        if expected is None or not hmac.compare_digest(authorization, f"Bearer {expected}".encode()):
            raise UnauthorizedError("Unauthorized")


class FairShare:
    """One account, or one unit's webhooks, gets so many requests a second, so many at once, and so many that wait for these;
    beyond that it is told to come later, and everybody else is served as before.

    Webhooks are told apart by the secret in their path, before anything of them is read.
    """

    def __init__(
        self, app: ASGIApp, *, clock: Clock, metrics: Metrics, account_rate_s: float, webhook_rate_s: float, webhooks_at_once: int
    ) -> None:
        self._app = app
        self._clock = clock
        self._metrics = metrics
        self._accounts = _Shares("account", rate_s=account_rate_s, at_once=48)
        self._webhooks = _Shares("webhook", rate_s=webhook_rate_s, at_once=webhooks_at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shares, key = self._share_of(scope) if scope["type"] == "http" else (None, "")
        if shares is None:
            await self._app(scope, receive, send)
            return
        try:
            async with shares.taken(key, self._clock.monotonic()):
                await self._app(scope, receive, send)
        except _CrowdedError as error:
            self._metrics.count("throttled", kind=shares.kind)
            request_id = scope["state"]["request_id"]
            answer = error_response(429, error.sentence, request_id, retry_after_s=error.retry_after_s, close=True)
            await answer(scope, receive, send)

    def _share_of(self, scope: Scope) -> tuple[_Shares | None, str]:
        webhook = _WEBHOOK.fullmatch(scope["path"])
        if webhook is not None:
            return self._webhooks, webhook[1]
        account = scope["state"].get("account")
        # A stream of events is open for hours; it is limited where it is opened.
        return (self._accounts, account) if account is not None and not scope["path"].endswith("/events") else (None, "")


class _CrowdedError(ThrottledError):
    """Its own kind, so that what a route refuses is not taken for it."""


class _Shares:
    _WAITING: Final = 256

    def __init__(self, kind: str, *, rate_s: float, at_once: int) -> None:
        self.kind = kind
        self._at_once = at_once
        self._rates = TokenBucket(rate_s=rate_s, burst=2 * rate_s)
        self._inside: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def taken(self, key: str, now: float) -> AsyncIterator[None]:
        """Raises _CrowdedError at once when the key has its share, or too many wait already."""
        wait = self._rates.take(key, now)
        turn, inside = self._inside.get(key, (None, 0))
        if wait > 0 or inside >= self._at_once + self._WAITING:
            raise _CrowdedError("Too many requests", retry_after_s=max(1.0, wait))
        turn = turn or asyncio.Semaphore(self._at_once)
        self._inside[key] = turn, inside + 1
        try:
            async with turn:
                yield
        finally:
            _, left = self._inside[key]
            if left > 1:
                self._inside[key] = turn, left - 1
            else:
                del self._inside[key]


class BodyPolicy:
    """Reads the body before anybody parses it: bounded, in time, UTF-8 without a byte order mark, JSON by its type, not
    compressed.

    Webhooks are left alone: whatever comes there is answered with 200 and kept.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _WEBHOOK.fullmatch(scope["path"]):
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
            # Perhaps only its sending side is closed; if nobody is there, nobody reads it.
            await error_response(400, "The body is not complete", request_id, close=True)(scope, receive, send)
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
    if _depth(body) > _DEEPEST:
        return 400, "The body is nested too deeply"
    return None


def _depth(body: bytes) -> int:
    """How deeply arrays and objects are nested, at most one more than is allowed."""
    if body.count(b"[") + body.count(b"{") <= _DEEPEST:
        return 0
    depth = deepest = 0
    for found in _BRACKETS.finditer(body):
        mark = found[0]
        if mark in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
            if deepest > _DEEPEST:
                break
        elif mark in (b"]", b"}"):
            depth -= 1
    return deepest
