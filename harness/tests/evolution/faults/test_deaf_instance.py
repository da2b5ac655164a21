from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import pair, send
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


@pytest.mark.parametrize("how", ["restart", "recreate"])
def test_a_restart_or_a_new_instance_hears_again(
    evolution: FakeEvolution, api: httpx.Client, patiently: Callable[[Callable[[], Any]], Any], open_instance: str, how: str
) -> None:
    evolution.inject("deaf-instance")
    if how == "restart":
        assert api.post(f"/instance/restart/{open_instance}").status_code == 200
    else:
        webhook = evolution.instances()[0]["webhook"]["url"]
        api.delete(f"/instance/delete/{open_instance}")
        evolution.quiesce()
        wish = {"instanceName": open_instance, "integration": "WHATSAPP-BAILEYS", "webhook": {"url": webhook, "events": []}}
        assert api.post("/instance/create", json=wish).status_code == 201
        patiently(lambda: pair(evolution, api))
    evolution.advance(2)
    evolution.incoming(open_instance, "5511988887777", "hello?")
    evolution.quiesce()
    assert len(evolution.deliveries(event="messages.upsert")) == 1
