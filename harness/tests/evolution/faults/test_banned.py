from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send
from harness.tests.evolution.listener import Listener


def test_the_account_is_closed_after_the_send(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.inject("banned", count=1)
    assert send(api).status_code == 201
    evolution.quiesce()
    assert listener.bodies("status.instance")[0]["data"]["disconnectionReasonCode"] == 403
    assert api.get(f"/instance/connectionState/{open_instance}").json()["instance"]["state"] == "close"
    assert send(api).status_code == 400
