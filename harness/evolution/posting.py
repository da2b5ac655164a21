"""The HTTP client of webhook deliveries: as many connections as there are deliveries, kept for the next ones.

Speaks HTTP/1.1 through the parser that the server uses as well, because a general client takes ten times the time of a delivery.
Redirects are followed as the real server's client follows them: 301, 302 and 303 as a GET without a body.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import re
import ssl
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple, cast
from urllib.parse import unquote, urljoin, urlsplit

import httptools

__all__ = ["Poster", "PostingError"]

# Shorter than a listener on Node keeps an idle connection, so that none is taken up again just when it is closed.
_KEPT_SECONDS = 4.0
_KEPT_CONNECTIONS = 256
_MOST_REDIRECTS = 20
_AS_GET = frozenset({301, 302, 303})
_SAME_AGAIN = frozenset({307, 308})
_PORTS = {"http": 80, "https": 443}


class PostingError(Exception):
    """No answer: `reason` is ConnectError, ReadError, RemoteProtocolError or TooManyRedirects."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Place(NamedTuple):
    scheme: str
    host: str
    port: int
    authority: str
    target: str
    credentials: str


@lru_cache(maxsize=4096)
def _place(url: str) -> _Place:
    """Raises ValueError for what is no address."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or re.search(r"[\x00-\x20\x7f]", url):
        raise ValueError(f"no address: {url!r}")
    host = parts.hostname.encode("idna").decode() if not parts.hostname.isascii() else parts.hostname
    port = parts.port if parts.port is not None else _PORTS[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == _PORTS[parts.scheme] else f"{shown}:{port}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    credentials = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credentials = "Basic " + base64.b64encode(pair.encode()).decode()
    target = "".join(char if char.isascii() else "".join(f"%{byte:02X}" for byte in char.encode()) for char in target)
    return _Place(parts.scheme, host, port, authority, target, credentials)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class Poster:
    """Posts bodies and tells the status. All of it runs in one event loop."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str, int], collections.deque[_Connection]] = {}

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        """The status of the answer, redirects followed.

        Raises ValueError or UnicodeError for an address or a header that cannot be sent, PostingError when there is no answer.
        """
        method = "POST"
        for _ in range(_MOST_REDIRECTS):
            place = _place(url)
            connection = await self._connection(place)
            try:
                status, location = await connection.exchange(_message(method, place, headers, body))
            finally:
                self._give_back(place, connection)
            if not location or not (status in _AS_GET or status in _SAME_AGAIN):
                return status
            url = urljoin(url, location)
            if status in _AS_GET:
                method, body = "GET", b""
                headers = [(name, value) for name, value in headers if not name.lower().startswith("content-")]
        raise PostingError("TooManyRedirects")

    async def _connection(self, place: _Place) -> _Connection:
        idle = self._idle.get(place[:3])
        oldest = asyncio.get_running_loop().time() - _KEPT_SECONDS
        while idle:
            connection = idle.pop()
            if connection.is_usable and connection.idle_since > oldest:
                return connection
            connection.close()
        try:
            _, made = await asyncio.get_running_loop().create_connection(
                _Connection, place.host, place.port, ssl=_tls() if place.scheme == "https" else None
            )
        except OSError as error:
            raise PostingError("ConnectError") from error
        return made

    def _give_back(self, place: _Place, connection: _Connection) -> None:
        idle = self._idle.setdefault(place[:3], collections.deque())
        if connection.is_usable and len(idle) < _KEPT_CONNECTIONS:
            connection.idle_since = asyncio.get_running_loop().time()
            idle.append(connection)
        else:
            connection.close()

    async def close(self) -> None:
        """Closes every connection; it can be used again."""
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()
        # What was closed goes in the next turn of the loop.
        await asyncio.sleep(0)


def _message(method: str, place: _Place, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
    names = {name.lower() for name, _ in headers}
    lines = [f"{method} {place.target} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {place.authority}")
    if place.credentials and "authorization" not in names:
        lines.append(f"Authorization: {place.credentials}")
    lines += [f"{name}: {value}" for name, value in headers]
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or "\0" in head:
        raise ValueError("a header breaks the line")
    return head.encode("ascii") + b"\r\n\r\n" + body


class _Connection(asyncio.Protocol):
    """One exchange at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[tuple[int, str]] | None = None
        self._location = ""
        self._begun = False
        self._until_closed = True
        self.is_usable = True
        self.idle_since = 0.0

    async def exchange(self, message: bytes) -> tuple[int, str]:
        """Status and the header Location, once the whole answer is there."""
        if self._transport is None or self._transport.is_closing():
            self.is_usable = False
            raise PostingError("ReadError")
        self._answer = asyncio.get_running_loop().create_future()
        self._location, self._begun, self._until_closed = "", False, True
        self.is_usable = False
        self._transport.write(message)
        return await self._answer

    def close(self) -> None:
        self.is_usable = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("RemoteProtocolError")
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        kind = name.lower()
        if kind == b"location":
            self._location = value.decode("latin-1")
        elif kind in {b"content-length", b"transfer-encoding"}:
            self._until_closed = False

    def on_headers_complete(self) -> None:
        self._begun = True

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        answer = self._answer
        # Who sends without being asked, or has gone before the answer, gets no second question over this connection.
        self.is_usable = answer is not None and not answer.done() and self._parser.should_keep_alive()
        if answer is not None and not answer.done():
            answer.set_result((status, self._location))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_usable = False
        if self._begun and self._until_closed and exc is None and self._answer is not None and not self._answer.done():
            # Without a length the answer ends with the connection.
            self._answer.set_result((self._parser.get_status_code(), self._location))
        self._fail("RemoteProtocolError" if exc is None else "ReadError")

    def _fail(self, reason: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(PostingError(reason))
