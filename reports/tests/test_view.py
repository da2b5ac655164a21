from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gate.journal import Recording
from gate.model import Status
from reports import facts
from reports.document import Mark
from reports.tests import runs
from reports.view import Group, Missing, RunView, badge_of_word, mark_of_word

View = Callable[[Recording], RunView]


def test_a_group_is_as_good_as_its_worst_answer(full: Recording, view_of: View) -> None:
    group = view_of(full).outcomes("smoke.*")
    assert group.mark is Mark.PASS
    assert group.summary == "8/8 pass"
    assert group.worst == ""
    for status in (Status.WARN, Status.SKIP, Status.INCONCLUSIVE, Status.ERROR, Status.FAIL):
        worse = replace(full, outcomes=(*full.outcomes, runs.outcome("smoke.send", status)))
        assert view_of(worse).outcomes("smoke.*").mark is Mark.of(status)


def test_a_group_without_answers_is_not_measured() -> None:
    assert Group(answers=()).mark is Mark.NOT_MEASURED
    assert Group(answers=()).summary == "not measured"
    assert Group(answers=()).worst == ""


def test_not_measured_is_worse_than_anything_but_a_failure() -> None:
    assert max(set(Mark) - {Mark.FAIL}, key=lambda mark: mark.rank) is Mark.NOT_MEASURED


def test_a_family_that_nothing_is_known_of_is_one_missing_answer(full: Recording, view_of: View) -> None:
    (answer,) = view_of(full).outcomes("dependencies.*").answers
    assert (answer.id, answer.mark, answer.detail) == ("dependencies.*", Mark.NOT_MEASURED, "not measured")
    (answer,) = view_of(full).about("watch", "unicorn").answers
    assert (answer.id, answer.mark) == ("watch.*unicorn*", Mark.NOT_MEASURED)


def test_what_was_planned_and_not_answered_is_known(full: Recording, view_of: View) -> None:
    view = view_of(replace(full, outcomes=()))
    assert set(runs.IDS) <= set(view.ids)
    assert view.outcomes("load.*").summary == "not measured"


def test_adding_groups_keeps_each_id_once(full: Recording, view_of: View) -> None:
    view = view_of(full)
    group = view.outcomes("smoke.*") + view.outcomes("smoke.send", "smoke.login")
    assert len(group.ids) == len(set(group.ids)) == 8


def test_a_planned_id_that_is_none_is_passed_over(full: Recording, view_of: View) -> None:
    part = replace(full.parts[0], expected=("not an id", "flow.ok"))
    view = RunView.of(replace(full, parts=(part,)), view_of(full).verdict, runs.policy())
    assert view.planned == ("flow.ok",)


def test_a_fact_is_read_or_says_why_not(full: Recording, view_of: View) -> None:
    assert view_of(full).fact("target", facts.target) == facts.Target(url="http://127.0.0.1:43121", evolution="fake")
    bare = view_of(replace(full, facts={"target": 5}))
    missing = bare.fact("target", facts.target)
    assert str(missing) == "not measured (unreadable fact target: the fact is int, not an object)"
    assert str(bare.fact("plan", facts.plan)) == "not measured"
    assert str(Missing(name="x")) == "not measured"


@pytest.mark.parametrize(
    ("word", "mark", "shown"),
    [
        ("pass", Mark.PASS, "pass"),
        (" OK ", Mark.PASS, "ok"),
        ("critical", Mark.FAIL, "critical"),
        ("missing", Mark.ERROR, "missing"),
        ("warning", Mark.WARN, "warning"),
        ("passing", Mark.NOT_MEASURED, "not measured"),
        ("", Mark.NOT_MEASURED, "not measured"),
    ],
)
def test_a_word_that_is_not_known_proves_nothing(word: str, mark: Mark, shown: str) -> None:
    assert mark_of_word(word) is mark
    assert badge_of_word(word).word == shown


def test_the_last_reading_is_of_the_last_checkpoint_that_has_the_signal(full: Recording, view_of: View) -> None:
    reading = view_of(full).last_reading("http-5xx")
    assert reading is not None
    assert reading.value == 2
    assert view_of(full).last_reading("unicorn") is None
    assert view_of(replace(full, facts={})).last_reading("http-5xx") is None
