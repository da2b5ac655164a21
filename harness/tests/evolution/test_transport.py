"""What lies below HTTP: the port, connections that are cut, and what a client in this process sees instead."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from harness.clock import VirtualClock
from harness.evolution import ControlError, EvolutionControl, FakeEvolution, FakeServerError
from harness.evolution.transport import Address
from harness.target import RealPace
from harness.tests.evolution.fakes import AnyFake
from harness.tests.evolution.faults import CUT, send


def test_an_address_stays_ours_between_two_listeners_and_is_free_after_its_release() -> None:
    address = Address("127.0.0.1", 0)
    address.listen().close()
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind(("127.0.0.1", address.port))
    with contextlib.closing(address.listen()) as listener:
        assert listener.getsockname()[1] == address.port
        socket.create_connection(("127.0.0.1", address.port)).close()
    address.release()
    with socket.socket() as next_one:
        next_one.bind(("127.0.0.1", address.port))


def test_the_control_plane_has_an_address_of_its_own_that_can_be_chosen() -> None:
    probe = Address("127.0.0.1", 0)
    probe.release()
    with FakeEvolution(key="k", control_token="t", control_port=probe.port) as fake:
        assert fake.control_url == f"http://127.0.0.1:{probe.port}"
        with EvolutionControl(fake.control_url, "t") as control:
            assert control.health()["url"] == fake.url
        with EvolutionControl(fake.control_url, "wrong") as stranger, pytest.raises(ControlError, match="X-Fake-Token"):
            stranger.health()
        with pytest.raises(FakeServerError, match=f"cannot listen on 127.0.0.1:{probe.port}"):
            FakeEvolution(key="k", control_token="t", control_port=probe.port).start()


def test_without_a_control_token_nothing_but_the_api_listens() -> None:
    with FakeEvolution(key="k") as fake:
        assert fake.control_url == ""


def test_a_client_that_knows_no_other_address_says_that_the_fake_does_not_answer() -> None:
    with FakeEvolution(key="k", control_token="t") as fake:
        fake.inject("connection-refused")
        with EvolutionControl(fake.url, "t") as stranger, pytest.raises(ControlError, match="does not answer: ConnectError"):
            stranger.health()


def test_a_restart_refuses_while_it_lasts_and_ends_what_is_under_way(
    evolution: FakeEvolution, api: httpx.Client, open_instance: str
) -> None:
    evolution.inject("slow-send", seconds=60)
    with EvolutionControl(evolution.url, "control") as control, ThreadPoolExecutor(max_workers=1) as pool:
        answer = pool.submit(send, api)
        RealPace().eventually(lambda: control.held_calls() == 1, within_s=20, what="the request under way")
        # The connection over which this is told is not the API's and stays.
        control.restart_server(downtime=5)
        with pytest.raises(CUT):
            answer.result(timeout=20)
        assert (control.open_calls(), control.held_calls()) == (0, 0)
        control.withdraw()
        control.advance(4)
        assert control.health()["status"] == "ok"
        with pytest.raises((httpx.ConnectError, *CUT)):
            httpx.get(evolution.url)
        control.advance(100)
    assert httpx.get(evolution.url).status_code == 200
    assert evolution.ledger() == []


def _in_process(visit: Callable[[httpx.AsyncClient, Callable[..., Awaitable[Any]]], Awaitable[Any]]) -> Any:
    """Runs `visit` with a client of a fake that has no port, and with its control plane."""
    fake = FakeEvolution(key="k", clock=VirtualClock(frozen=True), control_token="t")

    async def control(method: str, path: str, **body: Any) -> Any:
        return await fake.app.state.control.execute(method, path, {}, body)

    async def run() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(fake.app), base_url="http://fake") as client:
            return await visit(client, control)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"fault": "connection-refused"}, ConnectionRefusedError),
        ({"fault": "connection-reset"}, ConnectionResetError),
        ({"fault": "answer-reset", "after": 20}, ConnectionResetError),
        ({"fault": "truncated-answer"}, ConnectionResetError),
        ({"fault": "boot-window"}, ConnectionResetError),
    ],
)
def test_in_process_the_closest_exception_is_raised(wish: dict[str, Any], error: type[Exception]) -> None:
    async def visit(client: httpx.AsyncClient, control: Callable[..., Awaitable[Any]]) -> list[int]:
        statuses = [(await client.get("/")).status_code]
        await control("POST", "faults", **wish)
        with pytest.raises(error):
            await client.get("/")
        await control("DELETE", "faults")
        await control("POST", "clock/advance", seconds=30)
        return [*statuses, (await client.get("/")).status_code]

    assert _in_process(visit) == [200, 200]


def test_in_process_a_wrong_length_and_another_body_arrive_as_they_are() -> None:
    async def visit(client: httpx.AsyncClient, control: Callable[..., Awaitable[Any]]) -> None:
        whole = await client.get("/")
        await control("POST", "faults", fault="wrong-content-length", promise="too-short", off_by=7)
        wrong = await client.get("/")
        assert wrong.content == whole.content
        assert int(wrong.headers["content-length"]) == len(whole.content) - 7
        await control("DELETE", "faults")
        await control("POST", "faults", fault="not-json", body="text")
        assert (await client.get("/")).text.startswith("upstream connect error")

    _in_process(visit)


def test_two_faults_of_one_answer_go_together(evolution: FakeEvolution, api: httpx.Client) -> None:
    evolution.inject("not-json", body="html")
    evolution.inject("wrong-content-length", promise="too-short", off_by=1)
    answer = api.get("/")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert answer.text.endswith("</html")
    evolution.withdraw()
    assert api.get("/").json()["version"] == "2.3.7"


def test_the_answer_to_head_is_left_alone(evolution: FakeEvolution, api: httpx.Client) -> None:
    evolution.inject("truncated-answer")
    assert api.head("/").status_code == 200
    assert evolution.faults()[0]["fired"] == 0


def _talk(evolution: AnyFake) -> socket.socket:
    url = httpx.URL(evolution.url)
    return socket.create_connection((url.host, url.port or 80), timeout=20)


def _answers(talk: socket.socket, count: int) -> list[tuple[int, Any]]:
    """Status and JSON body of so many answers, in the order in which they come."""
    stream, found = talk.makefile("rb"), []
    for _ in range(count):
        status = int(stream.readline().split()[1])
        length = 0
        while (line := stream.readline().strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        found.append((status, json.loads(stream.read(length)) if length else None))
    return found


def _post(path: str, key: str, body: Any, more: str = "") -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: fake\r\napikey: {key}\r\nContent-Type: application/json\r\n{more}"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


_TEXT = {"number": "5511988887777", "text": "hello"}


def test_requests_in_one_packet_are_answered_in_their_order(evolution: AnyFake, open_instance: str) -> None:
    requests = [
        _post("/message/sendText/shop", evolution.key, _TEXT),
        # Stays open until the clock is moved: what was asked behind it waits.
        _post("/message/sendText/shop", evolution.key, {**_TEXT, "text": "slow", "delay": 1500}),
        _post("/nope", evolution.key, {}),
        _post("/message/sendText/ghost", evolution.key, {"text": "x" * 3_000_000}),
    ]
    with _talk(evolution) as talk:
        talk.sendall(b"".join(requests))
        assert _answers(talk, 1)[0][0] == 201
        RealPace().eventually(lambda: evolution.health()["openRequests"] == 1, within_s=20, what="the slow send")
        evolution.advance(2)
        slow, nowhere, ghost = _answers(talk, 3)
    assert (slow[0], slow[1]["message"]["conversation"]) == (201, "slow")
    assert (nowhere[0], nowhere[1]["response"]["message"]) == (404, ["Cannot POST /nope"])
    assert (ghost[0], ghost[1]["response"]["message"]) == (404, ['The "ghost" instance does not exist'])


def test_headers_are_spelt_as_express_spells_them_whether_the_answer_was_waited_for_or_not(
    evolution: AnyFake, open_instance: str
) -> None:
    asked: dict[str, dict[str, Any]] = {"at once": _TEXT, "waited for": {**_TEXT, "delay": 1500}}
    heads: dict[str, bytes] = {}
    with _talk(evolution) as talk:
        for name, body in asked.items():
            talk.sendall(_post("/message/sendText/shop", evolution.key, body))
            if "delay" in body:
                RealPace().eventually(lambda: evolution.health()["openRequests"] == 1, within_s=20, what="the slow send")
                evolution.advance(2)
            heads[name] = talk.recv(65_536).partition(b"\r\n\r\n")[0]
        talk.sendall(_post("/nope", evolution.key, {}, "Origin: http://shop\r\n"))
        heads["with an origin"] = talk.recv(65_536).partition(b"\r\n\r\n")[0]
    spelt = [b"X-Powered-By", b"Access-Control-Allow-Credentials", b"Vary", b"Content-Type", b"ETag", b"Keep-Alive"]
    assert {name: [word for word in spelt if b"\r\n%b: " % word not in head] for name, head in heads.items()} == {
        name: [] for name in heads
    }


def test_a_body_may_come_in_pieces_and_after_a_word_of_the_server(evolution: AnyFake, open_instance: str) -> None:
    head, _, content = _post("/message/sendText/shop", evolution.key, _TEXT, "Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    with _talk(evolution) as talk:
        talk.sendall(head + b"\r\n\r\n")
        assert talk.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        talk.sendall(content[:7])
        talk.sendall(content[7:])
        assert _answers(talk, 1)[0][0] == 201
        whole = _post("/message/sendText/shop", evolution.key, _TEXT)
        for place in range(0, len(whole), 40):
            talk.sendall(whole[place : place + 40])
        assert _answers(talk, 1)[0][0] == 201
    assert [send["text"] for send in evolution.ledger()] == ["hello", "hello"]


def test_a_client_that_leaves_in_the_middle_of_its_body_has_asked_for_nothing(evolution: AnyFake, open_instance: str) -> None:
    before = len(evolution.requests())
    with _talk(evolution) as talk:
        talk.sendall(_post("/message/sendText/shop", evolution.key, _TEXT)[:-5])
    assert _send_text(evolution).status_code == 201
    assert [request["status"] for request in evolution.requests()[before:]] == [201]


def _send_text(evolution: AnyFake) -> httpx.Response:
    return httpx.post(f"{evolution.url}/message/sendText/shop", headers={"apikey": evolution.key}, json=_TEXT)
