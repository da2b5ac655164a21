"""No format says anything else than the verdict, and no answer that is missing, inconclusive or an error is ever a GO."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.difference import Side, compare
from gate.formats import names, render
from gate.judge import judge
from gate.model import Decision, Outcome, Status
from gate.policy import Policy
from gate.result import Result
from gate.tests.formats.reading import RED, VERDICT_IN, red
from gate.tests.strategies import TODAY, outcome, outcomes, policies

LOOKED_IN_VAIN = st.sampled_from([Status.ERROR, Status.INCONCLUSIVE])


def test_every_format_is_read_back() -> None:
    assert set(VERDICT_IN) == set(RED) == set(names())


@pytest.mark.parametrize("name", sorted(VERDICT_IN))
@given(found=outcomes, policy=policies(), before=outcomes, with_baseline=st.booleans())
def test_a_format_bears_the_decision_and_exit_status_of_the_verdict_and_is_red_unless_it_is_go(
    name: str, found: list[Outcome], policy: Policy, before: list[Outcome], with_baseline: bool
) -> None:
    verdict = judge(found, policy, TODAY)
    difference = compare(Side(outcomes=tuple(before), name="before"), Side(outcomes=tuple(found))) if with_baseline else None
    text = render(name, Result(outcomes=tuple(found), verdict=verdict, difference=difference))
    assert VERDICT_IN[name](text) == (str(verdict.decision), verdict.exit_status)
    assert red(name, text) == (verdict.decision is not Decision.GO)
    assert text.endswith("\n")


@pytest.mark.parametrize("name", sorted(VERDICT_IN))
@given(others=outcomes, status=LOOKED_IN_VAIN, asked=st.booleans())
def test_a_required_answer_that_is_an_error_inconclusive_or_missing_is_never_go(
    name: str, others: list[Outcome], status: Status, asked: bool
) -> None:
    required = "schema.required"
    found = [*others, *([outcome(required, status)] if asked else [])]
    verdict = judge(found, Policy(name="drawn", required=("schema.*",), expected=frozenset({required})), TODAY)
    assert verdict.decision is not Decision.GO
    text = render(name, Result(outcomes=tuple(found), verdict=verdict))
    decision, exit_status = VERDICT_IN[name](text)
    assert decision in ("NO-GO", "HOLD")
    assert exit_status in (1, 3)
    assert red(name, text)
