"""The server's HTTP surface: routing, the order of the guards, and answers as Express gives them.

Order: JSON → route → instance exists (404) → name taken (403) → apikey (401) → handler, which validates the body (400).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import msgspec
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from harness.evolution.control import Control, ControlApp
from harness.evolution.errors import (
    ApiError,
    conflict_of_names,
    crash,
    inner_crash,
    instance_missing,
    invalid,
    not_found,
    unauthorized,
)
from harness.evolution.inbound import Inbound
from harness.evolution.injection import Arrival, Cut
from harness.evolution.ledger import RequestRecord
from harness.evolution.lifecycle import Lifecycle
from harness.evolution.outbound import Outbound
from harness.evolution.schema import faults_of
from harness.evolution.state import Instance, timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope
    from starlette.types import Send as AsgiSend

    from harness.evolution.fake import Fake

__all__ = ["TRANSPORT", "Answer", "Call", "Endpoint", "Parts", "create_app"]

TRANSPORT = "golive.transport"
_STANDARD = (
    (b"X-Powered-By", b"Express"),
    (b"Access-Control-Allow-Credentials", b"true"),
)
_SECRETS = frozenset({"token", "headers"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a handler answers; `body` None is JSON `null`, `raw` replaces JSON altogether."""

    status: int
    body: Any = None
    raw: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Parts:
    """What handlers work with."""

    fake: Fake
    inbound: Inbound
    lifecycle: Lifecycle
    outbound: Outbound


@dataclass(slots=True, kw_only=True)
class Call:
    """One request that has passed the guards. `name` is the instance's name after the query has overridden the path."""

    parts: Parts
    route: str
    name: str
    query: dict[str, str]
    body: Any
    key: str

    @property
    def fake(self) -> Fake:
        return self.parts.fake

    @property
    def instance(self) -> Instance:
        """Raises ApiError 500, as the real server crashes, when the query named an instance that does not exist."""
        found = self.fake.store.find(self.name)
        if found is None:
            raise crash("Cannot read properties of undefined (reading 'instance')")
        return found

    def valid(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The body, or ApiError 400 with every fault of it."""
        body = self.body if isinstance(self.body, dict) else {}
        faults = faults_of(body, schema)
        if faults:
            raise invalid(faults)
        return body


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A route: method, `group/action`, whether an instance's name follows, and who may call it."""

    method: str
    path: str
    handler: Handler
    named: bool = True
    open: bool = False


def create_app(fake: Fake) -> Starlette:
    """The ASGI application of one fake; `/__fake__/` is there only when the fake has a control token."""
    from harness.evolution.routes import endpoints

    inbound = Inbound(fake)
    lifecycle = Lifecycle(fake, inbound)
    parts = Parts(fake=fake, inbound=inbound, lifecycle=lifecycle, outbound=Outbound(fake, inbound, lifecycle))
    control = Control(fake, inbound, lifecycle)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await fake.close()

    routes: list[Any] = []
    if fake.control_token is not None:
        routes.append(Mount("/__fake__", app=ControlApp(control, fake.control_token)))
    routes.append(Route("/{path:path}", endpoint=_Surface(parts, endpoints())))
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.control = control
    return app


class _Surface:
    """The ASGI application behind every path of the server itself."""

    def __init__(self, parts: Parts, endpoints: list[Endpoint]) -> None:
        self._parts = parts
        self._endpoints = {(one.method, one.path.lower(), one.named): one for one in endpoints}

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        request = await _read(scope, receive)
        if request.method == "OPTIONS":
            await _respond(send, request, _preflight(request), vary="Origin, Access-Control-Request-Headers")
            return
        fake = self._parts.fake
        if fake.clock.monotonic() < fake.down_until:
            _hang_up(scope, reset=True)
            return
        task = asyncio.current_task()
        if task is not None:
            fake.handlers.add(task)
        record = self._record(request)
        fake.requests.append(record)
        try:
            answer = await self._attended(request, record, receive)
        except Cut as cut:
            if not cut.reset:
                await _begin_to_answer(send)
            _hang_up(scope, reset=cut.reset)
            return
        except asyncio.CancelledError:
            # The server is stopping: a process that ends resets its connections.
            _hang_up(scope, reset=True)
            raise
        finally:
            record.seconds = fake.clock.monotonic() - record.monotonic
            if task is not None:
                fake.handlers.discard(task)
        if answer is None:
            return
        record.status = answer.status
        await _respond(send, request, answer, vary="Origin" if request.malformed else "Origin, Accept-Encoding")

    async def _attended(self, request: _Request, record: RequestRecord, receive: Receive) -> Answer | None:
        """The answer, or None when the client has gone before there was one."""
        working = asyncio.get_running_loop().create_task(self._answer(request, record))
        # Most answers are ready within a turn of the loop: only slow ones need somebody to watch the client.
        for _ in range(2):
            await asyncio.sleep(0)
            if working.done():
                return working.result()
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
            return await working if working.done() else None
        finally:
            gone.cancel()
            if not working.done():
                # As the real server: a client that hangs up does not stop what it has asked for.
                self._parts.fake.abandoned.add(working)
                working.add_done_callback(self._finished)

    def _finished(self, working: asyncio.Task[Answer]) -> None:
        self._parts.fake.abandoned.discard(working)
        if not working.cancelled():
            working.exception()

    async def _answer(self, request: _Request, record: RequestRecord) -> Answer:
        fake = self._parts.fake
        try:
            arrival = Arrival(
                instance=record.instance,
                number=_number_of(request.body),
                route="/".join(request.segments[:2]),
                method=request.method,
                path=request.path,
            )
            fake.faults.strike(arrival)
            await fake.pause(arrival.hold)
            return await self._handle(request)
        except ApiError as error:
            _report(fake, error)
            if isinstance(error.body, bytes):
                return Answer(status=error.status, raw=error.body, headers=error.headers)
            return Answer(status=error.status, body=error.body, headers=error.headers)

    async def _handle(self, request: _Request) -> Answer:
        if request.malformed:
            raise crash(request.malformed, status=400)
        endpoint, name = self._route(request)
        store = self._parts.fake.store
        if endpoint.named and store.find(name) is None:
            raise instance_missing(name)
        if endpoint.path == "instance/create":
            _refuse_taken_name(self._parts.fake, request.body)
        if not endpoint.open:
            self._authorise(request, endpoint, name)
        call = Call(
            parts=self._parts,
            route=endpoint.path,
            # The real server merges the query over the path after its guards: a known hole, reproduced.
            name=request.query.get("instanceName", name) if endpoint.named else name,
            query=request.query,
            body=request.body,
            key=request.headers.get("apikey", ""),
        )
        return await endpoint.handler(call)

    def _route(self, request: _Request) -> tuple[Endpoint, str]:
        # As Express: a slash at the end and the case of the fixed words do not matter.
        segments = request.segments[:-1] if len(request.segments) > 1 and not request.segments[-1] else request.segments
        method = "GET" if request.method == "HEAD" else request.method
        endpoint = self._endpoints.get((method, "/".join(segments[:2]).lower(), len(segments) == 3))
        if endpoint is None or len(segments) > 3 or (endpoint.path and not all(segments)):
            raise not_found(f"Cannot {request.method} {request.target}")
        return endpoint, unquote(segments[2]) if endpoint.named else ""

    def _authorise(self, request: _Request, endpoint: Endpoint, name: str) -> None:
        store = self._parts.fake.store
        key = request.headers.get("apikey", "")
        if key and key == store.key:
            return
        instance = store.find(name) if endpoint.named else None
        if key and instance is not None and instance.token == key:
            return
        if key and endpoint.path == "instance/fetchInstances" and store.owning(key):
            return
        raise unauthorized()

    def _record(self, request: _Request) -> RequestRecord:
        fake = self._parts.fake
        key = request.headers.get("apikey", "")
        named = unquote(request.segments[2]) if len(request.segments) == 3 else None
        if request.segments[:2] == ["instance", "create"] and isinstance(request.body, dict):
            named = str(request.body.get("instanceName"))
        credential = "none" if not key else "global" if key == fake.store.key else "other"
        return RequestRecord(
            method=request.method,
            path=request.path,
            query=request.query_string,
            instance=named,
            credential=credential,
            body=_without_secrets(request.body),
            at=timestamp(fake.clock.now()),
            monotonic=fake.clock.monotonic(),
        )


def _refuse_taken_name(fake: Fake, body: Any) -> None:
    name = body.get("instanceName") if isinstance(body, dict) else None
    if name is None:
        # The database is asked for any row when the name is undefined.
        if fake.store.instances:
            raise conflict_of_names("undefined")
        return
    if not isinstance(name, str):
        raise inner_crash(_database_text(name))
    if name in fake.store.instances:
        raise conflict_of_names(name)


def _database_text(value: Any) -> str:
    shown = json.dumps(value)
    kind = "Int" if isinstance(value, int) and not isinstance(value, bool) else type(value).__name__.capitalize()
    return (
        "PrismaClientValidationError: \nInvalid `prismaRepository.instance.findMany()` invocation in\n"
        "/evolution/src/api/guards/instance.guard.ts:19:55\n\n"
        "  16   return exists || keyExists;\n  17 }\n  18 \n"
        "→ 19 return exists || (await prismaRepository.instance.findMany({\n       where: {\n"
        f"         name: {shown}\n               {'~' * len(shown)}\n       }}\n     }})\n\n"
        f"Argument `name`: Invalid value provided. Expected StringFilter or String, provided {kind}."
    )


def _report(fake: Fake, error: ApiError) -> None:
    if isinstance(error.body, dict) and "response" in error.body:
        fake.webhooks.report_error(error.status, error.body["error"], error.body["response"]["message"])


@dataclass(slots=True, kw_only=True)
class _Request:
    method: str
    path: str
    query_string: str
    segments: list[str]
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    malformed: str

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query_string}" if self.query_string else self.path


async def _read(scope: Scope, receive: Receive) -> _Request:
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query_string = scope["query_string"].decode("latin-1")
    body, malformed = _parsed(b"".join(chunks), headers.get("content-type", ""))
    return _Request(
        method=scope["method"],
        path=raw_path,
        query_string=query_string,
        segments=raw_path[1:].split("/"),
        query=dict(parse_qsl(query_string, keep_blank_values=True)),
        headers=headers,
        body=body,
        malformed=malformed,
    )


def _parsed(data: bytes, content_type: str) -> tuple[Any, str]:
    """Body and, for malformed JSON, the words of the real server's JSON parser. Other content types are ignored."""
    if not data:
        return {}, ""
    if "application/x-www-form-urlencoded" in content_type:
        return dict(parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True)), ""
    if "json" not in content_type:
        return {}, ""
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return {}, _parser_words(data.decode("utf-8", "replace"))
    if not isinstance(body, dict | list):
        return {}, f"Unexpected token '{data.decode('utf-8', 'replace').strip()[:1]}', {json.dumps(body)} is not valid JSON"
    return body, ""


def _parser_words(text: str) -> str:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) and "property name" not in error.msg:
            return "Unexpected end of JSON input"
        if "property name" in error.msg:
            before = text[: error.pos].rstrip()
            words = "Expected double-quoted property name" if before.endswith(",") else "Expected property name or '}'"
            return f"{words} in JSON at position {error.pos}"
        if "delimiter" in error.msg:
            return f"{error.msg.replace(' delimiter', '').replace('Expecting', 'Expected')} in JSON at position {error.pos}"
        return f"Unexpected token '{text[error.pos : error.pos + 1]}', \"{text[:40]}\" is not valid JSON"
    return "Unexpected end of JSON input"


def _preflight(request: _Request) -> Answer:
    headers = {
        "Access-Control-Allow-Methods": "POST,GET,PUT,DELETE",
        "Access-Control-Allow-Headers": request.headers.get("access-control-request-headers", ""),
    }
    return Answer(status=204, raw=b"", headers=headers)


async def _respond(send: AsgiSend, request: _Request, answer: Answer, *, vary: str) -> None:
    payload = answer.raw if answer.raw is not None else msgspec.json.encode(answer.body)
    headers = list(_STANDARD)
    if "origin" in request.headers:
        headers.append((b"Access-Control-Allow-Origin", request.headers["origin"].encode("latin-1")))
    headers.append((b"Vary", vary.encode()))
    given = {name.lower() for name in answer.headers}
    headers += [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    if answer.status != 204 and "content-type" not in given:
        headers.append((b"Content-Type", b"application/json; charset=utf-8"))
    if payload:
        digest = base64.b64encode(hashlib.sha1(payload, usedforsecurity=False).digest())[:27]
        headers.append((b"ETag", b'W/"%x-%s"' % (len(payload), digest)))
    headers.append((b"Content-Length", str(len(payload)).encode()))
    headers.append((b"Keep-Alive", b"timeout=5"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else payload})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _begin_to_answer(send: AsgiSend) -> None:
    """The head of an answer and less of its body than the head promises."""
    headers = [*_STANDARD, (b"Content-Type", b"application/json; charset=utf-8"), (b"Content-Length", b"512")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"key":{"remoteJid":"55', "more_body": True})
    # The kernel must have the bytes before the connection goes.
    await asyncio.sleep(0)


def _hang_up(scope: Scope, *, reset: bool) -> None:
    transport = scope.get("extensions", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionResetError("the fake has cut the connection")
    if reset:
        import socket
        import struct

        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if reset:
        transport.abort()
    else:
        transport.close()


def _without_secrets(body: Any) -> Any:
    if isinstance(body, dict):
        return {name: "[MASKED]" if name in _SECRETS and value else _without_secrets(value) for name, value in body.items()}
    return body


def _number_of(body: Any) -> str | None:
    number = body.get("number") if isinstance(body, dict) else None
    return number if isinstance(number, str) else None
