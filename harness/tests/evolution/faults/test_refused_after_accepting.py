from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send
from harness.tests.evolution.listener import Listener


def test_the_acknowledgement_is_an_error(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.inject("refused-after-accepting")
    assert send(api).status_code == 201
    evolution.advance(5)
    evolution.quiesce()
    assert [body["data"]["status"] for body in listener.bodies("messages.update")] == ["ERROR"]
    evolution.withdraw()
    send(api)
    evolution.advance(5)
    evolution.quiesce()
    assert [body["data"]["status"] for body in listener.bodies("messages.update")][1:] == ["SERVER_ACK", "DELIVERY_ACK"]


def test_whoever_has_written_before_may_be_spared(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.inject("refused-after-accepting", strangers_only=True)
    evolution.incoming(open_instance, "5511977776666", "hello")
    evolution.quiesce()
    for number in ("5511977776666", "5511988887777"):
        api.post(f"/message/sendText/{open_instance}", json={"number": number, "text": "hello"})
    evolution.advance(5)
    evolution.quiesce()
    refused = {body["data"]["remoteJid"] for body in listener.bodies("messages.update") if body["data"]["status"] == "ERROR"}
    assert refused == {"5511988887777@s.whatsapp.net"}
