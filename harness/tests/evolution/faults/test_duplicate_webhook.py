from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send
from harness.tests.evolution.listener import Listener


def test_the_same_body_comes_twice(evolution: FakeEvolution, listener: Listener, open_instance: str) -> None:
    evolution.inject("duplicate-webhook")
    evolution.incoming(open_instance, "5511988887777", "one")
    evolution.quiesce()
    first, second = listener.bodies("messages.upsert")
    assert first == second
    evolution.withdraw()
    evolution.incoming(open_instance, "5511988887777", "two")
    evolution.quiesce()
    assert len(listener.bodies("messages.upsert")) == 3


def test_another_event_can_be_doubled(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.inject("duplicate-webhook", event="send.message", copies=3)
    send(api)
    evolution.quiesce()
    assert len(listener.bodies("send.message")) == 3
