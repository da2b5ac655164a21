"""A real listener on a loopback port, as a backend's webhook route is one; its answer is decided by the path."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

import uvicorn

from harness.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request that reached the listener; `path` with its query, `at` in seconds of the clock."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    answered: int
    at: float


class _Server(uvicorn.Server):
    """Stops when told, not at the next tick."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Event | None = None

    async def main_loop(self) -> None:
        self._loop, self._leaving = asyncio.get_running_loop(), asyncio.Event()
        if not self.should_exit:
            await self._leaving.wait()

    def leave(self) -> None:
        self.should_exit = True
        if self._loop is not None and self._leaving is not None:
            self._loop.call_soon_threadsafe(self._leaving.set)


class Listener:
    """`/sNNN…` answers that status, `/slowN…` after N s of the clock, `/flakyN…` 500 for the first N, `/redir…` 302, else 200."""

    def __init__(self, clock: Clock, *, address: str = "127.0.0.1", name: str = "127.0.0.1") -> None:
        """Listens on `address`; `name` is how the fake reaches it."""
        self._clock = clock
        self._hits: Counter[str] = Counter()
        self.received: list[Received] = []
        self._socket = socket.create_server((address, 0))
        self.url = f"http://{name}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self._app,
            lifespan="off",
            log_config=None,
            log_level="critical",
            ws="none",
            interface="asgi3",
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._server.config.get_loop_factory()) as runner:
            runner.run(self._server.serve(sockets=[self._socket]))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.force_exit = True
        self._server.leave()
        self._thread.join(10)
        self._socket.close()

    def forget(self) -> None:
        self.received.clear()
        self._hits.clear()

    def bodies(self, event: str | None = None) -> list[Any]:
        return [one.body for one in list(self.received) if event is None or one.body["event"] == event]

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        data = b""
        while True:
            message = await receive()
            data += message.get("body", b"")
            if not message.get("more_body"):
                break
        path = scope["raw_path"].decode() + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        self._hits[path] += 1
        status, headers = 200, []
        if found := re.match(r"/s(\d{3})", path):
            status = int(found[1])
        elif found := re.match(r"/flaky(\d+)", path):
            status = 500 if self._hits[path] <= int(found[1]) else 200
        elif path.startswith("/redir"):
            status, headers = 302, [(b"location", b"/ok-redirected")]
        self.received.append(
            Received(
                method=scope["method"],
                path=path,
                headers={name.decode().lower(): value.decode() for name, value in scope["headers"]},
                body=json.loads(data) if data else None,
                answered=status,
                at=self._clock.monotonic(),
            )
        )
        if found := re.match(r"/slow(\d+)", path):
            await self._clock.sleep(float(found[1]))
        await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
