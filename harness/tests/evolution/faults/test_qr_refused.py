from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from harness.evolution import FakeEvolution


def test_a_scan_leads_nowhere(evolution: FakeEvolution, api: httpx.Client, patiently: Callable[[Callable[[], Any]], Any]) -> None:
    api.post("/instance/create", json={"instanceName": "shop", "integration": "WHATSAPP-BAILEYS"}).raise_for_status()
    patiently(lambda: api.get("/instance/connect/shop"))
    evolution.inject("qr-refused")
    for _ in range(2):
        evolution.scan("shop")
        evolution.advance(3)
        assert evolution.instances()[0]["state"] == "connecting"
        assert api.get("/instance/connect/shop").json()["code"].startswith("2@")
    assert evolution.faults()[0]["fired"] == 2
    evolution.withdraw()
    evolution.scan("shop")
    evolution.advance(3)
    assert evolution.instances()[0]["state"] == "open"
