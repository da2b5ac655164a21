from __future__ import annotations

import httpx
import pytest

from harness.evolution import FakeEvolution


@pytest.mark.parametrize(("method", "action"), [("GET", "connect"), ("POST", "restart")])
def test_connect_and_restart_fail_with_status_200(
    evolution: FakeEvolution, api: httpx.Client, open_instance: str, method: str, action: str
) -> None:
    evolution.inject("object-error")
    path = f"/instance/{action}/{open_instance}"
    answer = api.request(method, path)
    assert (answer.status_code, answer.json()) == (200, {"error": True, "message": "[object Object]"})
    assert api.get(f"/instance/connectionState/{open_instance}").json()["instance"]["state"] == "open"
    evolution.withdraw()
    assert api.request(method, path).json()["instance"]["state"] == "open"
