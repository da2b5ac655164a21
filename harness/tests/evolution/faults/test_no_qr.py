from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from harness.evolution import FakeEvolution


def test_create_and_connect_have_no_code(
    evolution: FakeEvolution, api: httpx.Client, patiently: Callable[[Callable[[], Any]], Any]
) -> None:
    evolution.inject("no-qr")
    wish = {"instanceName": "shop", "integration": "WHATSAPP-BAILEYS", "qrcode": True}
    created = patiently(lambda: api.post("/instance/create", json=wish))
    assert (created.status_code, created.json()["qrcode"]) == (201, {"count": 0})
    assert api.get("/instance/connect/shop").json() == {"count": 0}
    assert api.get("/instance/connectionState/shop").json()["instance"]["state"] == "connecting"
    evolution.withdraw()
    assert api.post("/instance/restart/shop").json() == {"count": 0}
    evolution.advance(2)
    assert api.get("/instance/connect/shop").json()["code"].startswith("2@")
