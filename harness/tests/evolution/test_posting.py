"""The client of webhook deliveries against a socket that answers what each test gives it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from harness.evolution.posting import Poster, PostingError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class _Site:
    """Answers each request with the next of `answers`, and remembers requests and connections; None closes instead."""

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self._answers:
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
                self.requests.append(head + body)
                answer = self._answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if b"Connection: close" in answer:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def _against(site: _Site, use: Callable[[Poster, str], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
        poster = Poster()
        try:
            return await use(poster, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        finally:
            await poster.close()
            server.close()

    return asyncio.run(asyncio.wait_for(run(), 20))


def test_a_connection_is_kept_for_the_next_body_and_headers_go_as_they_are() -> None:
    site = _Site(OK, b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", OK)

    async def use(poster: Poster, url: str) -> list[int]:
        headers = [("Content-Type", "application/json"), ("Content-Length", "2")]
        return [await poster.post(f"{url}/hook?a=ã", headers, b"{}") for _ in range(3)]

    assert _against(site, use) == [200, 503, 200]
    assert site.connections == 1
    lines = site.requests[0].split(b"\r\n")
    assert lines[0] == b"POST /hook?a=%C3%A3 HTTP/1.1"
    assert lines[1].startswith(b"Host: 127.0.0.1:")
    assert lines[2:] == [b"Content-Type: application/json", b"Content-Length: 2", b"", b"{}"]


@pytest.mark.parametrize(("status", "method", "body"), [(301, b"GET", b""), (302, b"GET", b""), (307, b"POST", b"{}")])
def test_a_redirect_is_followed_without_a_body_unless_it_says_otherwise(status: int, method: bytes, body: bytes) -> None:
    moved = f"HTTP/1.1 {status} Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".encode()
    site = _Site(moved, OK)

    async def use(poster: Poster, url: str) -> int:
        return await poster.post(f"{url}/hook", [("Content-Length", "2"), ("X-Own", "kept")], b"{}")

    assert _against(site, use) == 200
    assert site.requests[1].startswith(method + b" /elsewhere HTTP/1.1\r\n")
    assert site.requests[1].endswith(b"\r\n\r\n" + body)
    assert b"X-Own: kept" in site.requests[1]
    assert (b"Content-Length" in site.requests[1]) == bool(body)


def test_a_redirect_without_a_place_is_an_answer_and_a_circle_is_none() -> None:
    async def once(poster: Poster, url: str) -> int:
        return await poster.post(url, [], b"")

    assert _against(_Site(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), once) == 302
    circle = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(PostingError, match="TooManyRedirects"):
        _against(_Site(*[circle] * 30), once)


def test_an_answer_without_a_length_ends_with_its_connection_and_an_interim_one_is_none() -> None:
    site = _Site(
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 None\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall",
    )

    async def use(poster: Poster, url: str) -> list[int]:
        return [await poster.post(url, [], b""), await poster.post(url, [], b"")]

    assert _against(site, use) == [204, 200]
    assert site.connections == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "RemoteProtocolError"),
        (b"nonsense\r\n\r\n", "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nx", "RemoteProtocolError"),
    ],
)
def test_what_is_no_whole_answer_is_told_as_such(answer: bytes | None, reason: str) -> None:
    async def use(poster: Poster, url: str) -> int:
        return await poster.post(url, [], b"")

    with pytest.raises(PostingError) as failure:
        _against(_Site(answer), use)
    assert failure.value.reason == reason


def test_nobody_there_is_a_connection_error() -> None:
    async def use(poster: Poster, url: str) -> int:
        return await poster.post("http://127.0.0.1:1/hook", [], b"")

    with pytest.raises(PostingError, match="ConnectError"):
        _against(_Site(), use)


@pytest.mark.parametrize("url", ["ftp://host/", "http:///x", "http://host:99999/", "http://ho st/", "http://host/\r\nX: 1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="."):
        _against(_Site(), lambda poster, _: poster.post(url, [], b""))


@pytest.mark.parametrize("header", [("X-A", "b\r\nX-C: d"), ("X-A", "b\nc"), ("X-A\r\n", "b"), ("X-A", "ç")])
def test_a_header_that_would_break_the_line_is_refused(header: tuple[str, str]) -> None:
    site = _Site(OK)
    with pytest.raises(ValueError, match="."):
        _against(site, lambda poster, url: poster.post(url, [header], b""))
    assert site.requests == []


def test_the_addresss_own_credentials_are_sent() -> None:
    site = _Site(OK)
    _against(site, lambda poster, url: poster.post(url.replace("//", "//user:p%40ss@"), [], b""))
    assert b"Authorization: Basic dXNlcjpwQHNz\r\n" in site.requests[0]
