from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.clock import VirtualClock
from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_the_message_goes_out_late(
    evolution: FakeEvolution,
    api: httpx.Client,
    clock: VirtualClock,
    patiently: Callable[[Callable[[], Any]], Any],
    open_instance: str,
) -> None:
    evolution.inject("slow-send", seconds=12)
    before = clock.monotonic()
    assert patiently(lambda: send(api)).status_code == 201
    assert evolution.ledger()[0]["monotonic"] - before == pytest.approx(12, abs=1)
    evolution.withdraw()
    before = clock.monotonic()
    assert send(api).status_code == 201
    assert clock.monotonic() == before
