"""The laws of the judge, each as a property, and the words of its findings by example."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gate.judge import judge
from gate.model import Decision, Outcome, Status
from gate.policy import Policy, Waiver
from gate.tests.strategies import TODAY, ids, outcome, outcomes, patterns, policies

UNANSWERED = [Status.INCONCLUSIVE, Status.ERROR, Status.SKIP]
BADNESS = {Decision.GO: 0, Decision.HOLD: 1, Decision.NO_GO: 2}


@given(policies())
def test_nothing_seen_is_never_go(policy: Policy) -> None:
    assert judge([], policy, TODAY).decision is Decision.HOLD


@given(outcomes, policies())
def test_without_a_single_pass_it_is_never_go(found: list[Outcome], policy: Policy) -> None:
    seen = [item for item in found if item.status is not Status.PASS]
    assert judge(seen, policy, TODAY).decision is not Decision.GO


@given(outcomes, policies(), st.randoms(use_true_random=False))
def test_the_order_of_outcomes_does_not_matter(found: list[Outcome], policy: Policy, shuffler: random.Random) -> None:
    mixed = list(found)
    shuffler.shuffle(mixed)
    assert judge(mixed, policy, TODAY) == judge(found, policy, TODAY)


@given(outcomes, policies(), ids)
def test_a_failure_never_helps(found: list[Outcome], policy: Policy, failed: str) -> None:
    before = judge([item for item in found if item.id != failed] + [outcome(failed, Status.PASS)], policy, TODAY)
    after = judge([*[item for item in found if item.id != failed], outcome(failed, Status.FAIL)], policy, TODAY)
    assert BADNESS[after.decision] >= BADNESS[before.decision]


@given(outcomes, policies(), ids)
def test_one_more_failure_beside_a_pass_never_helps(found: list[Outcome], policy: Policy, failed: str) -> None:
    before = judge(found, policy, TODAY)
    after = judge([*found, outcome(failed, Status.FAIL)], policy, TODAY)
    assert BADNESS[after.decision] >= BADNESS[before.decision]


@given(outcomes, policies(), ids)
def test_a_failure_that_nobody_answers_for_is_no_go(found: list[Outcome], policy: Policy, failed: str) -> None:
    assume(not policy.is_advisory(failed))
    assume(all(waiver.id != failed for waiver in policy.waivers))
    verdict = judge([*found, outcome(failed, Status.FAIL)], policy, TODAY)
    assert verdict.decision is Decision.NO_GO
    assert failed in {finding.id for finding in verdict.blocking}


@given(outcomes, policies(), patterns, ids)
def test_a_stricter_policy_never_releases_more(found: list[Outcome], policy: Policy, pattern: str, pinned: str) -> None:
    in_force = tuple(waiver for waiver in policy.waivers if not waiver.fault(TODAY))
    stricter = [
        replace(policy, required=(*policy.required, pattern)),
        replace(policy, expected=policy.expected | {pinned}),
        replace(policy, may_skip=policy.may_skip[1:]),
        replace(policy, advisory=policy.advisory[1:]),
        replace(policy, waivers=tuple(waiver for waiver in policy.waivers if waiver not in in_force[:1])),
        replace(policy, hold_at_warnings=1),
        replace(policy, hold_at_warnings=1, no_go_at_warnings=1),
    ]
    if judge(found, policy, TODAY).decision is not Decision.GO:
        assert all(judge(found, other, TODAY).decision is not Decision.GO for other in stricter)


@given(outcomes, policies(), ids, st.sampled_from([None, *UNANSWERED]))
def test_a_required_id_without_an_answer_is_never_go(
    found: list[Outcome], policy: Policy, missing: str, status: Status | None
) -> None:
    assume(not policy.is_advisory(missing))
    assume(all(waiver.id != missing for waiver in policy.waivers))
    assume(status is not Status.SKIP or not policy.allows_skip(missing))
    rest = [item for item in found if item.id != missing]
    if status is not None:
        rest.append(outcome(missing, status))
    verdict = judge(rest, replace(policy, expected=policy.expected | {missing}), TODAY)
    assert verdict.decision is not Decision.GO
    assert missing in {finding.id for finding in verdict.unanswered}


@given(outcomes, policies())
def test_go_means_that_every_required_id_passed_or_is_accounted_for(found: list[Outcome], policy: Policy) -> None:
    verdict = judge(found, policy, TODAY)
    worst = {item.id: max((other.status for other in found if other.id == item.id), key=lambda s: s.rank) for item in found}
    accounted = {finding.id for finding in (*verdict.waived, *verdict.noted)}
    sound = all(status is Status.PASS or item in accounted for item, status in worst.items()) and all(
        item in worst or item in accounted or policy.is_advisory(item) for item in policy.expected
    )
    assert sound or verdict.decision is not Decision.GO


@given(outcomes, policies())
def test_the_exit_status_follows_the_decision_alone(found: list[Outcome], policy: Policy) -> None:
    verdict = judge(found, policy, TODAY)
    assert verdict.exit_status == {"GO": 0, "NO-GO": 1, "HOLD": 3}[verdict.decision]
    assert bool(verdict.blocking) == (verdict.decision is Decision.NO_GO)


def test_a_second_try_does_not_hide_a_first_failure() -> None:
    policy = Policy(name="p", required=("schema.*",))
    verdict = judge([outcome("schema.a", Status.FAIL), outcome("schema.a", Status.PASS)], policy, TODAY)
    assert verdict.decision is Decision.NO_GO


def test_a_waiver_holds_on_its_last_day_and_no_longer() -> None:
    waiver = Waiver(id="schema.a", owner="Ana", reason="rolled out next week", ticket="OPS-1", expires=date(2026, 11, 22))
    policy = Policy(name="p", required=("schema.*",), waivers=(waiver,))
    found = [outcome("schema.a", Status.FAIL), outcome("schema.b", Status.PASS)]
    on_time = judge(found, policy, date(2026, 11, 22))
    assert on_time.decision is Decision.GO
    assert "Ana" in on_time.waived[0].why
    late = judge(found, policy, date(2026, 11, 23))
    assert late.decision is Decision.NO_GO
    assert late.unanswered[0].why == "the waiver of Ana expired on 2026-11-22"


def test_an_expired_waiver_holds_also_when_its_check_passes_again() -> None:
    waiver = Waiver(id="schema.a", owner="Ana", reason="was broken", ticket="OPS-1", expires=date(2026, 1, 1))
    policy = Policy(name="p", required=("schema.*",), waivers=(waiver,))
    assert judge([outcome("schema.a", Status.PASS)], policy, TODAY).decision is Decision.HOLD


def test_a_waiver_for_longer_than_thirty_days_does_not_count_and_holds() -> None:
    waiver = Waiver(id="schema.a", owner="Ana", reason="some day", ticket="OPS-1", expires=date(2026, 12, 23))
    policy = Policy(name="p", required=("schema.*",), waivers=(waiver,))
    verdict = judge([outcome("schema.a", Status.PASS)], policy, TODAY)
    assert verdict.decision is Decision.HOLD
    assert "at most 30 days" in verdict.unanswered[0].why
    assert judge([outcome("schema.a", Status.FAIL)], policy, TODAY).decision is Decision.NO_GO
    assert judge([outcome("schema.a", Status.PASS)], policy, date(2026, 11, 23)).decision is Decision.GO


def test_a_waiver_counts_for_a_check_that_is_required_by_its_own_name() -> None:
    waiver = Waiver(id="schema.a", owner="Ana", reason="known", ticket="OPS-1", expires=date(2026, 12, 1))
    policy = Policy(name="p", required=("schema.a", "schema.b"), waivers=(waiver,))
    passed = outcome("schema.b", Status.PASS)
    assert judge([outcome("schema.a", Status.FAIL), passed], policy, TODAY).decision is Decision.GO
    assert judge([passed], replace(policy, waivers=()), TODAY).decision is Decision.HOLD


def test_a_waiver_that_nothing_needs_is_found() -> None:
    waiver = Waiver(id="schema.a", owner="Ana", reason="was broken", ticket="OPS-1", expires=date(2026, 12, 1))
    policy = Policy(name="p", required=("schema.*",), waivers=(waiver,))
    for found in ([outcome("schema.a", Status.PASS)], [outcome("schema.b", Status.PASS)]):
        verdict = judge(found, policy, TODAY)
        assert verdict.decision is Decision.GO
        assert [(finding.id, finding.why) for finding in verdict.noted] == [
            ("schema.a", "the waiver of Ana is not used: take it away")
        ]


@pytest.mark.parametrize(("count", "decision"), [(0, "GO"), (1, "HOLD"), (2, "HOLD"), (3, "NO-GO")])
def test_one_or_two_warnings_hold_and_three_are_no_go(count: int, decision: str) -> None:
    found = [outcome(f"watch.{name}", Status.WARN) for name in "abc"[:count]] + [outcome("watch.z", Status.PASS)]
    assert judge(found, Policy(name="p"), TODAY).decision == decision


def test_a_family_that_nobody_answered_is_named() -> None:
    verdict = judge([outcome("schema.a", Status.PASS)], Policy(name="p", required=("schema.*", "smoke.*")), TODAY)
    assert [(finding.id, finding.why) for finding in verdict.unanswered] == [("smoke.*", "nothing answered")]


def test_skips_alone_are_never_go_even_where_each_is_allowed() -> None:
    verdict = judge([outcome("schema.a", Status.SKIP)], Policy(name="p", required=("schema.*",), may_skip=("*",)), TODAY)
    assert verdict.decision is Decision.HOLD
    assert "nothing seen is never GO" in verdict.unanswered[0].why


def test_an_advisory_pass_speaks_for_its_family_and_an_advisory_failure_does_not() -> None:
    policy = Policy(name="p", required=("schema.*", "flow.*"), advisory=("schema.*",))
    passed = outcome("flow.a", Status.PASS)
    assert judge([passed, outcome("schema.a", Status.PASS)], policy, TODAY).decision is Decision.GO
    assert judge([passed, outcome("schema.a", Status.WARN)], policy, TODAY).decision is Decision.GO
    assert judge([passed, outcome("schema.a", Status.FAIL)], policy, TODAY).decision is Decision.HOLD


def test_an_advisory_failure_is_noted_and_does_not_block() -> None:
    policy = Policy(name="p", required=("schema.a",), advisory=("schema.b",))
    verdict = judge([outcome("schema.a", Status.PASS), outcome("schema.b", Status.FAIL)], policy, TODAY)
    assert verdict.decision is Decision.GO
    assert verdict.noted[0].why.startswith("advisory, fail")
