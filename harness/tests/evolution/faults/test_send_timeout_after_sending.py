from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.clock import VirtualClock
from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_the_message_goes_out_and_the_answer_does_not_come(
    evolution: FakeEvolution, api: httpx.Client, open_instance: str
) -> None:
    evolution.inject("send-timeout-after-sending", seconds=120, count=1)
    with pytest.raises(httpx.ReadTimeout):
        api.post(f"/message/sendText/{open_instance}", json={"number": "5511988887777", "text": "hello"}, timeout=0.2)
    assert [row["text"] for row in evolution.ledger()] == ["hello"]
    [request] = evolution.requests(path="/message")
    assert request["status"] is None


def test_a_patient_client_gets_the_answer(
    evolution: FakeEvolution,
    api: httpx.Client,
    clock: VirtualClock,
    patiently: Callable[[Callable[[], Any]], Any],
    open_instance: str,
) -> None:
    evolution.inject("send-timeout-after-sending", seconds=30)
    before = clock.monotonic()
    assert patiently(lambda: send(api)).status_code == 201
    assert clock.monotonic() - before == pytest.approx(30, abs=1)
    evolution.withdraw()
    before = clock.monotonic()
    assert send(api).status_code == 201
    assert clock.monotonic() == before
