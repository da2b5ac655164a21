from __future__ import annotations

import httpx
import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_the_connection_ends_without_an_answer_and_without_a_send(
    evolution: FakeEvolution, api: httpx.Client, open_instance: str
) -> None:
    evolution.inject("connection-reset")
    with pytest.raises(httpx.ReadError):
        send(api)
    assert evolution.ledger() == []
    evolution.withdraw()
    assert send(api).status_code == 201
