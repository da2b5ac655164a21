from __future__ import annotations

import httpx
import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_the_answer_breaks_off(evolution: FakeEvolution, api: httpx.Client, open_instance: str, share: float) -> None:
    evolution.inject("truncated-answer", share=share)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        send(api)
    assert len(evolution.ledger()) == 1
    evolution.withdraw()
    assert send(api).status_code == 201
