from __future__ import annotations

from harness.evolution import FakeEvolution
from harness.tests.evolution.listener import Listener


def test_later_messages_wait_and_come_in_a_burst(evolution: FakeEvolution, listener: Listener, open_instance: str) -> None:
    evolution.inject("blocked-inbound", seconds=60, count=1)
    for text in ("one", "two", "three"):
        evolution.incoming(open_instance, "5511988887777", text)
    evolution.advance(59)
    evolution.quiesce()
    assert listener.bodies("messages.upsert") == []
    evolution.advance(2)
    evolution.quiesce()
    arrived = [body["data"]["message"]["conversation"] for body in listener.bodies("messages.upsert")]
    assert sorted(arrived) == ["one", "three", "two"]


def test_each_message_waits_until_the_fault_is_withdrawn(
    evolution: FakeEvolution, listener: Listener, open_instance: str
) -> None:
    evolution.inject("blocked-inbound", seconds=60)
    evolution.incoming(open_instance, "5511988887777", "one")
    evolution.advance(59)
    evolution.quiesce()
    assert listener.bodies("messages.upsert") == []
    evolution.advance(2)
    evolution.withdraw()
    evolution.incoming(open_instance, "5511988887777", "two")
    evolution.quiesce()
    assert len(listener.bodies("messages.upsert")) == 2
