from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send
from harness.tests.evolution.listener import Listener


def test_delivered_comes_before_sent(evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str) -> None:
    evolution.inject("swapped-acks")
    send(api)
    evolution.advance(2)
    evolution.quiesce()
    assert [body["data"]["status"] for body in listener.bodies("messages.update")] == ["DELIVERY_ACK", "SERVER_ACK"]
    evolution.withdraw()
    listener.received.clear()
    send(api)
    evolution.advance(2)
    evolution.quiesce()
    assert [body["data"]["status"] for body in listener.bodies("messages.update")] == ["SERVER_ACK", "DELIVERY_ACK"]
