from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import pair


def test_many_numbers_at_once_cost_the_account(
    evolution: FakeEvolution, api: httpx.Client, patiently: Callable[[Callable[[], Any]], Any], open_instance: str
) -> None:
    evolution.inject("banned-for-number-checks", most=5)

    def check(first: int, count: int) -> httpx.Response:
        numbers = [f"55119888{number}" for number in range(first, first + count)]
        return api.post(f"/chat/whatsappNumbers/{open_instance}", json={"numbers": numbers})

    assert check(10001, 5).status_code == 200
    assert evolution.faults()[0]["fired"] == 0
    assert check(20001, 6).status_code == 200
    assert evolution.faults()[0]["fired"] == 1
    assert api.get("/instance/fetchInstances").json()[0]["disconnectionReasonCode"] == 403
    evolution.withdraw()
    patiently(lambda: pair(evolution, api))
    assert check(30001, 6).status_code == 200
    assert evolution.instances()[0]["state"] == "open"
