from __future__ import annotations

from harness.evolution import FakeEvolution
from harness.tests.evolution.listener import Listener


def test_the_order_of_arrival_is_not_the_order_of_events(
    evolution: FakeEvolution, listener: Listener, open_instance: str
) -> None:
    evolution.inject("shuffled-webhooks", event="messages.upsert", seconds=5)
    for index in range(8):
        evolution.incoming(open_instance, "5511988887777", str(index))
    evolution.quiesce()
    assert listener.bodies("messages.upsert") == []
    evolution.advance(6)
    evolution.quiesce()
    arrived = [body["data"]["message"]["conversation"] for body in listener.bodies("messages.upsert")]
    assert sorted(arrived) == [str(index) for index in range(8)]
    assert arrived != sorted(arrived)
    evolution.withdraw()
    listener.received.clear()
    for index in range(8):
        evolution.incoming(open_instance, "5511988887777", str(index))
        evolution.quiesce()
    assert [body["data"]["message"]["conversation"] for body in listener.bodies("messages.upsert")] == sorted(arrived)
