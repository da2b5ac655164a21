from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from harness.clock import VirtualClock
from harness.evolution import FakeEvolution
from harness.target import RealPace, VirtualPace
from harness.tests.evolution.faults import send


def test_there_is_no_answer_until_the_fault_is_withdrawn(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("hanging-request", route="sendText")
    with ThreadPoolExecutor(max_workers=1) as pool:
        answer = pool.submit(send, api)
        RealPace().eventually(lambda: evolution.held_calls() == 1, within_s=20, what="the request held")
        evolution.advance(86_400)
        assert (answer.done(), evolution.held_calls(), evolution.ledger()) == (False, 1, [])
        evolution.withdraw()
        assert answer.result(timeout=20).status_code == 201
    assert evolution.held_calls() == 0
    assert send(api).status_code == 201


def test_the_end_of_its_window_lets_the_request_go_on(evolution: FakeEvolution, api: httpx.Client) -> None:
    evolution.inject("hanging-request", until=100)
    with ThreadPoolExecutor(max_workers=1) as pool:
        answer = pool.submit(api.get, "/")
        RealPace().eventually(lambda: evolution.held_calls() == 1, within_s=20, what="the request held")
        evolution.advance(101)
        assert answer.result(timeout=20).status_code == 200


def test_a_client_that_leaves_is_not_held_any_more_and_its_request_goes_on_later(
    evolution: FakeEvolution, api: httpx.Client, open_instance: str
) -> None:
    evolution.inject("hanging-request", route="sendText")
    with pytest.raises(httpx.ReadTimeout):
        api.post(f"/message/sendText/{open_instance}", json={"number": "5511988887777", "text": "late"}, timeout=0.2)
    RealPace().eventually(lambda: evolution.held_calls() == 0, within_s=20, what="the fake noticing that the client has gone")
    assert evolution.ledger() == []
    evolution.withdraw()
    RealPace().eventually(lambda: [row["text"] for row in evolution.ledger()] == ["late"], within_s=20, what="the late message")


@pytest.mark.in_process_only(reason="the time limit runs on the clock in this process")
def test_who_moves_the_clock_moves_it_to_the_clients_time_limit(evolution: FakeEvolution, clock: VirtualClock) -> None:
    evolution.inject("hanging-request")

    async def visit() -> bool:
        async with httpx.AsyncClient(timeout=None) as client:
            answer = asyncio.ensure_future(client.get(evolution.url))
            limit = asyncio.ensure_future(clock.limit(15))
            await asyncio.wait({answer, limit}, return_when=asyncio.FIRST_COMPLETED)
            answer.cancel()
            return limit.done()

    before = clock.monotonic()
    pace = VirtualPace(evolution, quiesce=evolution.quiesce, held_calls=evolution.held_calls)
    assert pace.call(lambda: asyncio.run(visit()))
    assert clock.monotonic() - before == pytest.approx(15, abs=1)
    evolution.withdraw()
    assert httpx.get(evolution.url).status_code == 200
