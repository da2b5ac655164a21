from __future__ import annotations

from harness.evolution import FakeEvolution
from harness.tests.evolution.listener import Listener


def test_the_same_body_comes_again_and_again(evolution: FakeEvolution, listener: Listener, open_instance: str) -> None:
    evolution.inject("redelivered-webhook", times=4, initial=5)
    evolution.incoming(open_instance, "5511988887777", "one")
    counts = []
    for seconds in (1, 5, 10, 20, 600):
        evolution.advance(seconds)
        evolution.quiesce()
        counts.append(len(listener.bodies("messages.upsert")))
    assert counts == [1, 2, 3, 4, 4]
    evolution.withdraw()
    evolution.incoming(open_instance, "5511988887777", "two")
    evolution.advance(600)
    evolution.quiesce()
    assert len(listener.bodies("messages.upsert")) == 5
