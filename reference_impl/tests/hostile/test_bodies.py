"""Rows 32 to 38: bodies, headers and connections that a server must get rid of without anybody else noticing."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from reference_impl.tests.hostile.fortress import Fortress, resident_mb, wait_until

pytestmark = [pytest.mark.postgres, pytest.mark.process]
MEGABYTE = 1024 * 1024


def head(fortress: Fortress, path: str, *lines: str, token: str | None = None) -> bytes:
    authorization = f"Authorization: Bearer {token if token is not None else fortress.a.token}"
    return "\r\n".join(
        [f"POST {path} HTTP/1.1", "Host: x", authorization, "Content-Type: application/json", *lines, "", ""]
    ).encode()


def targets(fortress: Fortress) -> list[str]:
    return ["/messages", "/api/campaigns", "/admin/login", f"/webhooks/whatsapp/evolution/{fortress.a.secret}"]


def test_row_32_fifty_megabytes(fortress: Fortress) -> None:
    before = resident_mb(fortress.workers)
    for path in targets(fortress):
        begun = time.monotonic()

        def sent(path: str = path) -> Iterator[bytes]:
            yield head(fortress, path, f"Content-Length: {50 * MEGABYTE}")
            for _ in range(50):
                yield b"x" * MEGABYTE

        answer = fortress.raw(sent(), label=f"50 MB to {path[:20]}")
        # The server may close while we still write: then the kernel throws the answer away with the rest.
        assert answer.status in (413, 0), f"{path[:20]}: {answer.status}"
        assert time.monotonic() - begun < 20
    assert resident_mb(fortress.workers) - before < 60


def test_row_32_fifty_megabytes_announced_are_refused_before_they_come(fortress: Fortress) -> None:
    for path in targets(fortress)[:3]:
        for length in (50 * MEGABYTE, 10**30, 9 * MEGABYTE):
            answer = fortress.raw(head(fortress, path, f"Content-Length: {length}"), label="announced")
            assert answer.status in (413, 400), f"{path}: {answer.status}"


def test_row_32_chunks_without_end(fortress: Fortress) -> None:
    before = resident_mb(fortress.workers)
    for path in targets(fortress):

        def sent(path: str = path) -> Iterator[bytes]:
            yield head(fortress, path, "Transfer-Encoding: chunked")
            for _ in range(40):
                yield b"%x\r\n" % MEGABYTE + b"x" * MEGABYTE + b"\r\n"

        assert fortress.raw(sent(), label=f"endless to {path[:20]}").status in (413, 0)
    assert resident_mb(fortress.workers) - before < 60


def test_row_32_a_gzip_bomb_is_not_opened(fortress: Fortress) -> None:
    bomb = gzip.compress(b"[" + b"0," * 20_000_000 + b"0]")
    before = resident_mb(fortress.workers)
    for path in targets(fortress)[:3]:
        for encoding in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "GZIP", "x-gzip", "identity, gzip"):
            headers = fortress.a.headers | {"Content-Type": "application/json", "Content-Encoding": encoding}
            assert fortress.ask("POST", path, content=bomb, headers=headers).status == 415
    assert fortress.deliver_raw(fortress.a, bomb, **{"Content-Encoding": "gzip"}).json()["warning"] == "quarantined"
    assert resident_mb(fortress.workers) - before < 60


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: -1",),
        ("Content-Length: abc",),
        ("Content-Length: 5, 6",),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 1e3",),
        ("Content-Length: +5",),
        ("Content-Length: 0x10",),
        ("Content-Length: " + "9" * 100,),
        ("Content-Length:",),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Transfer-Encoding: chunked, chunked",),
        ("Transfer-Encoding: identity",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
        ("Content-Length : 5",),
        ("Expect: 200-ok",),
    ],
)
def test_row_32_lengths_that_lie(fortress: Fortress, lines: tuple[str, ...]) -> None:
    smuggled = f"0\r\n\r\nGET /admin/units HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {fortress.a.token}\r\n\r\n".encode()

    def sent() -> Iterator[bytes]:
        yield head(fortress, "/messages", *lines, "Connection: close") + smuggled

    answer = fortress.raw(sent(), label=str(lines), wait_s=8)
    assert answer.status in (0, 400, 401, 411, 413, 415, 417, 422, 501), f"{lines}: {answer.status}"


def test_row_32_less_than_announced(fortress: Fortress) -> None:
    with socket.create_connection(("127.0.0.1", fortress.port), timeout=10) as connection:
        connection.sendall(head(fortress, "/messages", "Content-Length: 100") + b'{"phone"')
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError, TimeoutError):
            received = connection.recv(65_536)
            assert not received.startswith(b"HTTP/1.1 5")


@pytest.mark.thorough
@pytest.mark.parametrize("depth", [65, 900, 5_000, 500_000])
@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_row_32_nesting_without_end(fortress: Fortress, depth: int, opening: str) -> None:
    closing = {"[": "]", '{"a":': "}", '[{"a":': "}]"}[opening]
    for content in ((opening * depth).encode(), (opening * depth + "1" + closing * depth).encode()):
        for path in targets(fortress)[:3]:
            wrapped = b'{"provider":"evolution","message":' + content + b"}"
            for body in (content, wrapped):
                answer = fortress.ask(
                    "POST", path, content=body, headers=fortress.a.headers | {"Content-Type": "application/json"}
                )
                assert answer.status in (400, 413, 422)
        nested = b'{"event":"messages.upsert","instance":"%s","data":%s}' % (fortress.a.instance.encode(), content)
        assert fortress.deliver_raw(fortress.a, nested).status in (200, 413)


@pytest.mark.thorough
def test_row_32_many_keys_and_long_numbers(fortress: Fortress) -> None:
    bodies = [
        b"{" + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}",
        b'{"phone":' + b"1" * 100_000 + b"}",
        b'{"phone":1e999999999}',
        b'{"phone":-0.0e-999999}',
        b'{"phone":"1","phone":"2","phone":"3"}',
        b'{"' + b"k" * 1_000_000 + b'":1}',
    ]
    for body in bodies:
        for path in targets(fortress)[:3]:
            answer = fortress.ask("POST", path, content=body, headers=fortress.a.headers | {"Content-Type": "application/json"})
            assert answer.status in (400, 401, 422)
        assert fortress.deliver_raw(fortress.a, body).status == 200


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "application/xml",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/jsonp",
        "json",
        "a" * 5000,
        "*/*",
        "application/json, text/plain",
    ],
)
def test_row_35_a_type_that_is_not_json(fortress: Fortress, kind: str | None) -> None:
    body = json.dumps({"phone": fortress.number(), "message": "x"}).encode()
    for path in ("/messages", "/contacts", "/admin/login"):
        headers = fortress.a.headers | ({"Content-Type": kind} if kind is not None else {})
        assert fortress.ask("POST", path, content=body, headers=headers).status in (400, 415)


@pytest.mark.parametrize(
    "content",
    [
        b"phone=1&message=x",
        b"--x\r\nContent-Disposition: form-data\r\n\r\n",
        b"<a/>",
        b"null",
        b"true",
        b'"x"',
        b"{}{}",
        b"{'a':1}",
        b"\x00",
        b'{"a":1,}',
        b"/*x*/{}",
    ],
)
def test_row_35_a_body_that_is_no_object(fortress: Fortress, content: bytes) -> None:
    for path in ("/messages", "/contacts", "/admin/login", "/api/campaigns"):
        headers = fortress.a.headers | {"Content-Type": "application/json"}
        assert fortress.ask("POST", path, content=content, headers=headers).status in (400, 422)
    assert fortress.deliver_raw(fortress.a, content).status == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
        b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"TRACE /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"get /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 200,
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: 1\r\n" % number for number in range(2000)) + b"\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n X: folded\r\n\r\n",
        b"GET /health HTTP/1.1\nHost: x\n\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
        b"GET /%zz%f0%28%8c%28 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /contacts?%zz=%ff&limit=%f0%28 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAAA\r\n\r\n",
        b"",
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_row_35_what_is_no_request(fortress: Fortress, request_bytes: bytes) -> None:
    answer = fortress.raw(request_bytes, label=repr(request_bytes[:30]), wait_s=2)
    assert answer.status < 500


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD", "OPTIONS"])
def test_row_35_a_body_where_none_belongs(fortress: Fortress, method: str) -> None:
    for content in (b"{", b'{"limit": 5}', b"x" * 1000):
        answer = fortress.as_a(method, "/contacts", content=content, headers={"Content-Type": "application/json"})
        assert answer.status in (200, 400, 405)


@pytest.mark.thorough
def test_row_37_slow_headers_and_slow_bodies_end_and_others_are_served(fortress: Fortress) -> None:
    begun = time.monotonic()
    slow: list[socket.socket] = []
    try:
        for number in range(40):
            connection = socket.create_connection(("127.0.0.1", fortress.port), timeout=60)
            slow.append(connection)
            connection.sendall(
                b"GET /health HTTP/1.1\r\nX-Slow: "
                if number % 2
                else head(fortress, targets(fortress)[number % 4], "Content-Length: 1000")
            )
        left = set(slow)
        while left and time.monotonic() - begun < 50:
            wait_until(time.monotonic() + 1)
            for connection in list(left):
                with contextlib.suppress(BlockingIOError):
                    try:
                        connection.sendall(b"a")
                        connection.setblocking(False)
                        answered = connection.recv(4096)
                    except (ConnectionError, TimeoutError):
                        answered = b""
                    finally:
                        connection.setblocking(True)
                    assert not answered.startswith(b"HTTP/1.1 5")
                    left.discard(connection)
            assert fortress.as_b("GET", "/contacts", timeout=10).status == 200
        assert not left, f"{len(left)} slow connections are still held after {time.monotonic() - begun:.0f} s"
    finally:
        for connection in slow:
            connection.close()


def test_row_38_two_thousand_idle_connections(fortress: Fortress) -> None:
    before = resident_mb(fortress.workers)
    with contextlib.ExitStack() as stack:
        for _ in range(2000):
            stack.enter_context(socket.create_connection(("127.0.0.1", fortress.port), timeout=30))
        with ThreadPoolExecutor(4) as pool:
            answers: list[Any] = list(pool.map(lambda _: fortress.as_b("GET", "/contacts", timeout=30).status, range(12)))
        assert set(answers) == {200}
    assert resident_mb(fortress.workers) - before < 150
