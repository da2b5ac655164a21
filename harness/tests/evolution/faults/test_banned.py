from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import pair, send
from harness.tests.evolution.listener import Listener


def test_the_account_is_closed_after_the_send(
    evolution: FakeEvolution,
    api: httpx.Client,
    listener: Listener,
    patiently: Callable[[Callable[[], Any]], Any],
    open_instance: str,
) -> None:
    evolution.inject("banned")
    assert send(api).status_code == 201
    evolution.quiesce()
    assert listener.bodies("status.instance")[0]["data"]["disconnectionReasonCode"] == 403
    assert api.get(f"/instance/connectionState/{open_instance}").json()["instance"]["state"] == "close"
    assert send(api).status_code == 400
    evolution.withdraw()
    patiently(lambda: pair(evolution, api))
    assert [send(api).status_code for _ in range(2)] == [201, 201]
