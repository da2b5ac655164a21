from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_the_answer_is_429_with_a_time_to_wait(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("rate-limited", route="sendText", seconds=7, count=1)
    assert api.get("/").status_code == 200
    answer = send(api)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert send(api).status_code == 201
    assert len(evolution.ledger()) == 1
