"""The server's HTTP surface: routing, the order of the guards, and answers as Express gives them.

Order: JSON → route → instance exists (404) → name taken (403) → apikey (401) → handler, which validates the body (400).
"""

from __future__ import annotations

import asyncio
import binascii
import email
import email.policy
import hashlib
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
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
    prisma_type_of,
    unauthorized,
)
from harness.evolution.inbound import Inbound
from harness.evolution.injection import Answering, Arrival, Cut
from harness.evolution.json_body import read_json
from harness.evolution.ledger import RequestRecord
from harness.evolution.lifecycle import Lifecycle
from harness.evolution.outbound import Outbound
from harness.evolution.schema import faults_of
from harness.evolution.state import Connection, Instance
from harness.evolution.transport import CONTROL, DamagedAnswer, answer_at_once, hang_up, header_lines, refuse, resumed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope
    from starlette.types import Send as AsgiSend

    from harness.evolution.fake import Fake

__all__ = ["Answer", "Application", "Call", "Endpoint", "Parts", "create_app"]

_STANDARD = (
    (b"X-Powered-By", b"Express"),
    (b"Access-Control-Allow-Credentials", b"true"),
)
_JSON = (b"Content-Type", b"application/json; charset=utf-8")
_KEEP_ALIVE = (b"Keep-Alive", b"timeout=5")
_VARY = (b"Vary", b"Origin")
_VARY_AS_WELL = (b"Vary", b"Origin, Accept-Encoding")
_VARY_PREFLIGHT = (b"Vary", b"Origin, Access-Control-Request-Headers")
_USUAL_HEAD = header_lines((*_STANDARD, _VARY_AS_WELL, _JSON))
_SECRETS = frozenset({"token", "headers"})
_MOST_BYTES = 136 * 1024 * 1024
_TOO_LARGE = "request entity too large"
_LIMITED = frozenset({b"application/json", b"application/x-www-form-urlencoded"})
# The real server keeps its instances in a JavaScript object, and every such object has these: under these names there always is
# something, which is no instance.
_INHERITED = frozenset(
    {
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
        "__proto__",
        "__defineGetter__",
        "__defineSetter__",
        "__lookupGetter__",
        "__lookupSetter__",
    }
)
# The routes that take a form with a file beside JSON; any other ignores a form.
_WITH_FILE = frozenset(
    f"message/{action}" for action in ("sendMedia", "sendPtv", "sendWhatsAppAudio", "sendSticker", "sendStatus")
)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler answers; `body` None is JSON `null`, `raw` replaces JSON altogether."""

    status: int
    body: Any = None
    raw: bytes | None = None
    headers: Mapping[str, str] = {}


@dataclass(slots=True, kw_only=True)
class Parts:
    """What handlers work with. `creating` counts the creates under way, by name."""

    fake: Fake
    inbound: Inbound
    lifecycle: Lifecycle
    outbound: Outbound
    creating: Counter[str] = field(default_factory=Counter)


class Call(msgspec.Struct, kw_only=True):
    """One request that has passed the guards. `name` is the instance's name after the query has overridden the path.

    `file` is what a form carries in its part of that name, for the routes that take one.
    """

    parts: Parts
    route: str
    name: str
    query: dict[str, str]
    body: Any
    key: str
    host: str = ""
    file: bytes | None = None

    @property
    def fake(self) -> Fake:
        return self.parts.fake

    @property
    def instance(self) -> Instance:
        """Raises ApiError 500, as the real server crashes, when the query named an instance that does not exist."""
        return self.known("instance")

    def known(self, method: str) -> Instance:
        """The instance; ApiError 500, as the real server crashes calling `method` on nothing, when the query named none."""
        found = self.fake.store.find(self.name)
        if found is None and self.name in _INHERITED:
            raise crash(f"this.waMonitor.waInstances[instanceName].{method} is not a function")
        if found is None:
            raise crash(f"Cannot read properties of undefined (reading '{method}')")
        return found

    def loaded(self, method: str) -> Connection:
        """The instance in memory; ApiError 500, as the real server crashes calling `method` on nothing, when it is not there."""
        connection = self.fake.connection(self.known(method))
        if connection is None:
            raise crash(f"Cannot read properties of undefined (reading '{method}')")
        return connection

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
    """A route: method, `group/action`, whether an instance's name follows and the query may name another, and who may call it."""

    method: str
    path: str
    handler: Handler
    named: bool = True
    open: bool = False
    follows_query: bool = True


def create_app(fake: Fake) -> Application:
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
        routes.append(Mount(CONTROL, app=ControlApp(control, fake.control_token, from_anywhere=fake.control_from_anywhere)))
    surface = _Surface(parts, endpoints())
    routes.append(Route("/{path:path}", endpoint=surface))
    app = Application(routes=routes, lifespan=lifespan)
    app.surface = surface
    app.state.control = control
    return app


class Application(Starlette):
    """Leaves to the framework what it is needed for, control plane and lifespan: its routing costs more than a send does."""

    surface: _Surface

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(CONTROL):
            await self.surface(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class NoRouteError(ApiError):
    """There is no such route: an answer like an error's, which the server's error handler never sees."""


class _Surface:
    """The ASGI application behind every path of the server itself."""

    def __init__(self, parts: Parts, endpoints: list[Endpoint]) -> None:
        self._parts = parts
        self._endpoints = {(one.method, one.path.lower(), one.named): one for one in endpoints}

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        await self._go(_request_of(scope, await _body(receive)), scope, receive, send)

    def at_once(self, scope: Scope, body: bytes) -> tuple[int, bytes, bytes] | Callable[..., Awaitable[None]]:
        """The answer to a request that has arrived whole, for a server that has not begun a task for it.

        Status, header lines and body when nothing has to be waited for, as with most requests; else who goes on with it.
        """
        request = _request_of(scope, body)
        if request.method == "OPTIONS" or self._parts.fake.port.closed:
            return partial(self._go, request)
        record, work, answer = self._begin(request)
        if answer is None:
            return partial(self._attend, request, record, work)
        usual = _usual_lines(request, answer)
        if usual is None:
            return lambda _, __, send: _respond(send, request, answer)
        return answer.status, *usual

    async def _go(self, request: _Request, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        if request.method == "OPTIONS":
            await _respond(send, request, _preflight(request), vary=_VARY_PREFLIGHT)
            return
        if self._parts.fake.port.closed:
            refuse(scope)
            return
        record, work, answer = self._begin(request)
        if answer is not None:
            await _respond(send, request, answer)
        else:
            await self._attend(request, record, work, scope, receive, send)

    def _begin(self, request: _Request) -> tuple[RequestRecord, Coroutine[Any, Any, Answer], Answer | None]:
        """The journal's record, the work on the answer, and the answer when it is ready without waiting for anything."""
        fake = self._parts.fake
        record = self._record(request)
        fake.requests.append(record)
        work = self._answer(request, record)
        if fake.faults.switched_on:
            return record, work, None
        # Most answers need no task, and nobody to watch the client.
        try:
            awaited = work.send(None)
        except StopIteration as ready:
            answer: Answer = ready.value
            record.status = answer.status
            record.seconds = fake.clock.monotonic() - record.monotonic
            return record, work, answer
        return record, resumed(work, awaited), None

    async def _attend(
        self,
        request: _Request,
        record: RequestRecord,
        work: Coroutine[Any, Any, Answer],
        scope: Scope,
        receive: Receive,
        send: AsgiSend,
    ) -> None:
        """Answers once `work` is done, unless the client or the server leaves before."""
        fake = self._parts.fake
        task = asyncio.current_task()
        if task is not None:
            fake.handlers.add(task)
        try:
            answer = await self._attended(work, receive)
            if answer is not None:
                record.status = answer.status
                if fake.faults.switched_on and request.method != "HEAD":
                    send = _damaged(fake, request, record, scope, receive, send)
                await _respond(send, request, answer)
        except Cut:
            hang_up(scope)
        except asyncio.CancelledError:
            # The server is stopping: a process that ends resets its connections.
            hang_up(scope)
            raise
        finally:
            record.seconds = fake.clock.monotonic() - record.monotonic
            if task is not None:
                fake.handlers.discard(task)

    async def _attended(self, work: Coroutine[Any, Any, Answer], receive: Receive) -> Answer | None:
        """The answer, or None when the client has gone before there was one."""
        working = asyncio.get_running_loop().create_task(work)
        gone: asyncio.Future[None] | None = None
        try:
            # Most answers are ready within a turn of the loop: only slow ones need somebody to watch the client.
            for _ in range(2):
                await asyncio.sleep(0)
                if working.done():
                    return working.result()
            gone = asyncio.ensure_future(_disconnected(receive))
            await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
            return await working if working.done() else None
        finally:
            if gone is not None:
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
            if fake.faults.switched_on:
                await self._arrive(request, record)
            return await self._handle(request)
        except ApiError as error:
            _report(fake, error)
            if isinstance(error.body, bytes):
                return Answer(status=error.status, raw=error.body, headers=error.headers)
            return Answer(status=error.status, body=error.body, headers=error.headers)

    async def _arrive(self, request: _Request, record: RequestRecord) -> None:
        fake = self._parts.fake
        arrival = Arrival(
            instance=record.instance,
            number=_number_of(request.body),
            route=request.place.action,
            method=request.method,
            path=request.path,
        )
        fake.faults.strike(arrival)
        if arrival.down is not None:
            await fake.go_down(arrival.down)
            await self._parts.lifecycle.boot(loading=arrival.down + arrival.loading)
            raise Cut
        await fake.pause(arrival.hold)
        if arrival.held_by is not None:
            await fake.wait_out(arrival.held_by)

    async def _handle(self, request: _Request) -> Answer:
        if request.malformed:
            raise crash(request.malformed, status=413 if request.malformed == _TOO_LARGE else 400)
        endpoint, name = self._route(request)
        store = self._parts.fake.store
        if endpoint.named and store.find(name) is None and name not in _INHERITED:
            raise instance_missing(name)
        if endpoint.path == "instance/create":
            _refuse_taken_name(self._parts.fake, request.body)
        if not endpoint.open:
            self._authorise(request, endpoint, name)
        call = Call(
            parts=self._parts,
            route=endpoint.path,
            # The real server merges the query over the path after its guards: a known hole, reproduced.
            name=request.query.get("instanceName", name) if endpoint.named and endpoint.follows_query else name,
            query=request.query,
            body=request.body,
            key=request.key,
            host=request.headers.get(b"host", b"").decode("latin-1"),
            file=request.file,
        )
        return await endpoint.handler(call)

    def _route(self, request: _Request) -> tuple[Endpoint, str]:
        method, place = "GET" if request.method == "HEAD" else request.method, request.place
        endpoint = self._endpoints.get((method, place.route, place.name is not None))
        if endpoint is None or (place.odd and endpoint.path):
            raise NoRouteError(404, not_found(f"Cannot {request.method} {request.target}").body)
        if place.undecodable:
            raise crash(f"Failed to decode param '{place.undecodable}'", status=400)
        return endpoint, place.name or ""

    def _authorise(self, request: _Request, endpoint: Endpoint, name: str) -> None:
        store, key = self._parts.fake.store, request.key
        if key and key == store.key:
            return
        instance = store.find(name) if endpoint.named else None
        if key and instance is not None and instance.token == key:
            return
        if key and endpoint.path == "instance/fetchInstances" and store.owning(key):
            return
        raise unauthorized()

    def _record(self, request: _Request) -> RequestRecord:
        fake, key, named = self._parts.fake, request.key, request.place.name
        if request.place.action == "instance/create" and isinstance(request.body, dict):
            named = str(request.body.get("instanceName"))
        credential = "none" if not key else "global" if key == fake.store.key else "other"
        return RequestRecord(
            method=request.method,
            path=request.path,
            query=request.query_string,
            instance=named,
            credential=credential,
            body=_without_secrets(request.body),
            at=fake.clock.now(),
            monotonic=fake.clock.monotonic(),
        )


def _refuse_taken_name(fake: Fake, body: Any) -> None:
    if not isinstance(body, dict) or "instanceName" not in body:
        # The database is asked for any row when the name is undefined.
        if fake.store.instances:
            raise conflict_of_names("undefined")
        return
    name = body["instanceName"]
    if name == {}:
        # A filter that filters nothing.
        if fake.store.instances:
            raise conflict_of_names("[object Object]")
        return
    if not isinstance(name, str):
        raise inner_crash(_database_text(name))
    if name in fake.store.instances or name in _INHERITED:
        raise conflict_of_names(name)


def _database_text(value: Any) -> str:
    shown = json.dumps(value)
    told = f": Invalid value provided. Expected StringFilter or String, provided {prisma_type_of(value)}"
    return (
        "PrismaClientValidationError: \nInvalid `prismaRepository.instance.findMany()` invocation in\n"
        "/evolution/src/api/guards/instance.guard.ts:19:55\n\n"
        "  16   return exists || keyExists;\n  17 }\n  18 \n"
        "→ 19 return exists || (await prismaRepository.instance.findMany({\n       where: {\n"
        f"         name: {shown}\n               {'~' * len(shown)}\n       }}\n     }})\n\n"
        f"Argument `name`{' must not be null' if value is None else told}."
    )


def _report(fake: Fake, error: ApiError) -> None:
    if not isinstance(error, NoRouteError) and isinstance(error.body, dict) and "response" in error.body:
        fake.webhooks.report_error(error.status, error.body["error"], error.body["response"]["message"])


class _Place(NamedTuple):
    """A path taken apart: `group/action`, the same as routes are looked up, and the name of an instance, decoded.

    `odd`: a segment is empty, or there are too many. `undecodable`: the name as it came, when it cannot be decoded.
    """

    action: str
    route: str
    name: str | None
    odd: bool
    undecodable: str


@lru_cache(maxsize=4096)
def _place(path: str) -> _Place:
    segments = path[1:].split("/")
    # As Express: a slash at the end and the case of the fixed words do not matter.
    if len(segments) > 1 and not segments[-1]:
        del segments[-1]
    action = "/".join(segments[:2])
    name, undecodable = None, ""
    if len(segments) == 3:
        name = unquote(segments[2])
        undecodable = "" if _is_decodable(segments[2]) else segments[2]
    return _Place(action, action.lower(), name, odd=len(segments) > 3 or not all(segments), undecodable=undecodable)


def _is_decodable(segment: str) -> bool:
    try:
        unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return False
    return re.search(r"%(?![0-9A-Fa-f]{2})", segment) is None


class _Request(msgspec.Struct):
    method: str
    path: str
    place: _Place
    query_string: str
    query: dict[str, str]
    headers: dict[bytes, bytes]
    key: str
    body: Any
    malformed: str
    file: bytes | None

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query_string}" if self.query_string else self.path


async def _body(receive: Receive) -> bytes:
    message = await receive()
    data: bytes = message.get("body", b"")
    if message.get("more_body"):
        chunks = [data]
        while message.get("more_body"):
            message = await receive()
            chunks.append(message.get("body", b""))
        data = b"".join(chunks)
    return data


def _request_of(scope: Scope, data: bytes) -> _Request:
    # Names are in lower case already: ASGI says so.
    headers = dict(scope["headers"])
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    place = _place(path)
    query_string = scope["query_string"].decode("latin-1")
    kind = headers.get(b"content-type", b"")
    file: bytes | None = None
    if b"multipart/form-data" in kind:
        malformed = ""
        body, file = _form(data, kind) if place.action in _WITH_FILE else ({}, None)
    else:
        body, malformed = _parsed(data, kind)
    return _Request(
        scope["method"],
        path,
        place,
        query_string,
        dict(parse_qsl(query_string, keep_blank_values=True)) if query_string else {},
        headers,
        headers.get(b"apikey", b"").decode("latin-1"),
        body,
        malformed,
        file,
    )


def _form(data: bytes, content_type: bytes) -> tuple[dict[str, str], bytes | None]:
    """The fields of a form, all of them texts, and the content of its part `file`."""
    head = b"Content-Type: %b\r\n\r\n" % content_type
    fields: dict[str, str] = {}
    file: bytes | None = None
    for part in email.message_from_bytes(head + data, policy=email.policy.HTTP).iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes):
            continue
        if part.get_filename() is None:
            fields[name] = content.decode("utf-8", "replace")
        elif name == "file":
            file = content
    return fields, file


def _parsed(data: bytes, content_type: bytes) -> tuple[Any, str]:
    """Body and, for malformed JSON, the words of the real server's JSON parser. Other content types are ignored."""
    if not data:
        return {}, ""
    kind = content_type.partition(b";")[0].strip().lower()
    if kind in _LIMITED and len(data) > _MOST_BYTES:
        return {}, _TOO_LARGE
    if kind == b"application/x-www-form-urlencoded":
        return _nested(parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True)), ""
    if kind != b"application/json":
        return {}, ""
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return read_json(data)
    return (body, "") if isinstance(body, dict | list) else read_json(data)


def _nested(fields: list[tuple[str, str]]) -> dict[str, Any]:
    """The fields of a form as objects and lists: `webhook[events][]=CALL`."""
    body: dict[str, Any] = {}
    for name, value in fields:
        first, *rest = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name) or [name]
        place: Any = body
        path = [first, *rest]
        for part, after in pairwise(path):
            place = place.setdefault(part, [] if after == "" else {}) if isinstance(place, dict) else {}
        if isinstance(place, list):
            place.append(value)
        elif isinstance(place, dict):
            place[path[-1]] = value
    return body


def _preflight(request: _Request) -> Answer:
    headers = {
        "Access-Control-Allow-Methods": "POST,GET,PUT,DELETE",
        "Access-Control-Allow-Headers": request.headers.get(b"access-control-request-headers", b"").decode("latin-1"),
    }
    return Answer(status=204, raw=b"", headers=headers)


def _usual_lines(request: _Request, answer: Answer) -> tuple[bytes, bytes] | None:
    """Header lines and body of an answer that differs from most in its own three lines alone; None for any other."""
    asked = request.headers
    if answer.headers or request.malformed or b"origin" in asked or b"if-none-match" in asked:
        return None
    payload = answer.raw if answer.raw is not None else msgspec.json.encode(answer.body)
    if not payload:
        return None
    own = b"ETag: %b\r\nContent-Length: %d\r\nKeep-Alive: timeout=5\r\n" % (_etag(payload), len(payload))
    return _USUAL_HEAD + own, b"" if request.method == "HEAD" else payload


async def _respond(send: AsgiSend, request: _Request, answer: Answer, *, vary: tuple[bytes, bytes] | None = None) -> None:
    payload = answer.raw if answer.raw is not None else msgspec.json.encode(answer.body)
    asked, etag = request.headers, _etag(payload) if payload else b""
    headers = [*_STANDARD]
    if b"origin" in asked:
        headers.append((b"Access-Control-Allow-Origin", asked[b"origin"]))
    headers.append(vary or (_VARY if request.malformed else _VARY_AS_WELL))
    typed = answer.status == 204
    for name, value in answer.headers.items():
        typed = typed or name.lower() == "content-type"
        headers.append((name.encode(), value.encode("latin-1")))
    if not typed:
        headers.append(_JSON)
    if etag:
        headers.append((b"ETag", etag))
        if b"if-none-match" in asked and _is_fresh(request, answer.status, etag.decode()):
            unchanged = [(name, value) for name, value in headers if name != b"Content-Type"]
            await send({"type": "http.response.start", "status": 304, "headers": [*unchanged, _KEEP_ALIVE]})
            await send({"type": "http.response.body", "body": b""})
            return
    headers += ((b"Content-Length", b"%d" % len(payload)), _KEEP_ALIVE)
    body = b"" if request.method == "HEAD" else payload
    # Headers of a fault come from whoever switched it on: those the server has to check.
    if not answer.headers and answer_at_once(send, answer.status, header_lines(headers), body):
        return
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _etag(payload: bytes) -> bytes:
    digest = binascii.b2a_base64(hashlib.sha1(payload, usedforsecurity=False).digest(), newline=False)[:27]
    return b'W/"%x-%b"' % (len(payload), digest)


def _is_fresh(request: _Request, status: int, etag: str) -> bool:
    """Whether the client has this very answer already, as Express decides."""
    known = request.headers[b"if-none-match"].decode("latin-1")
    if request.method not in {"GET", "HEAD"} or not 200 <= status < 300:
        return False
    if b"no-cache" in request.headers.get(b"cache-control", b""):
        return False
    tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _damaged(
    fake: Fake, request: _Request, record: RequestRecord, scope: Scope, receive: Receive, send: AsgiSend
) -> DamagedAnswer:
    answering = Answering(instance=record.instance, number=_number_of(request.body), route=request.place.action)
    return DamagedAnswer(answering, strike=fake.faults.strike, pause=fake.pause, scope=scope, receive=receive, send=send)


def _without_secrets(body: Any) -> Any:
    if isinstance(body, dict):
        if _SECRETS.isdisjoint(body) and not any(type(value) is dict for value in body.values()):
            return body
        return {name: "[MASKED]" if name in _SECRETS and value else _without_secrets(value) for name, value in body.items()}
    return body


def _number_of(body: Any) -> str | None:
    number = body.get("number") if isinstance(body, dict) else None
    return number if isinstance(number, str) else None
