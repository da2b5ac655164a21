from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send
from harness.tests.evolution.listener import Listener


def test_other_events_and_sends_go_on_while_messages_are_silent(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.inject("deaf-instance", instance=open_instance)
    evolution.incoming(open_instance, "5511988887777", "hello?")
    assert send(api).status_code == 201
    evolution.quiesce()
    assert listener.bodies("messages.upsert") == []
    assert len(listener.bodies("send.message")) == len(listener.bodies("contacts.upsert")) == 1
    evolution.withdraw(fault="deaf-instance")
    evolution.incoming(open_instance, "5511988887777", "hello!")
    evolution.quiesce()
    assert len(listener.bodies("messages.upsert")) == 1
