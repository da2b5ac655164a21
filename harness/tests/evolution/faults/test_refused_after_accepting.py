from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send
from harness.tests.evolution.listener import Listener


def test_the_acknowledgement_is_an_error(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.inject("refused-after-accepting", count=1)
    assert send(api).status_code == 201
    evolution.advance(5)
    evolution.quiesce()
    assert [body["data"]["status"] for body in listener.bodies("messages.update")] == ["ERROR"]
