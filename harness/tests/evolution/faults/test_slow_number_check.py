from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.clock import VirtualClock
from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_only_a_number_that_is_not_known_yet_is_slow(
    evolution: FakeEvolution,
    api: httpx.Client,
    clock: VirtualClock,
    patiently: Callable[[Callable[[], Any]], Any],
    open_instance: str,
) -> None:
    evolution.inject("slow-number-check", seconds=8)
    before = clock.monotonic()
    assert patiently(lambda: send(api)).status_code == 201
    assert clock.monotonic() - before == pytest.approx(8, abs=1)
    before = clock.monotonic()
    assert send(api).status_code == 201
    assert clock.monotonic() == before
    evolution.withdraw()
    assert api.post("/message/sendText/shop", json={"number": "5511977776666", "text": "hello"}).status_code == 201
    assert clock.monotonic() == before
