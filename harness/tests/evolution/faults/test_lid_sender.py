from __future__ import annotations

import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.listener import Listener


@pytest.mark.parametrize(("alt", "server"), [(False, "lid"), (True, "s.whatsapp.net")])
def test_the_sender_is_hidden_unless_the_telephone_comes_along(
    evolution: FakeEvolution, listener: Listener, open_instance: str, alt: bool, server: str
) -> None:
    evolution.inject("lid-sender", alt=alt)
    evolution.incoming(open_instance, "5511988887777", "who am I?")
    evolution.quiesce()
    key = listener.bodies("messages.upsert")[0]["data"]["key"]
    assert (key["remoteJid"].partition("@")[2], key["addressingMode"]) == (server, "lid")
    assert ("remoteJidAlt" in key) == alt
    assert ("5511988887777" in key["remoteJid"]) == alt
    evolution.withdraw()
    evolution.incoming(open_instance, "5511988887777", "it is me")
    evolution.quiesce()
    [key] = [
        body["data"]["key"]
        for body in listener.bodies("messages.upsert")
        if body["data"]["message"]["conversation"] == "it is me"
    ]
    assert key["remoteJid"] == "5511988887777@s.whatsapp.net"
    assert key.get("addressingMode") != "lid"
