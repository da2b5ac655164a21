from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_the_answer_names_the_other_form(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("ninth-digit")
    assert send(api).json()["key"]["remoteJid"] == "551188887777@s.whatsapp.net"
    assert evolution.ledger()[0]["number"] == "5511988887777"
    evolution.withdraw()
    other = api.post(f"/message/sendText/{open_instance}", json={"number": "5511977776666", "text": "hello"})
    assert other.json()["key"]["remoteJid"] == "5511977776666@s.whatsapp.net"
