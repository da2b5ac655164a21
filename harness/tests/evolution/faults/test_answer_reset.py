from __future__ import annotations

import json
import socket

import httpx
import pytest

from harness.evolution import FakeEvolution
from harness.target import RealPace
from harness.tests.evolution.faults import CUT, send


def test_the_message_is_out_and_the_answer_breaks_off(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("answer-reset", route="sendText", after=400)
    with pytest.raises(CUT):
        send(api)
    assert len(evolution.ledger()) == 1
    evolution.withdraw()
    assert send(api).status_code == 201


def _read(evolution: FakeEvolution) -> tuple[bytes, bool]:
    """The bytes that come for a request, and whether the connection then ends with RST."""
    url = httpx.URL(evolution.url)
    assert url.port is not None
    got = b""
    with socket.create_connection((url.host, url.port), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: fake\r\nconnection: close\r\n\r\n")
        try:
            while part := client.recv(65536):
                got += part
        except ConnectionResetError:
            return got, True
    return got, False


@pytest.mark.reached_directly(reason="what stands before a container's port ends connections in its own way")
@pytest.mark.parametrize("after", [0, 1, 17, 300])
def test_exactly_so_many_bytes_come_and_then_a_reset(evolution: FakeEvolution, after: int) -> None:
    whole, reset = _read(evolution)
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not reset
    evolution.inject("answer-reset", after=after)
    got, reset = _read(evolution)
    assert (len(got), reset) == (after, True)
    assert b"HTTP/1.1 200 OK\r\n".startswith(got[:17])


def _bytes_until_reset(client: socket.socket) -> int:
    got = 0
    try:
        while part := client.recv(65536):
            got += len(part)
    except ConnectionResetError:
        return got
    pytest.fail(f"the connection ended after {got} bytes without a reset")


@pytest.mark.reached_directly(reason="what stands before a container's port ends connections in its own way")
def test_the_bytes_before_the_reset_all_arrive_however_slowly_they_are_read(
    evolution: FakeEvolution, api: httpx.Client, open_instance: str
) -> None:
    body = json.dumps({"number": "5511988887777", "text": "x" * 3_000_000}).encode()
    evolution.inject("answer-reset", route="sendText", after=2_500_000)
    url = httpx.URL(evolution.url)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((url.host, url.port))
        head = f"POST /message/sendText/{open_instance} HTTP/1.1\r\nhost: fake\r\napikey: {evolution.key}\r\n"
        client.sendall(f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        RealPace().eventually(lambda: evolution.faults()[0]["fired"] == 1, within_s=20, what="the answer under way")
        assert _bytes_until_reset(client) == 2_500_000
    evolution.withdraw()
    assert send(api).status_code == 201
