"""Every way in which a campaign can be sent wrongly has a sentence of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.checks.flow.campaign_paced import run
from gate.errors import Failure, Inconclusive
from gate.facts.flow import FlowObservations, Send


def campaign(*sends: tuple[str, float], recipients: int = 3) -> FlowObservations:
    return FlowObservations(
        unit_id="1", campaign_recipients=recipients, campaign_sends=tuple(Send(recipient=who, at_s=at) for who, at in sends)
    )


def test_three_recipients_with_the_pause_between_them_pass_and_say_how_long_it_was() -> None:
    evidence = {piece.label: piece.value for piece in run(campaign(("a", 0.0), ("b", 2.0), ("c", 5.0)))}
    assert evidence == {"recipients, each sent to once": 3, "shortest pause": 2.0, "longest pause": 3.0}


@pytest.mark.parametrize(
    ("sends", "reason"),
    [
        ([("a", 0), ("a", 2), ("b", 4), ("c", 6)], "1 of the recipients got more than one message"),
        ([("a", 0), ("b", 2)], "the provider sent to 2 recipients, expected 3"),
        ([], "the provider sent to 0 recipients, expected 3"),
        ([("a", 4), ("b", 2), ("c", 0)], "not in the order of the provider's clock"),
        ([("a", 0), ("b", 1.9), ("c", 4)], "the shortest pause between two sends is 1.90 s, expected at least 2 s"),
    ],
)
def test_a_campaign_that_is_sent_wrongly_fails(sends: list[tuple[str, float]], reason: str) -> None:
    with pytest.raises(Failure, match=reason):
        list(run(campaign(*sends)))


def test_too_few_recipients_show_no_pace() -> None:
    with pytest.raises(Inconclusive, match="had 2 recipients"):
        list(run(campaign(("a", 0), ("b", 2), recipients=2)))


@given(st.lists(st.floats(0, 10), min_size=2, max_size=8))
def test_no_campaign_with_a_pause_below_the_least_passes(gaps: list[float]) -> None:
    times = [sum(gaps[:number]) for number in range(len(gaps) + 1)]
    flow = campaign(*((f"r{number}", at) for number, at in enumerate(times)), recipients=len(times))
    if min(gaps) < flow.campaign_interval_s - 0.01:
        with pytest.raises(Failure, match="shortest pause"):
            list(run(flow))
    elif min(gaps) >= flow.campaign_interval_s:
        assert list(run(flow))
