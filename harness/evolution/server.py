"""Serves a fake: in a thread of this process (`FakeEvolution`) or as this process (`serve`)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from harness.clock import Clock
from harness.evolution.app import Application, create_app
from harness.evolution.client import ControlVerbs
from harness.evolution.errors import FakeServerError
from harness.evolution.fake import Fake
from harness.evolution.settings import ServerSettings
from harness.evolution.transport import CONTROL, Address, Connection

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["FakeEvolution", "serve"]

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


class _Server(uvicorn.Server):
    """Tells when it is ready, opens and closes the port of the API, and ends what is still open when it stops.

    The control plane, where there is one, has an address of its own as well, which stays open whatever happens to the other.
    Raises FakeServerError with one line when an address cannot be had.
    """

    def __init__(
        self, app: Application, fake: Fake, on_ready: Callable[[], None], host: str, port: int, control_port: int
    ) -> None:
        class Caller(Connection):
            faults = fake.faults
            at_once = staticmethod(app.surface.at_once)

        super().__init__(_config(app, Caller))
        self._fake = fake
        with contextlib.ExitStack() as addresses:
            self._address = Address(host, port)
            addresses.callback(self._address.release)
            self._control = Address(host, control_port) if fake.control_token is not None else None
            if self._control is not None:
                addresses.callback(self._control.release)
            self._listener = addresses.enter_context(contextlib.closing(self._address.listen()))
            self._addresses = addresses.pop_all()
        fake.address = self._address.url
        fake.control_address = self._control.url if self._control is not None else ""
        self._control_config = _config(_control_plane_of(app), HttpToolsProtocol)
        self._on_ready = on_ready
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Event | None = None
        self._opening: asyncio.Task[None] | None = None

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
        await super().startup([*(sockets or ()), self._listener])
        if self._control is not None:
            self._control_config.load()
            self.servers.append(await self._serve_at(self._control.listen(), self._control_config))
        self._fake.port.serve(self)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A request that a fault keeps open would otherwise hold up the stop.
        await self._fake.close()
        if self._opening is not None:
            await self._opening
        await super().shutdown(sockets)

    def release(self) -> None:
        """Gives the addresses back."""
        self._addresses.close()

    def close_port(self) -> None:
        """As `transport.Listener`."""
        if self._opening is not None:
            # It closes itself once it is open.
            return
        self.servers.pop(0).close()
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection) and not connection.is_controls:
                connection.shutdown()

    def open_port(self) -> None:
        """As `transport.Listener`."""
        if self._opening is not None:
            return
        # The operating system accepts from here on; who connects waits a turn of the loop for us.
        self._opening = asyncio.get_running_loop().create_task(self._reopen(self._address.listen()))

    async def _reopen(self, listener: socket.socket) -> None:
        self.servers.insert(0, await self._serve_at(listener, self.config))
        self._opening = None
        if self._fake.port.closed:
            self.close_port()

    async def _serve_at(self, listener: socket.socket, config: uvicorn.Config) -> asyncio.Server:
        loop = asyncio.get_running_loop()

        def connect() -> asyncio.Protocol:
            protocol: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop
            )
            return protocol

        return await loop.create_server(connect, sock=listener, backlog=config.backlog)


def _control_plane_of(app: Starlette) -> ASGIApp:
    """The same application without the server's own API."""

    async def control_plane(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(f"{CONTROL}/"):
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    return control_plane


def _config(app: ASGIApp, protocol: type[asyncio.Protocol]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        loop="uvloop",
        interface="asgi3",
        lifespan="off",
        # Who connects is who connects: the control plane answers this machine alone, whatever a header says.
        proxy_headers=False,
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
    )


class FakeEvolution(ControlVerbs):
    """A fake Evolution API 2.3.7 on a port of this machine, in a thread of its own: `with FakeEvolution() as evolution:`.

    `url` and `key` are what a client needs; a key is made when none is given. The verbs of the control plane are its methods;
    over HTTP it answers this machine alone, unless `control_from_anywhere`. It is served at `control_url` as well
    (`control_port`, 0 for a free one), which stays open while a fault closes the API's port.

    Raises FakeServerError when it cannot start.
    """

    def __init__(
        self,
        *,
        key: str | None = None,
        clock: Clock | None = None,
        control_token: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int | None = None,
        settings: ServerSettings | None = None,
        control_from_anywhere: bool = False,
        control_port: int = 0,
    ) -> None:
        key = secrets.token_urlsafe(24) if key is None else key
        self._fake = Fake(
            key=key,
            clock=clock,
            control_token=control_token,
            seed=seed,
            settings=settings,
            control_from_anywhere=control_from_anywhere,
        )
        self._host = host
        self._port = port
        self._control_port = control_port
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

    @property
    def control_url(self) -> str:
        """Where the control plane stays reachable while the API is not; empty without a control token."""
        return self._fake.control_address

    def start(self) -> Self:
        """Returns when it answers."""
        if self._thread is not None:
            raise FakeServerError(f"the fake at {self._fake.address} is already running")
        ready = threading.Event()
        self._failure = None
        self._server = _Server(self.app, self._fake, ready.set, self._host, self._port, self._control_port)
        self._thread = threading.Thread(target=self._run, args=(self._server, ready), name="fake-evolution", daemon=True)
        self._thread.start()
        if not ready.wait(_START_SECONDS) or self._failure is not None:
            self.stop()
            raise FakeServerError(f"the fake did not start within {_START_SECONDS:g} s: {self._failure!r}")
        return self

    def _run(self, server: _Server, ready: threading.Event) -> None:
        try:
            with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
                self._loop = runner.get_loop()
                runner.run(server.serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._loop = None
            server.release()
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
    control_from_anywhere: bool = False,
    control_port: int = 0,
    on_ready: Callable[[str], None],
) -> None:
    """Serves in the foreground until the process is told to stop; `on_ready` gets the URL once it answers.

    Raises FakeServerError with one line when the address cannot be had.
    """
    fake = Fake(
        key=key,
        clock=clock,
        control_token=control_token,
        seed=seed,
        settings=settings,
        control_from_anywhere=control_from_anywhere,
    )
    server = _Server(create_app(fake), fake, lambda: on_ready(fake.address), host, port, control_port)
    # What is loaded stays, and what is recorded has no cycles: looking for them as often as usual would take a fifth of the time.
    gc.freeze()
    gc.set_threshold(50_000)
    try:
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.serve())
    finally:
        server.release()
