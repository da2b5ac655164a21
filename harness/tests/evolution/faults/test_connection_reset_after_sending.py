from __future__ import annotations

import httpx
import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_the_connection_ends_and_the_message_is_out(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("connection-reset-after-sending")
    with pytest.raises(httpx.ReadError):
        send(api)
    assert [row["text"] for row in evolution.ledger()] == ["hello"]
    evolution.withdraw()
    assert send(api).status_code == 201
    assert len(evolution.ledger()) == 2
