from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import pair
from harness.tests.evolution.listener import Listener


def test_open_is_followed_by_a_log_out(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, patiently: Callable[[Callable[[], Any]], Any]
) -> None:
    evolution.inject("logged-out-after-pairing", seconds=3)
    webhook = {"url": f"{listener.url}/ok", "events": ["CONNECTION_UPDATE"]}
    api.post("/instance/create", json={"instanceName": "shop", "integration": "WHATSAPP-BAILEYS", "webhook": webhook})
    patiently(lambda: api.get("/instance/connect/shop"))
    evolution.scan("shop")
    evolution.advance(10)
    evolution.quiesce()
    states = [(body["data"]["state"], body["data"]["statusReason"]) for body in listener.bodies()]
    assert states[-2:] == [("open", 200), ("close", 401)]
    evolution.withdraw()
    patiently(lambda: pair(evolution, api))
    evolution.advance(60)
    assert evolution.instances()[0]["state"] == "open"
