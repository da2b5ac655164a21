from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution


def test_success_and_still_there(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("delete-keeps-instance")
    assert api.delete(f"/instance/delete/{open_instance}").json()["status"] == "SUCCESS"
    evolution.advance(60)
    assert api.get(f"/instance/connectionState/{open_instance}").json()["instance"]["state"] == "open"
    assert api.post("/instance/create", json={"instanceName": open_instance}).status_code == 403
    evolution.withdraw()
    assert api.delete(f"/instance/delete/{open_instance}").status_code == 200
    evolution.quiesce()
    assert api.get(f"/instance/connectionState/{open_instance}").status_code == 404
