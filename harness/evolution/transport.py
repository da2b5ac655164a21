"""What lies below HTTP: the port that opens and closes, connections that are cut, and answers that are damaged on their way.

A real server's process ends, its proxy breaks, its network loses packets; ASGI has no words for any of it. Over a socket all of
this really happens to the client; in process, where there is none, the closest exception is raised instead.
"""

from __future__ import annotations

import asyncio
import fcntl
import math
import socket
import struct
import sys
import termios
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from types import coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from harness.evolution.errors import FakeServerError
from harness.evolution.injection import Answering, Injection, Injector, Listening, Talking

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope
    from starlette.types import Send as AsgiSend
    from uvicorn._types import ASGI3Application, HTTPScope

    from harness.clock import Clock

__all__ = [
    "CONTROL",
    "Address",
    "Connection",
    "DamagedAnswer",
    "Port",
    "answer_at_once",
    "hang_up",
    "header_lines",
    "refuse",
    "resumed",
]

Result = TypeVar("Result")

CONTROL = "/__fake__"
_CONNECTION = "golive.connection"
_BACKLOG = 2048
# A TLS record that carries a handshake, of any version, begins so.
_TLS_HANDSHAKE = b"\x16\x03"
# How often a port that chance has left open is looked at again.
_LOOK_AGAIN_S = 1.0
_LOOK_AT_QUEUE_S = 0.001


class Address:
    """A host and a port that stay ours from the first `listen` to `release`, also while nobody listens there.

    Raises FakeServerError with one line when the address cannot be had.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Never listens: it keeps the system from giving the port to somebody else while the listener is closed.
        self._keeper = self._bound(port)
        self.port: int = self._keeper.getsockname()[1]
        if sys.platform != "linux":
            # Elsewhere two sockets cannot have one address, whether or not they listen.
            self._keeper.close()

    @property
    def url(self) -> str:
        """Without a trailing slash; every interface is shown as loopback."""
        host = self._host
        shown = "127.0.0.1" if host in {"", "0.0.0.0"} else f"[{host}]" if ":" in host else host  # noqa: S104 - compared, not bound
        return f"http://{shown}:{self.port}"

    def listen(self) -> socket.socket:
        """A new listener. The caller closes it."""
        listener = self._bound(self.port)
        try:
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise self._refused(self.port, error) from error
        listener.setblocking(False)
        return listener

    def release(self) -> None:
        self._keeper.close()

    def _bound(self, port: int) -> socket.socket:
        bound = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self._host, port))
        except OSError as error:
            bound.close()
            raise self._refused(port, error) from error
        return bound

    def _refused(self, port: int, error: OSError) -> FakeServerError:
        reason = error.strerror or str(error)
        return FakeServerError(
            f"the fake cannot listen on {self._host}:{port}: {reason}; choose another port, or 0 for a free one"
        )


class Listener(Protocol):
    """What a port opens and closes."""

    def open_port(self) -> None: ...

    def close_port(self) -> None:
        """Refuses new connections and closes those of the API, one with a request under way after its answer."""
        ...


class Port:
    """Whether the server can be reached at all: open, or closed so that the operating system refuses connections.

    It is closed while the process is down and while an injection at `Listening` lasts. The control plane is not affected.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listener: Listener | None = None
        self._timer: asyncio.Task[None] | None = None
        self._down_until = -math.inf
        self._refusal: tuple[Injection, float] | None = None
        self.faults: Injector | None = None
        self.closed = False

    def serve(self, listener: Listener | None) -> None:
        """From now on a real port opens and closes with this one; None when there is none any more."""
        self._listener = listener
        if listener is None:
            self._set_timer(None)
        elif self.closed:
            listener.close_port()

    @property
    def is_served(self) -> bool:
        """Whether there is a real port."""
        return self._listener is not None

    @property
    def downtime(self) -> float:
        """Seconds for which the process is still down."""
        return max(0.0, self._down_until - self._clock.monotonic())

    def go_down(self, seconds: float) -> None:
        """The process is away: who comes is refused for so many seconds; it is up again with 0."""
        self._down_until = self._clock.monotonic() + seconds
        self.update()

    def update(self) -> None:
        """Opens or closes as the time and the injections want it."""
        now = self._clock.monotonic()
        if self._refusal is not None and (self._refusal[0].over.is_set() or now >= self._refusal[1]):
            self._refusal = None
        if self._refusal is None and self.faults is not None:
            seam = Listening()
            self.faults.strike(seam)
            if seam.refused and seam.by is not None:
                lasts = seam.seconds if seam.seconds > 0 else math.inf
                self._refusal = seam.by, min(now + lasts, seam.by.ends)
        closed = now < self._down_until or self._refusal is not None
        changed, self.closed = closed != self.closed, closed
        if changed and self._listener is not None:
            if closed:
                self._listener.close_port()
            else:
                self._listener.open_port()
        self._set_timer(self._next_look(now))

    def _next_look(self, now: float) -> float | None:
        """The moment at which something may change by itself."""
        moments = [self._down_until] if now < self._down_until else []
        if self._refusal is not None:
            moments.append(self._refusal[1])
        elif self.faults is not None and (wait := self.faults.next_change(Listening)) is not None:
            moments.append(now + (wait or _LOOK_AGAIN_S))
        return min((moment for moment in moments if not math.isinf(moment)), default=None)

    def _set_timer(self, moment: float | None) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if moment is not None:
            self._timer = asyncio.get_running_loop().create_task(self._look_at(moment))

    async def _look_at(self, moment: float) -> None:
        while (left := moment - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)
        # It is this task that would be cancelled.
        self._timer = None
        self.update()


class Connection(HttpToolsProtocol):
    """One connection of a client. `talking` is struck with its first bytes."""

    faults: Injector
    # Answers a request that has arrived whole, or says who goes on with it.
    at_once: Callable[[Any, bytes], tuple[int, bytes, bytes] | Callable[..., Awaitable[None]]]
    _first = True
    # A request whose body is still to come.
    _begun: tuple[RequestResponseCycle, ASGI3Application] | None = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_CONNECTION: self}  # type: ignore[dict-item]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if cycle.more_body and not cycle.waiting_for_100_continue and not self.is_controls:
            self._begun = cycle, app
        else:
            super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self._begun is not None and self.flow.read_paused:
            # Nothing more comes before somebody reads.
            begun, self._begun = self._begun, None
            super()._start_asgi_task(*begun)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        begun, self._begun = self._begun, None
        if begun is None:
            return
        cycle, app = begun
        if not self.faults.switched_on and cycle.keep_alive and not cycle.disconnected and not self.flow.write_paused:
            # A task costs as much as most requests do, which are answered without waiting for anything.
            try:
                ready = self.at_once(cycle.scope, bytes(cycle.body))
            except Exception as error:
                ready = _raising(error)
            if isinstance(ready, tuple):
                _write_whole(cycle, *ready)
                return
            app = ready
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        if self._first:
            self._first = False
            reply = self._reply_to(data)
            if reply is not None:
                self.transport.write(reply)
                self.transport.close()
                return
        super().data_received(data)

    def _reply_to(self, data: bytes) -> bytes | None:
        if not self.faults.switched_on or data.partition(b"\r\n")[0].partition(b" ")[2].startswith(CONTROL.encode()):
            return None
        seam = Talking(tls=data.startswith(_TLS_HANDSHAKE))
        self.faults.strike(seam)
        return seam.reply

    @property
    def is_controls(self) -> bool:
        """Whether the control plane was spoken to last."""
        last = cast("HTTPScope | None", self.scope)
        return last is not None and last.get("path", "").startswith(CONTROL)

    def reset(self) -> None:
        """Ends the connection with RST."""
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def write_past_http(self, data: bytes) -> None:
        """Writes bytes as they are; returns when the operating system has them. The connection ends with the request."""
        if self.cycle is not None:
            # The server must not add an answer of its own; finding ours incomplete, it closes the connection.
            self.cycle.response_started = True
        self.transport.set_write_buffer_limits(high=0)
        self.transport.write(data)
        # A write may reach the operating system only at the end of this turn of the loop.
        await asyncio.sleep(0)
        await self.flow.drain()

    async def deliver(self) -> None:
        """Returns when the client's side has everything that was written: RST throws away what is still on its way."""
        raw = self.transport.get_extra_info("socket")
        while raw is not None and not self.transport.is_closing():
            (waiting,) = struct.unpack("i", fcntl.ioctl(raw.fileno(), termios.TIOCOUTQ, bytes(4)))
            if not waiting:
                return
            await asyncio.sleep(_LOOK_AT_QUEUE_S)


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The headers as they are written."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def answer_at_once(send: AsgiSend, status: int, lines: bytes, body: bytes) -> bool:
    """Writes a whole answer with the headers that the server adds, and all of them in their own spelling.

    The header `lines` must be known to be sound. False, and nothing is written, when there is no such server behind `send`, the
    client is slow to read or the connection is to end with this answer.
    """
    cycle = getattr(send, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle) or not cycle.keep_alive:
        return False
    if cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
        return False
    _write_whole(cycle, status, lines, body)
    return True


def _write_whole(cycle: RequestResponseCycle, status: int, lines: bytes, body: bytes) -> None:
    """Past the cycle's own `send`, which writes head and body apart and searches every header: more work than most answers."""
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(b"".join((STATUS_LINE[status], header_lines(cycle.default_headers), lines, b"\r\n", body)))
    cycle.message_event.set()
    cycle.on_response()


def _raising(error: Exception) -> Callable[..., Awaitable[None]]:
    async def app(*_: Any) -> None:
        raise error

    return app


async def resumed(work: Coroutine[Any, Any, Result], awaited: Any) -> Result:
    """Goes on, in a task of its own, with `work` that was begun outside of one and now waits for `awaited`."""
    return await _rest(work, awaited)


@coroutine
def _rest(work: Coroutine[Any, Any, Result], awaited: Any) -> Generator[Any, Any, Result]:
    while True:
        try:
            try:
                result = yield awaited
            except BaseException as error:
                awaited = work.throw(error)
            else:
                awaited = work.send(result)
        except StopIteration as done:
            answer: Result = done.value
            return answer


def _connection_of(scope: Scope) -> Connection | None:
    found = (scope.get("extensions") or {}).get(_CONNECTION)
    return found if isinstance(found, Connection) else None


def hang_up(scope: Scope) -> None:
    """Ends the client's connection with RST. Raises ConnectionResetError when the client is in this process."""
    connection = _connection_of(scope)
    if connection is None:
        raise ConnectionResetError("the fake has cut the connection")
    connection.reset()


def refuse(scope: Scope) -> None:
    """Ends a connection that was there before the port was closed. Raises ConnectionRefusedError for a client in this process."""
    connection = _connection_of(scope)
    if connection is None:
        raise ConnectionRefusedError("the fake's port is closed")
    connection.reset()


class DamagedAnswer:
    """Takes an ASGI answer of one start and one body, and writes it as the faults at `Answering` want it: use it as `send`.

    `strike` lets them act; `pause` waits on the fake's clock. Raises ConnectionResetError where a connection ends in the middle
    of an answer and the client is in this process.
    """

    def __init__(
        self,
        answering: Answering,
        *,
        strike: Callable[[Answering], object],
        pause: Callable[[float], Awaitable[None]],
        scope: Scope,
        receive: Receive,
        send: AsgiSend,
    ) -> None:
        self._answering = answering
        self._strike = strike
        self._pause = pause
        self._connection = _connection_of(scope)
        self._receive = receive
        self._send = send
        self._start: Message = {}

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        writing = asyncio.ensure_future(self._write(message.get("body", b"")))
        gone = asyncio.ensure_future(self._client_leaves())
        try:
            await asyncio.wait({writing, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, gone):
                task.cancel()
            await asyncio.wait({writing, gone})
        if not writing.cancelled():
            writing.result()

    async def _client_leaves(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _write(self, body: bytes) -> None:
        wish = self._answering
        wish.status, wish.head_bytes, wish.body_bytes = self._start["status"], len(self._head(len(body))), len(body)
        self._strike(wish)
        if wish.body is not None:
            body = wish.body
        if wish.excess or wish.cut_at is not None:
            await self._write_wrongly(body)
            return
        await self._send(self._start_with_length(len(body)))
        *early, last = _portions(body, wish.portion)
        for part in early:
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
            await self._pause(wish.pause)
        await self._send({"type": "http.response.body", "body": last})

    async def _write_wrongly(self, body: bytes) -> None:
        """Writes what no correct server writes; the connection ends with it."""
        wish = self._answering
        promised = max(0, len(body) + wish.excess)
        connection = self._connection
        if connection is None:
            if wish.cut_at is not None:
                raise ConnectionResetError("the fake has cut the connection in the middle of an answer")
            await self._send(self._start_with_length(promised))
            await self._send({"type": "http.response.body", "body": body})
            return
        first, *rest = _portions(body, wish.portion)
        left = math.inf if wish.cut_at is None else wish.cut_at
        # Only an answer that seems whole needs to say that no other will follow it.
        head = self._head(promised) if wish.cut_at is not None else self._head(promised, b"connection: close\r\n")
        for index, part in enumerate([head + first, *rest]):
            if index:
                await self._pause(wish.pause)
            await connection.write_past_http(part if left >= len(part) else part[: int(left)])
            left -= len(part)
            if left <= 0:
                break
        if wish.cut_at is None:
            await self._pause(wish.linger)
        elif wish.reset:
            await connection.deliver()
            connection.reset()

    def _start_with_length(self, length: int) -> Message:
        return {**self._start, "headers": self._headers(length)}

    def _headers(self, length: int) -> list[tuple[bytes, bytes]]:
        return [
            (name, str(length).encode() if name.lower() == b"content-length" else value) for name, value in self._start["headers"]
        ]

    def _head(self, length: int, more: bytes = b"") -> bytes:
        """Status line and headers as the server writes them, with this Content-Length and `more` lines."""
        headers = [*(self._connection.server_state.default_headers if self._connection else ()), *self._headers(length)]
        lines = [STATUS_LINE[self._start["status"]], *(name.lower() + b": " + value + b"\r\n" for name, value in headers)]
        return b"".join([*lines, more, b"\r\n"])


def _portions(body: bytes, size: int) -> list[bytes]:
    """The body in pieces of `size` bytes, at least one; in one piece for 0."""
    return [body[start : start + size] for start in range(0, len(body), size)] or [b""] if size > 0 else [body]
