"""A webhook listener for the benchmarks, in a process of its own: `python -m harness.benchmarks.listener`.

Answers 200 at once and remembers what came. Prints its address; for each line `N` on its standard input it waits until N bodies
have come, prints what they were, and forgets them.
"""

from __future__ import annotations

import asyncio
import collections
import json
import sys
import time

import httptools
import msgspec

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class _Key(msgspec.Struct):
    id: str


class _Data(msgspec.Struct):
    key: _Key


class _Event(msgspec.Struct):
    instance: str
    data: _Data


class _Received:
    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.first = self.last = 0.0
        self.connections = 0
        self.wanted = 0
        self.complete: asyncio.Future[None] | None = None

    def add(self, body: bytes) -> None:
        self.last = time.perf_counter()
        if not self.bodies:
            self.first = self.last
        self.bodies.append(body)
        if self.complete is not None and not self.complete.done() and len(self.bodies) >= self.wanted:
            self.complete.set_result(None)

    async def report(self, wanted: int) -> dict[str, float]:
        """How many came, how many messages they were, the seconds between the first and the last, and the connections made."""
        self.wanted, self.complete = wanted, asyncio.get_running_loop().create_future()
        if len(self.bodies) < wanted:
            try:
                await asyncio.wait_for(self.complete, 120)
            except TimeoutError:
                print(f"only {len(self.bodies)} of {wanted} came", file=sys.stderr)  # noqa: T201
        ids: collections.defaultdict[str, list[str]] = collections.defaultdict(list)
        for body in self.bodies:
            event = msgspec.json.decode(body, type=_Event)
            ids[event.instance].append(event.data.key.id)
        found = {
            "received": len(self.bodies),
            "messages": sum(len(set(sent)) for sent in ids.values()),
            "instances": len(ids),
            "seconds": self.last - self.first,
            "connections": self.connections,
        }
        self.bodies = []
        return found


class _Connection(asyncio.Protocol):
    def __init__(self, received: _Received) -> None:
        self._received = received
        self._body = b""
        self._parser = httptools.HttpRequestParser(self)
        received.connections += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._received.add(self._body)
        self._body = b""
        self._transport.write(_ANSWER)  # type: ignore[attr-defined]


async def _serve() -> None:
    loop, received = asyncio.get_running_loop(), _Received()
    server = await loop.create_server(lambda: _Connection(received), "127.0.0.1", 0, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)  # noqa: T201
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await received.report(int(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())
