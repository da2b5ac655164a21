from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send
from harness.tests.evolution.listener import Listener


def test_the_message_stays_pending(evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str) -> None:
    evolution.inject("no-ack", number="5511988887777")
    assert send(api).json()["status"] == "PENDING"
    assert api.post("/message/sendText/shop", json={"number": "5511977776666", "text": "other"}).status_code == 201
    evolution.advance(600)
    evolution.quiesce()
    assert {body["data"]["remoteJid"] for body in listener.bodies("messages.update")} == {"5511977776666@s.whatsapp.net"}
    evolution.withdraw()
    send(api)
    evolution.advance(600)
    evolution.quiesce()
    assert "5511988887777@s.whatsapp.net" in {body["data"]["remoteJid"] for body in listener.bodies("messages.update")}
