"""What changed between two runs is named for what it is, whatever the order of the answers."""

from __future__ import annotations

import pytest
from hypothesis import given

from gate.difference import Change, Side, compare
from gate.model import Outcome, Status
from gate.tests.strategies import outcome, outcomes

SAME = ("c0ffee", "schema-1")


def change(before: list[Status], now: list[Status], *, same: bool = False) -> Change | None:
    identity = SAME if same else ()
    difference = compare(
        Side(outcomes=tuple(outcome("schema.a", status) for status in before), identity=identity),
        Side(outcomes=tuple(outcome("schema.a", status) for status in now), identity=identity),
    )
    return difference.by_id["schema.a"].change if difference.deltas else None


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (["pass"], ["pass"], None),
        (["pass"], ["fail"], Change.NEW),
        (["warn"], ["fail"], Change.NEW),
        (["pass"], ["warn"], Change.NEW),
        ([], ["error"], Change.NEW),
        ([], ["pass"], None),
        (["fail"], ["pass"], Change.FIXED),
        (["inconclusive"], ["pass"], Change.FIXED),
        (["warn"], ["pass"], Change.FIXED),
        (["fail"], ["error"], Change.STILL),
        (["fail"], ["warn"], Change.STILL),
        (["fail"], ["fail"], Change.STILL),
        (["pass"], [], Change.GONE),
        (["fail"], [], Change.GONE),
        (["skip"], [], None),
        # To declare that a question does not arise is no mending of what failed, nor a pass of what passed.
        (["fail"], ["skip"], Change.GONE),
        (["pass"], ["skip"], Change.GONE),
        (["pass"], ["pass", "fail"], Change.FLAKY),
        ([], ["fail", "pass"], Change.FLAKY),
        (["fail"], ["pass", "error"], Change.FLAKY),
    ],
)
def test_each_change_has_its_name(before: list[str], now: list[str], expected: Change | None) -> None:
    assert change([Status(item) for item in before], [Status(item) for item in now]) is expected


def test_what_changes_though_neither_commit_nor_schema_did_is_flaky() -> None:
    assert change([Status.PASS], [Status.FAIL], same=True) is Change.FLAKY
    assert change([Status.ERROR], [Status.PASS], same=True) is Change.FLAKY
    assert change([Status.FAIL], [Status.FAIL], same=True) is Change.STILL
    before = Side(outcomes=(outcome("schema.a", Status.PASS),), identity=SAME)
    other_schema = Side(outcomes=(outcome("schema.a", Status.FAIL),), identity=("c0ffee", "schema-2"))
    assert compare(before, other_schema).deltas[0].change is Change.NEW


@pytest.mark.parametrize(
    ("before", "now", "status"),
    [
        ([Status.PASS], [Status.FAIL], 1),
        ([Status.PASS], [Status.PASS, Status.FAIL], 1),
        ([Status.PASS], [Status.ERROR], 3),
        ([Status.PASS], [], 3),
        ([Status.FAIL], [Status.FAIL], 0),
        ([Status.FAIL], [Status.PASS], 0),
        ([Status.PASS], [Status.WARN], 0),
    ],
)
def test_the_exit_status_says_whether_something_got_worse(before: list[Status], now: list[Status], status: int) -> None:
    sides = [Side(outcomes=tuple(outcome("schema.a", item) for item in side)) for side in (before, now)]
    assert compare(sides[0], sides[1]).exit_status == status


@given(before=outcomes, now=outcomes)
def test_the_order_of_answers_does_not_matter(before: list[Outcome], now: list[Outcome]) -> None:
    found = compare(Side(outcomes=tuple(before)), Side(outcomes=tuple(now)))
    assert found == compare(Side(outcomes=tuple(before[::-1])), Side(outcomes=tuple(now[::-1])))


@given(found=outcomes)
def test_a_run_against_itself_has_nothing_new_fixed_or_lost(found: list[Outcome]) -> None:
    changes = {delta.change for delta in compare(Side(outcomes=tuple(found)), Side(outcomes=tuple(found))).deltas}
    assert changes <= {Change.STILL, Change.FLAKY}


@given(before=outcomes, now=outcomes)
def test_every_id_that_is_red_now_is_named(before: list[Outcome], now: list[Outcome]) -> None:
    named = {delta.id for delta in compare(Side(outcomes=tuple(before)), Side(outcomes=tuple(now))).deltas}
    red = {item.id for item in now if item.status in (Status.FAIL, Status.ERROR, Status.INCONCLUSIVE)}
    assert red <= named
