from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.clock import VirtualClock
from harness.evolution import FakeEvolution


def test_the_answer_takes_its_time(
    evolution: FakeEvolution, api: httpx.Client, clock: VirtualClock, patiently: Callable[[Callable[[], Any]], Any]
) -> None:
    evolution.inject("slow-answer", seconds=15)
    before = clock.monotonic()
    assert patiently(lambda: api.get("/")).status_code == 200
    assert clock.monotonic() - before == pytest.approx(15, abs=1)
    evolution.withdraw()
    before = clock.monotonic()
    assert api.get("/").status_code == 200
    assert clock.monotonic() == before
