"""A proxy between the clients of a backend and the backend: it plants one bug, so that a scenario can be seen to find it."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from harness.clock import VirtualClock
from harness.datastores import open_database
from harness.reference import ReferenceSystem, start
from harness.serving import bind, served
from harness.target import Target

__all__ = ["Call", "Forward", "Reply", "Sabotaged", "Saboteur", "prepared"]

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "content-encoding", "accept-encoding"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request on its way to the backend."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    def with_json(self, body: Any) -> Call:
        return replace(self, body=json.dumps(body).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer on its way back."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        return json.loads(self.body)

    def with_json(self, body: Any) -> Reply:
        return replace(self, body=json.dumps(body).encode())

    @classmethod
    def of(cls, status: int, body: Any) -> Reply:
        return cls(status=status, body=json.dumps(body).encode(), headers={"content-type": "application/json"})


Forward = Callable[[Call], Awaitable[Reply]]
Saboteur = Callable[[Call, Forward], Awaitable[Reply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotaged:
    """A reference system whose world knows it by the address of a proxy; nothing is served yet."""

    system: ReferenceSystem
    url: str
    listener: socket.socket

    @contextlib.contextmanager
    def by(self, saboteur: Saboteur, *, clock: VirtualClock | None = None) -> Iterator[Target]:
        """Serves the backend, on another clock if one is given, and in front of it the proxy with its bug."""
        system = self.system if clock is None else replace(self.system, clock=clock)
        with system.current() as target:
            client = httpx.AsyncClient(base_url=target.url, timeout=60.0, trust_env=False)
            app = Starlette(routes=[Route("/{path:path}", _Proxy(client, saboteur), methods=None)])
            with served(app, self.listener.dup(), lifespan=lambda: _open(client)):
                yield replace(target, url=self.url)


@contextlib.contextmanager
def prepared(workdir: Path) -> Iterator[Sabotaged]:
    """A reference system on a database in memory, to be served behind a proxy."""
    with bind("127.0.0.1", 0) as listener, open_database("memory") as database:
        host, port = listener.getsockname()[:2]
        url = f"http://{host}:{port}"
        with start(database=database, workdir=workdir, environment={"BASE_URL": url}) as system:
            yield Sabotaged(system=system, url=url, listener=listener)


@contextlib.asynccontextmanager
async def _open(client: httpx.AsyncClient) -> AsyncIterator[None]:
    async with client:
        yield


class _Proxy:
    def __init__(self, client: httpx.AsyncClient, saboteur: Saboteur) -> None:
        self._client = client
        self._saboteur = saboteur

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        call = Call(
            method=request.method,
            path=request.url.path,
            query=request.url.query,
            headers={name: value for name, value in request.headers.items() if name not in _HOP},
            body=await request.body(),
        )
        if call.path.endswith("/events"):
            return await self._stream(call)
        reply = await self._saboteur(call, self._forward)
        return Response(reply.body, reply.status, {name: value for name, value in reply.headers.items() if name not in _HOP})

    async def _forward(self, call: Call) -> Reply:
        address = f"{call.path}?{call.query}" if call.query else call.path
        answer = await self._client.request(call.method, address, content=call.body, headers=dict(call.headers))
        return Reply(status=answer.status_code, body=answer.content, headers=dict(answer.headers))

    async def _stream(self, call: Call) -> Response:
        request = self._client.build_request(call.method, call.path, headers=dict(call.headers), content=call.body)
        answer = await self._client.send(request, stream=True)
        if answer.status_code != 200:
            body = await answer.aread()
            return Response(body, answer.status_code, {"content-type": answer.headers.get("content-type", "text/plain")})

        async def lines() -> AsyncIterator[bytes]:
            try:
                async for chunk in answer.aiter_raw():
                    yield chunk
            finally:
                await answer.aclose()

        return StreamingResponse(lines(), 200, media_type="text/event-stream")
