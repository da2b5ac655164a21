from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_the_row_is_there_and_unusable(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("not-in-memory")
    assert api.get(f"/instance/connectionState/{open_instance}").json() == {"instance": {"instanceName": open_instance}}
    crashed = send(api)
    assert (crashed.status_code, crashed.json()["response"]["message"]) == (
        500,
        "Cannot read properties of undefined (reading 'textMessage')",
    )
    assert api.get(f"/instance/connect/{open_instance}").json() == {"error": True, "message": "[object Object]"}
    assert api.post("/instance/create", json={"instanceName": open_instance}).status_code == 403
    evolution.withdraw()
    assert api.get(f"/instance/connectionState/{open_instance}").json()["instance"]["state"] == "open"
    assert send(api).status_code == 201
