from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx

from harness.evolution import FakeEvolution
from harness.target import RealPace

HELD_S = 3600.0


def test_overlapping_creates_leave_no_instance(evolution: FakeEvolution, api: httpx.Client) -> None:
    evolution.inject("racing-creates", seconds=HELD_S)
    wish = {"instanceName": "shop", "integration": "WHATSAPP-BAILEYS"}
    with ThreadPoolExecutor(max_workers=3) as pool:
        answers = [pool.submit(api.post, "/instance/create", json=wish) for _ in range(3)]
        RealPace().eventually(lambda: evolution.open_calls() == 2, within_s=20, what="two creates under way")
        RealPace().eventually(lambda: any(one.done() for one in answers), within_s=20, what="the third create's answer")
        evolution.advance(HELD_S + 1)
        assert sorted(answer.result().status_code for answer in answers) == [400, 400, 403]
    evolution.advance(1)
    assert api.get("/instance/fetchInstances").json() == []
    evolution.withdraw()
    assert [api.post("/instance/create", json=wish).status_code for _ in range(2)] == [201, 403]
    assert [row["name"] for row in api.get("/instance/fetchInstances").json()] == ["shop"]
