from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_the_send_fails_and_the_message_goes_out(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("send-error-after-sending", status=500, message="Timed Out")
    assert send(api).status_code == 500
    assert [row["text"] for row in evolution.ledger()] == ["hello"]
    evolution.withdraw()
    assert send(api).status_code == 201
