"""The provider has the one instance of the unit, and no other."""

from __future__ import annotations

import pytest

from gate.checks.flow.instance_name import run
from gate.errors import Failure, Inconclusive
from gate.facts.flow import FlowObservations


def test_one_instance_named_after_the_unit_passes_and_tells_the_name_that_was_not_taken() -> None:
    values = [piece.value for piece in run(FlowObservations(unit_id="7", instances={"unit_7": 1}, caller_name="mine"))]
    assert values == ["unit_7", 1, "mine"]
    assert len(list(run(FlowObservations(unit_id="7", instances={"unit_7": 1})))) == 2


@pytest.mark.parametrize(
    ("instances", "reason"),
    [
        ({}, "no instance after connect, expected unit_7"),
        ({"mine": 1}, "the provider has mine, expected unit_7 and nothing else"),
        ({"unit_7": 1, "unit_8": 1}, "the provider has unit_7, unit_8, expected unit_7 and nothing else"),
        ({"unit_7": 2}, "unit_7 was created 2 times, expected once"),
        ({"unit_7": 0}, "unit_7 was created 0 times, expected once"),
    ],
)
def test_any_other_instance_fails(instances: dict[str, int], reason: str) -> None:
    with pytest.raises(Failure, match=reason):
        list(run(FlowObservations(unit_id="7", instances=instances)))


def test_without_a_unit_nothing_was_seen() -> None:
    with pytest.raises(Inconclusive, match="no unit was connected"):
        list(run(FlowObservations(unit_id="")))
