from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send
from harness.tests.evolution.listener import Listener


def test_an_own_message_comes_back(evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str) -> None:
    evolution.inject("own-message-echo")
    key = send(api).json()["key"]
    evolution.quiesce()
    assert [body["data"]["key"] for body in listener.bodies("messages.upsert")] == [key]
    assert key["fromMe"]
    evolution.withdraw()
    send(api)
    evolution.quiesce()
    assert len(listener.bodies("messages.upsert")) == 1
