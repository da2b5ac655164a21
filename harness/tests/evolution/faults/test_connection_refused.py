from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from harness.clock import VirtualClock
from harness.evolution import EvolutionControl, FakeEvolution
from harness.target import RealPace

pytestmark = pytest.mark.reached_directly(reason="the engine accepts connections to a container's port on its behalf")


def _place(evolution: FakeEvolution) -> tuple[str, int]:
    url = httpx.URL(evolution.url)
    assert url.port is not None
    return url.host, url.port


def _is_refused(evolution: FakeEvolution) -> bool:
    try:
        socket.create_connection(_place(evolution), timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.fixture
def control(evolution: FakeEvolution) -> Iterator[EvolutionControl]:
    with EvolutionControl(evolution.url, "control") as client:
        yield client


def test_the_operating_system_refuses_until_the_fault_is_withdrawn(evolution: FakeEvolution, api: httpx.Client) -> None:
    assert api.get("/").status_code == 200
    evolution.inject("connection-refused")
    assert _is_refused(evolution)
    with pytest.raises(httpx.ConnectError):
        # Over a connection of its own: one that is open may be taken up again just before it is closed.
        httpx.get(evolution.url)
    [shown] = evolution.faults()
    assert (shown["fired"], shown["state"]) == (1, "on")
    evolution.withdraw()
    assert api.get("/").status_code == 200


@pytest.mark.in_process_only(reason="a container's port is in a network of its own")
def test_nobody_else_can_take_the_port_meanwhile(evolution: FakeEvolution) -> None:
    evolution.inject("connection-refused")
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind(_place(evolution))


def test_the_control_plane_stays_reachable_over_http(evolution: FakeEvolution, control: EvolutionControl) -> None:
    # A connection that was there stays, and a new one goes to the address that the fake has told.
    control.inject("connection-refused")
    assert control.faults()[0]["fired"] == 1
    assert _is_refused(evolution)
    with EvolutionControl(evolution.control_url, "control") as apart:
        assert httpx.URL(apart.health()["controlUrl"]).port == httpx.URL(evolution.control_url).port
        answer = httpx.get(f"{evolution.control_url}/instance/fetchInstances", headers={"apikey": evolution.key})
        assert answer.status_code == 404
    control._client.close()
    control._client = httpx.Client(headers={"X-Fake-Token": "control"})
    assert control.withdraw() == 1
    assert not _is_refused(evolution)


def test_a_connection_of_the_control_plane_stays_open(evolution: FakeEvolution) -> None:
    with httpx.Client(base_url=f"{evolution.url}/__fake__", headers={"X-Fake-Token": "control"}) as one:
        assert one.post("/faults", json={"fault": "connection-refused"}).status_code == 200
        assert _is_refused(evolution)
        assert one.get("/health").json()["status"] == "ok"
        assert one.delete("/faults").json() == {"withdrawn": 1}
    assert not _is_refused(evolution)


def test_each_firing_lasts_its_seconds_and_count_limits_them(evolution: FakeEvolution) -> None:
    evolution.inject("connection-refused", seconds=10, count=2)
    refused = []
    for _ in range(5):
        refused.append(_is_refused(evolution))
        evolution.advance(6)
    assert refused == [True, True, True, True, False]
    assert evolution.faults()[0]["fired"] == 2


def test_the_port_is_closed_within_the_window_alone(evolution: FakeEvolution) -> None:
    evolution.inject("connection-refused", from_=30, until=60)
    refused = []
    for _ in range(4):
        refused.append(_is_refused(evolution))
        evolution.advance(20)
    assert refused == [False, False, True, False]


def test_a_reset_opens_the_port(evolution: FakeEvolution) -> None:
    evolution.inject("connection-refused")
    evolution.reset()
    assert not _is_refused(evolution)


def test_a_port_that_chance_leaves_open_is_tried_again(evolution: FakeEvolution) -> None:
    evolution.inject("connection-refused", probability=0.3, seconds=1, seed=4)
    refused = []
    for _ in range(30):
        refused.append(_is_refused(evolution))
        evolution.advance(1)
    assert {True, False} == set(refused)


@pytest.mark.in_process_only(reason="only in the fake's own thread can several changes fall into one moment")
@pytest.mark.parametrize("refused", [False, True])
def test_only_the_last_of_many_changes_in_one_moment_counts(evolution: FakeEvolution, refused: bool) -> None:
    faults = evolution._fake.faults

    async def toggle() -> None:
        faults.inject({"fault": "connection-refused"})
        for _ in range(3):
            faults.withdraw()
            faults.inject({"fault": "connection-refused"})
        if not refused:
            faults.withdraw()

    assert evolution._loop is not None
    asyncio.run_coroutine_threadsafe(toggle(), evolution._loop).result(timeout=20)
    evolution.health()
    assert _is_refused(evolution) == refused
    evolution.withdraw()
    assert not _is_refused(evolution)


def test_what_is_under_way_is_finished(evolution: FakeEvolution, api: httpx.Client) -> None:
    evolution.inject("slow-answer", seconds=60, count=1)
    with ThreadPoolExecutor(max_workers=1) as pool:
        answer = pool.submit(api.get, "/")
        RealPace().eventually(lambda: evolution.held_calls() == 1, within_s=20, what="the request under way")
        evolution.inject("connection-refused")
        assert _is_refused(evolution)
        evolution.advance(61)
        assert answer.result(timeout=20).status_code == 200


@pytest.mark.in_process_only(reason="it starts a second fake on the clock of the first")
def test_a_fake_stops_and_starts_while_its_port_is_closed(clock: VirtualClock) -> None:
    fake = FakeEvolution(key="k", clock=clock, control_token="t")
    with fake:
        fake.inject("connection-refused")
    threads = {thread.name for thread in threading.enumerate()}
    with fake:
        fake.withdraw()
        assert httpx.get(fake.url).status_code == 200
    assert "fake-evolution" in threads
