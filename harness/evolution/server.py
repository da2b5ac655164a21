"""Serves a fake: in a thread of this process (`FakeEvolution`) or as this process (`serve`)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from harness.clock import Clock
from harness.evolution.app import TRANSPORT, create_app
from harness.evolution.client import ControlVerbs
from harness.evolution.errors import FakeServerError
from harness.evolution.fake import Fake
from harness.evolution.settings import ServerSettings

__all__ = ["FakeEvolution", "serve"]

_BACKLOG = 2048
_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


class _Protocol(HttpToolsProtocol):
    """Lets the application cut the connection, which ASGI has no word for."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: dict[str, Any] = {TRANSPORT: self.transport}
        self.scope["extensions"] = extensions


class _Server(uvicorn.Server):
    """Tells when it is ready and ends what is still open when it stops."""

    def __init__(self, config: uvicorn.Config, fake: Fake, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._fake = fake
        self._on_ready = on_ready
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Event | None = None

    async def main_loop(self) -> None:
        # As the library's, but a stop need not wait for the next tick.
        self._loop, self._leaving = asyncio.get_running_loop(), asyncio.Event()
        ticks = 0
        while not await self.on_tick(ticks):
            ticks = (ticks + 1) % 864_000
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), timeout=0.1)

    def leave(self) -> None:
        """Asks for the stop, from any thread."""
        self.should_exit = True
        if self._loop is not None and self._leaving is not None:
            self._loop.call_soon_threadsafe(self._leaving.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A request that a fault keeps open would otherwise hold up the stop.
        await self._fake.close()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    """Raises FakeServerError with one line when the address cannot be had."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise FakeServerError(
            f"the fake cannot listen on {host}:{port}: {reason}; choose another port, or 0 for a free one"
        ) from error
    listener.setblocking(False)
    return listener


def _url(host: str, listener: socket.socket) -> str:
    shown = "127.0.0.1" if host in {"", "0.0.0.0"} else f"[{host}]" if ":" in host else host  # noqa: S104 - compared, not bound
    return f"http://{shown}:{listener.getsockname()[1]}"


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
        backlog=_BACKLOG,
    )


class FakeEvolution(ControlVerbs):
    """A fake Evolution API 2.3.7 on a port of this machine, in a thread of its own: `with FakeEvolution(key=…) as evolution:`.

    The verbs of the control plane are its methods. Raises FakeServerError when it cannot start.
    """

    def __init__(
        self,
        *,
        key: str,
        clock: Clock | None = None,
        control_token: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int | None = None,
        settings: ServerSettings | None = None,
    ) -> None:
        self._fake = Fake(key=key, clock=clock, control_token=control_token, seed=seed, settings=settings)
        self._host = host
        self._port = port
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: _Server | None = None
        self._failure: BaseException | None = None
        self.key = key
        self.control_token = control_token
        self.clock = self._fake.clock
        self.app = create_app(self._fake)

    @property
    def url(self) -> str:
        """Where it listens, without a trailing slash. Raises FakeServerError before it has started."""
        if self._thread is None:
            raise FakeServerError("the fake has no address before it has started; use it in a `with` block")
        return self._fake.address

    def start(self) -> Self:
        """Returns when it answers."""
        if self._thread is not None:
            raise FakeServerError(f"the fake at {self._fake.address} is already running")
        listener = _listen(self._host, self._port)
        self._fake.address = _url(self._host, listener)
        ready = threading.Event()
        self._failure = None
        self._server = _Server(_config(self.app), self._fake, ready.set)
        self._thread = threading.Thread(target=self._run, args=(listener, ready), name="fake-evolution", daemon=True)
        self._thread.start()
        if not ready.wait(_START_SECONDS) or self._failure is not None:
            self.stop()
            raise FakeServerError(f"the fake did not start within {_START_SECONDS:g} s: {self._failure!r}")
        return self

    def _run(self, listener: socket.socket, ready: threading.Event) -> None:
        server = self._server
        if server is None:
            return
        try:
            with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
                self._loop = runner.get_loop()
                runner.run(server.serve(sockets=[listener]))
        except BaseException as error:
            self._failure = error
        finally:
            self._loop = None
            listener.close()
            ready.set()

    def stop(self) -> None:
        """Ends open requests and pending retries; returns when the port is free.

        Raises FakeServerError when the thread does not end.
        """
        thread, server = self._thread, self._server
        if thread is None or server is None:
            return
        server.leave()
        thread.join(_STOP_SECONDS)
        if thread.is_alive():
            raise FakeServerError(f"the fake at {self._fake.address} did not stop within {_STOP_SECONDS:g} s")
        self._thread = self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    def _execute(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        loop = self._loop
        if loop is None:
            raise FakeServerError("the fake is not running")
        work = self.app.state.control.execute(method, path, query, body)
        return asyncio.run_coroutine_threadsafe(work, loop).result()


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    key: str,
    control_token: str | None = None,
    seed: int | None = None,
    clock: Clock | None = None,
    settings: ServerSettings | None = None,
    on_ready: Callable[[str], None],
) -> None:
    """Serves in the foreground until the process is told to stop; `on_ready` gets the URL once it answers.

    Raises FakeServerError with one line when the address cannot be had.
    """
    fake = Fake(key=key, clock=clock, control_token=control_token, seed=seed, settings=settings)
    listener = _listen(host, port)
    fake.address = _url(host, listener)
    server = _Server(_config(create_app(fake)), fake, lambda: on_ready(fake.address))
    try:
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.serve(sockets=[listener]))
    finally:
        listener.close()
