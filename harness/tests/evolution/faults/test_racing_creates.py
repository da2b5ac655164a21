from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from harness.evolution import FakeEvolution


def test_overlapping_creates_leave_no_instance(
    evolution: FakeEvolution, api: httpx.Client, patiently: Callable[[Callable[[], Any]], Any]
) -> None:
    evolution.inject("racing-creates", seconds=1)
    wish = {"instanceName": "shop", "integration": "WHATSAPP-BAILEYS"}

    def overlap() -> list[int]:
        with ThreadPoolExecutor(max_workers=2) as pool:
            return [answer.status_code for answer in pool.map(lambda _: api.post("/instance/create", json=wish), range(2))]

    assert sorted(patiently(overlap)) == [201, 400]
    evolution.advance(1)
    assert api.get("/instance/fetchInstances").json() == []
