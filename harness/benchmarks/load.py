"""Load for the benchmarks: `python -m harness.benchmarks.load WISH`, in a process of its own.

Keeps `connections` connections busy with one request each until `requests` are answered, and prints what came back. Speaks HTTP
through the parser alone, so that a second core suffices for any server.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from typing import cast

import httptools
import msgspec

__all__ = ["Outcome", "Wish"]


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What to send: `requests` POSTs to `paths` in turn, each with the next of `bodies`, over `connections` kept connections."""

    host: str
    port: int
    paths: list[str]
    headers: dict[str, str]
    bodies: list[str]
    requests: int
    connections: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Answers by status, wall seconds, and the size in bytes of the last body."""

    statuses: dict[int, int]
    seconds: float
    last_body: int


class _Work:
    def __init__(self, wish: Wish, done: asyncio.Future[None]) -> None:
        lines = [f"Host: {wish.host}:{wish.port}", "Content-Type: application/json"]
        head = "\r\n".join(lines + [f"{name}: {value}" for name, value in wish.headers.items()])
        self._lines = [f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() for path in wish.paths]
        self._bodies = [f"Content-Length: {len(body)}\r\n\r\n".encode() + body for body in map(str.encode, wish.bodies)]
        self.left = self.unanswered = wish.requests
        self.statuses: collections.Counter[int] = collections.Counter()
        self.last_body = 0
        self.done = done

    def next(self) -> bytes | None:
        if not self.left:
            return None
        self.left -= 1
        return self._lines[self.left % len(self._lines)] + self._bodies[self.left % len(self._bodies)]

    def answered(self, status: int, size: int) -> None:
        self.statuses[status] += 1
        self.last_body = size
        self.unanswered -= 1
        if not self.unanswered and not self.done.done():
            self.done.set_result(None)

    def failed(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(reason))


class _Connection(asyncio.Protocol):
    """One request at a time over one connection."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._size = 0
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        message = self._work.next()
        if message is None:
            self._transport.close()
        else:
            self._size = 0
            self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._size += len(body)

    def on_message_complete(self) -> None:
        self._work.answered(self._parser.get_status_code(), self._size)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._work.left or exc is not None:
            self._work.failed(f"the server closed a connection: {exc!r}")


async def _run(wish: Wish) -> Outcome:
    loop = asyncio.get_running_loop()
    work = _Work(wish, loop.create_future())
    began = time.perf_counter()
    for _ in range(wish.connections):
        await loop.create_connection(lambda: _Connection(work), wish.host, wish.port)
    await work.done
    return Outcome(statuses=dict(work.statuses), seconds=time.perf_counter() - began, last_body=work.last_body)


def main(wish: str) -> None:
    import uvloop

    # Otherwise the system interrupts the server with every answer, on a machine with few cores, and charges it for that.
    os.nice(19)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(_run(msgspec.json.decode(wish, type=Wish))))))  # noqa: T201


if __name__ == "__main__":
    main(sys.stdin.read() if sys.argv[1:] == ["-"] else sys.argv[1])
