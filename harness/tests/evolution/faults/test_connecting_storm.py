from __future__ import annotations

from harness.evolution import FakeEvolution
from harness.tests.evolution.listener import Listener


def test_connecting_follows_connecting(evolution: FakeEvolution, listener: Listener, open_instance: str) -> None:
    evolution.inject("connecting-storm", seconds=0.1)
    evolution.close(open_instance, 428)
    evolution.advance(5)
    evolution.quiesce()
    states = [body["data"]["state"] for body in listener.bodies("connection.update")]
    assert set(states) == {"connecting"}
    assert len(states) >= 20
    evolution.withdraw()
    evolution.advance(2)
    evolution.quiesce()
    assert listener.bodies("connection.update")[-1]["data"]["state"] == "open"
    assert evolution.instances()[0]["state"] == "open"
