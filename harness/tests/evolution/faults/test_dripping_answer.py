from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.evolution import FakeEvolution
from harness.target import RealPace


def test_the_answer_comes_in_pieces_and_is_whole_at_last(
    evolution: FakeEvolution, api: httpx.Client, patiently: Callable[[Callable[[], Any]], Any]
) -> None:
    whole = api.get("/")
    evolution.inject("dripping-answer", seconds=2, portion=100)
    before = evolution.monotonic()
    dripped = patiently(lambda: api.get("/"))
    assert dripped.content == whole.content
    pauses = math.ceil(len(whole.content) / 100) - 1
    assert evolution.monotonic() - before == pytest.approx(2 * pauses, abs=0.5)
    assert pauses >= 2
    evolution.withdraw()
    before = evolution.monotonic()
    assert api.get("/").content == whole.content
    assert evolution.monotonic() == before


def test_a_client_that_leaves_between_two_pieces_is_not_held(evolution: FakeEvolution, api: httpx.Client) -> None:
    evolution.inject("dripping-answer", seconds=60)
    with api.stream("GET", "/", timeout=20) as answer:
        assert answer.status_code == 200
        RealPace().eventually(lambda: evolution.held_calls() == 1, within_s=20, what="the answer under way")
    RealPace().eventually(lambda: evolution.open_calls() == 0, within_s=20, what="the fake noticing that the client has gone")
    assert evolution.held_calls() == 0
