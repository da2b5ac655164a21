from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.monitor.assess import Assessment, CountLimits, Level, Sample, Series, assess_count, quantile

LIMITS = CountLimits(ok=5, warning=15)


def _series(*values: float | None, at_end: bool = False) -> Series:
    return Series(
        samples=tuple(
            Sample(minute=index + 1, values={} if value is None else {"errors": value}, errors={"errors": "lost"})
            for index, value in enumerate(values)
        ),
        at_end=at_end,
    )


def test_a_reading_may_be_lost_twice_in_a_row_but_not_a_third_time() -> None:
    assert assess_count(_series(0, None, None, 0), "errors", LIMITS).level is Level.OK
    lost = assess_count(_series(0, None, None, None, 0), "errors", LIMITS)
    assert lost.level is Level.MISSING
    assert "lost (minute 4)" in lost.reason


def test_the_last_reading_must_be_there() -> None:
    assert assess_count(_series(0, 0, None), "errors", LIMITS).level is Level.MISSING


def test_nothing_read_at_all_is_missing() -> None:
    assert assess_count(_series(), "errors", LIMITS).level is Level.MISSING


def test_an_early_burst_is_critical_although_the_hour_would_allow_it() -> None:
    burst = assess_count(_series(0, 0, 12), "errors", LIMITS)
    assert burst.level is Level.CRITICAL
    assert "by minute 3" in burst.reason
    assert assess_count(Series(samples=(Sample(minute=60, values={"errors": 12}),)), "errors", LIMITS).level is Level.WARNING


def test_a_level_without_a_reason_and_an_ok_without_evidence_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        Assessment(level=Level.CRITICAL, limit="")
    with pytest.raises(ValueError, match="needs evidence"):
        Assessment(level=Level.OK, limit="")


def test_the_quantile_is_linear_within_its_bucket() -> None:
    buckets = {1.0: 50.0, 2.0: 100.0, math.inf: 100.0}
    assert quantile(buckets, 0.5) == 1.0
    assert quantile(buckets, 0.75) == 1.5
    assert quantile(buckets, 0.95) == pytest.approx(1.9)
    assert quantile({1.0: 90.0, math.inf: 100.0}, 0.95) == math.inf


def test_counts_that_fall_are_no_histogram() -> None:
    with pytest.raises(ValueError, match="falls"):
        quantile({1.0: 5.0, 2.0: 4.0, math.inf: 9.0}, 0.9)
    with pytest.raises(ValueError, match="without observations"):
        quantile({1.0: 0.0, math.inf: 0.0}, 0.9)


@given(counts=st.lists(st.integers(0, 50), min_size=2, max_size=8).filter(any), q=st.floats(0.01, 0.99))
def test_a_higher_quantile_is_never_lower(counts: list[int], q: float) -> None:
    total = 0.0
    buckets = {}
    for index, count in enumerate(counts):
        total += count
        buckets[float(index + 1)] = total
    buckets[math.inf] = total
    assert quantile(buckets, q / 2) <= quantile(buckets, q)
