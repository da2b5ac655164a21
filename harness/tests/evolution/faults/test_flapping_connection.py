from __future__ import annotations

from harness.evolution import FakeEvolution
from harness.tests.evolution.listener import Listener


def test_the_connection_opens_and_drops_in_a_loop(evolution: FakeEvolution, listener: Listener, open_instance: str) -> None:
    evolution.inject("flapping-connection", seconds=1)
    evolution.close(open_instance, 428)
    evolution.advance(10)
    evolution.quiesce()
    states = [body["data"]["state"] for body in listener.bodies("connection.update")]
    assert states.count("open") >= 5
    assert states[:4] == ["connecting", "open", "connecting", "open"]
    evolution.withdraw()
    evolution.advance(5)
    listener.received.clear()
    evolution.advance(60)
    evolution.quiesce()
    assert listener.bodies("connection.update") == []
    assert evolution.instances()[0]["state"] == "open"
