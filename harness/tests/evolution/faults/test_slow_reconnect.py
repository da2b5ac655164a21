from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.listener import Listener


def test_the_state_stays_close_and_no_event_tells(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.inject("slow-reconnect", seconds=30)
    evolution.close(open_instance, 408)
    evolution.advance(29)
    evolution.quiesce()
    assert api.get(f"/instance/connectionState/{open_instance}").json()["instance"]["state"] == "close"
    assert listener.bodies() == []
    evolution.advance(5)
    assert api.get(f"/instance/connectionState/{open_instance}").json()["instance"]["state"] == "open"
    evolution.withdraw()
    evolution.close(open_instance, 408)
    evolution.advance(5)
    assert api.get(f"/instance/connectionState/{open_instance}").json()["instance"]["state"] == "open"
