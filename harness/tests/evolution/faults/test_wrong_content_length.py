from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_a_promise_that_is_too_long_leaves_the_client_waiting(
    evolution: FakeEvolution, api: httpx.Client, patiently: Callable[[Callable[[], Any]], Any], open_instance: str
) -> None:
    evolution.inject("wrong-content-length", promise="too-long", off_by=16, seconds=5)
    message = {"number": "5511988887777", "text": "hello"}
    with pytest.raises(httpx.ReadTimeout):
        api.post(f"/message/sendText/{open_instance}", json=message, timeout=0.5)
    before = evolution.monotonic()
    with pytest.raises(httpx.RemoteProtocolError, match="received [0-9]+ bytes, expected"):
        patiently(lambda: send(api))
    assert evolution.monotonic() - before == pytest.approx(5, abs=1)
    assert len(evolution.ledger()) == 2
    evolution.withdraw()
    assert send(api).status_code == 201


def test_a_promise_that_is_too_short_cuts_the_json_off(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("wrong-content-length", promise="too-short", off_by=10)
    whole = len(api.get("/", headers={"connection": "close"}).content)
    answer = send(api)
    assert answer.status_code == 201
    with pytest.raises(ValueError, match="Expecting|Unterminated|delimiter"):
        answer.json()
    evolution.withdraw()
    assert len(api.get("/").content) == whole + 10
    assert send(api).json()["status"] == "PENDING"
