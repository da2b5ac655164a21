from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from reference_impl.domain.limits import SlidingWindow
from reference_impl.domain.pacing import MIN_GAP_S, next_slot

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@given(st.floats(0, 100), st.floats(0, 1), st.none() | st.floats(0, 3600))
def test_the_gap_is_never_shorter_than_two_seconds_nor_than_asked(gap: float, jitter: float, asked: float | None) -> None:
    wait = (next_slot(NOW, gap_s=gap, jitter=jitter, asked_s=asked) - NOW).total_seconds()
    assert wait >= MIN_GAP_S - 1e-6
    assert wait >= max(gap, asked or 0.0) - 1e-6


@given(st.lists(st.floats(0, 5), max_size=40))
def test_a_window_never_lets_more_through_than_its_limit(steps: list[float]) -> None:
    window = SlidingWindow(limit=3, window_s=10)
    now, passed = 0.0, []
    for step in steps:
        now += step
        if window.wait_s("key", now) == 0:
            window.note("key", now)
            passed.append(now)
    for moment in passed:
        assert len([other for other in passed if moment - 10 < other <= moment]) <= 3


def test_a_window_tells_when_the_key_is_free_again() -> None:
    window = SlidingWindow(limit=1, window_s=10)
    window.note("key", 100.0)
    assert window.wait_s("key", 104.0) == 6.0
    assert window.wait_s("other", 104.0) == 0.0
    assert window.wait_s("key", 110.0) == 0.0
