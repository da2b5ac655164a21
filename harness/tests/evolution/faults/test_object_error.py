from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution


def test_connect_fails_with_status_200(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("object-error", count=1)
    answer = api.get(f"/instance/connect/{open_instance}")
    assert (answer.status_code, answer.json()) == (200, {"error": True, "message": "[object Object]"})
    assert api.get(f"/instance/connect/{open_instance}").json()["instance"]["state"] == "open"
