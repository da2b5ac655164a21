from __future__ import annotations

import pytest

from harness.errors import HarnessError
from harness.monitor.decision import Rate, required_sample
from harness.monitor.traffic import FAILURES_BORNE, Plan, due, schedule

RATES = [Rate(ok=0.01, unacceptable=0.03)]


def test_too_little_expected_traffic_is_told_and_filled_up() -> None:
    plan, told = schedule(expected_sends=60, rates=RATES, recipients=["5511987650001"], inbound=30)

    assert told.startswith("60 messages an hour are expected and a decision needs 118")
    assert plan.sends + plan.expected_sends == required_sample(RATES[0], bad=FAILURES_BORNE)
    assert plan.inbound == 30


def test_without_recipients_nothing_is_sent_and_that_is_told() -> None:
    plan, told = schedule(expected_sends=60, rates=RATES, recipients=[])

    assert plan.sends == 0
    assert told.endswith("give recipients for synthetic ones")


def test_enough_expected_traffic_needs_no_word() -> None:
    assert schedule(expected_sends=1000, rates=RATES, recipients=["5511987650001"]) == (
        Plan(expected_sends=1000, recipients=["5511987650001"]),
        "",
    )


@pytest.mark.parametrize("per_hour", [0, 1, 59, 60, 65, 150])
def test_the_minutes_of_an_hour_add_up_to_its_rate(per_hour: int) -> None:
    each = [due(per_hour, minute) for minute in range(1, 61)]
    assert sum(each) == per_hour
    assert max(each) - min(each) <= 1


def test_synthetic_traffic_without_numbers_is_refused() -> None:
    with pytest.raises(HarnessError, match="no default number"):
        Plan(sends=1)
