from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.monitor.decision import (
    HARM_CLEARED,
    Call,
    Rate,
    Tally,
    allowed,
    call,
    log_harm,
    log_safe,
    odds_times,
    required_sample,
)
from harness.monitor.simulate import CELLS, RATE, Cell, simulate, simulate_hour

HOURS = 80


@pytest.mark.parametrize(("unacceptable", "trials"), [(0.03, 118), (0.05, 66), (0.02, 189), (0.10, 31)])
def test_the_sample_without_a_failure_is_that_of_the_design(unacceptable: float, trials: int) -> None:
    rate = Rate(ok=0.01, unacceptable=unacceptable)

    assert required_sample(rate) == trials
    assert (
        log_safe(Tally(minute=60, bad=0, trials=trials - 1), rate)
        < math.log(20)
        <= log_safe(Tally(minute=60, bad=0, trials=trials), rate)
    )


def test_every_failure_needs_more_trials() -> None:
    needed = [required_sample(RATE, bad=bad) for bad in range(4)]
    assert needed == sorted(set(needed))


@pytest.mark.parametrize(
    ("cell", "no_go", "go", "hold", "median"),
    [
        ("60/h, 0.5 %", 0.1, 0, 99.9, None),
        ("300/h, 0.5 %", 0.1, 85, 15, None),
        ("300/h, 3 %", 60, 3, 37, None),
        ("1200/h, 3 %", 99, 0.1, 0.6, 14),
        ("300/h, 0.5 % until minute 30 then 10 %", 99, 0, 1, 40),
    ],
)
def test_simulated_hours_are_called_as_the_design_says(
    cell: str, no_go: float, go: float, hold: float, median: float | None
) -> None:
    result = simulate(next(one for one in CELLS if one.name == cell), hours=HOURS, seed=11)

    for found, wanted in ((result.no_go, no_go), (result.go, go), (result.hold, hold)):
        # Four standard errors of a share, and one hour of a hundred where the share is next to 0 or 100.
        tolerance = 400 * math.sqrt(max(wanted, 1) / 100 * (1 - min(wanted, 99) / 100) / HOURS)
        assert abs(found - wanted) <= tolerance
    if median is not None:
        assert result.median_minute is not None
        assert abs(result.median_minute - median) <= 3


@pytest.mark.parametrize("trials", [1, 7, 40])
@pytest.mark.parametrize("truth", [0.05, 0.03, 0.001])
def test_the_expectation_of_harm_never_exceeds_one_for_a_rate_that_is_ok(trials: int, truth: float) -> None:
    rate = Rate(ok=0.05, unacceptable=0.1)
    expectation = sum(
        math.comb(trials, bad)
        * truth**bad
        * (1 - truth) ** (trials - bad)
        * math.exp(log_harm([Tally(minute=1, bad=bad, trials=trials)], rate))
        for bad in range(trials + 1)
    )
    assert expectation <= 1 + 1e-9


@pytest.mark.parametrize("truth", [0.1, 0.2])
def test_the_expectation_of_safety_never_exceeds_one_for_a_rate_that_is_unacceptable(truth: float) -> None:
    rate, trials = Rate(ok=0.05, unacceptable=0.1), 40
    expectation = sum(
        math.comb(trials, bad)
        * truth**bad
        * (1 - truth) ** (trials - bad)
        * math.exp(log_safe(Tally(minute=1, bad=bad, trials=trials), rate))
        for bad in range(trials + 1)
    )
    assert expectation <= 1 + 1e-9


def test_a_late_start_finds_what_the_whole_hour_hides() -> None:
    fine = [Tally(minute=minute, bad=0, trials=20 * minute) for minute in range(1, 31)]
    broken = [Tally(minute=30 + minute, bad=2 * minute, trials=600 + 20 * minute) for minute in range(1, 11)]

    assert call([*fine, *broken], RATE, at_end=False) is Call.NO_GO
    assert call(fine, RATE, at_end=False) is Call.HOLD


def test_go_is_only_said_at_the_end_and_stays_away_while_harm_is_suspected() -> None:
    enough = [Tally(minute=60, bad=0, trials=118)]
    assert call(enough, RATE, at_end=False) is Call.HOLD
    assert call(enough, RATE, at_end=True) is Call.GO

    suspicious = [Tally(minute=30, bad=0, trials=200), Tally(minute=60, bad=3, trials=230)]
    assert math.log(HARM_CLEARED) <= log_harm(suspicious, RATE) < math.log(20)
    assert call(suspicious, RATE, at_end=True) is Call.HOLD


def test_no_go_is_remembered_although_later_trials_are_fine() -> None:
    tallies = [Tally(minute=1, bad=6, trials=10), Tally(minute=60, bad=6, trials=5000)]
    assert call(tallies, RATE, at_end=True) is Call.NO_GO


def test_nothing_seen_is_hold() -> None:
    assert call([Tally(minute=60, bad=0, trials=0)], RATE, at_end=True) is Call.HOLD
    assert call([], RATE, at_end=True) is Call.HOLD


def test_a_busy_disaster_does_not_overflow() -> None:
    assert call([Tally(minute=1, bad=10**6, trials=10**6)], RATE, at_end=False) is Call.NO_GO


@pytest.mark.parametrize("truth", [0.005, 0.02, 0.05])
def test_a_simulated_hour_is_called_as_the_rule_calls_it(truth: float) -> None:
    cell = Cell(name="any", per_hour=400, truth=lambda _: truth)
    for seed in range(15):
        tallies, called, minute = simulate_hour(random.Random(seed), cell, RATE)
        assert call(tallies, RATE, at_end=minute == 60) is called


@given(limit=st.integers(0, 60), minute=st.floats(0, 59.9), later=st.floats(0, 30))
def test_the_allowed_share_grows_with_time_up_to_the_limit(limit: int, minute: float, later: float) -> None:
    assert 0 <= allowed(limit, minute) <= allowed(limit, minute + later) <= allowed(limit, 60) == limit


@given(limit=st.integers(1, 60), minute=st.floats(1, 60))
def test_a_higher_limit_never_allows_less(limit: int, minute: float) -> None:
    assert allowed(limit - 1, minute) <= allowed(limit, minute)


def test_an_early_burst_is_more_than_its_share() -> None:
    assert allowed(15, 5) < 15
    assert allowed(15, 60) == 15


@given(rate=st.floats(0.001, 0.9), factor=st.floats(1, 1000))
def test_worse_odds_stay_a_rate(rate: float, factor: float) -> None:
    assert rate * (1 - 1e-12) <= odds_times(rate, factor) < 1


@pytest.mark.parametrize(("ok", "unacceptable"), [(0, 0.1), (0.1, 0.1), (0.2, 0.1), (0.1, 1), (math.nan, 0.1)])
def test_rates_out_of_order_are_refused(ok: float, unacceptable: float) -> None:
    with pytest.raises(ValueError, match="ok < unacceptable"):
        Rate(ok=ok, unacceptable=unacceptable)


def test_more_bad_ones_than_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be"):
        Tally(minute=1, bad=2, trials=1)
