"""The runner: every check answers, facts are read once and at once, and what we could not see is an error."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from gate.errors import Failure, GateError, Inconclusive, NotApplicable
from gate.model import Evidence, Outcome, Status
from gate.registry import Item, Kind
from gate.runner import Facts, run

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def item(function: Callable[..., Any], *facts: str, name: str = "schema.a") -> Item:
    return Item(kind=Kind.CHECK, id=name, title="T.", paragraphs={}, function=function, facts=facts, module="m")


def answer(function: Callable[..., Any], **providers: Any) -> Outcome:
    outcomes = run([item(function, *providers)], Facts(providers), now=lambda: NOW, timeout_s=5)
    assert len(outcomes) == 1
    return outcomes[0]


def test_evidence_without_a_complaint_is_a_pass() -> None:
    def look(catalog: int) -> Iterator[Evidence]:
        yield Evidence(label="columns", value=catalog)

    outcome = answer(look, catalog=lambda: 4)
    assert outcome.status is Status.PASS
    assert outcome.evidence == (Evidence(label="columns", value=4),)
    assert outcome.observed_at == NOW


def test_what_is_no_evidence_is_an_error() -> None:
    outcome = answer(lambda: iter(["text"]))
    assert outcome.status is Status.ERROR
    assert "it yielded a str, expected Evidence" in outcome.reason


def test_a_pass_that_saw_nothing_is_an_error() -> None:
    outcome = answer(lambda: iter(()))
    assert outcome.status is Status.ERROR
    assert "saw nothing" in outcome.reason


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (Failure("wrong"), Status.FAIL),
        (Inconclusive("too little"), Status.INCONCLUSIVE),
        (NotApplicable("SQLite"), Status.SKIP),
        (GateError("down"), Status.ERROR),
        (KeyError("bug"), Status.ERROR),
        (SystemExit(0), Status.ERROR),
    ],
)
def test_what_a_check_raises_is_its_status(raised: BaseException, status: Status) -> None:
    def look() -> Iterator[Evidence]:
        yield Evidence(label="seen before", value=1)
        raise raised

    outcome = answer(look)
    assert outcome.status is status
    assert outcome.evidence[0].label == "seen before"
    assert str(raised) in outcome.reason


def test_a_failure_without_words_still_has_a_reason() -> None:
    def look() -> Iterator[Evidence]:
        yield Evidence(label="seen", value=1)
        raise Failure

    assert answer(look).reason == "no reason was given"


def test_a_crash_that_quotes_a_secret_is_masked() -> None:
    def look() -> Iterator[Evidence]:
        yield Evidence(label="phone", value="5511988887777")
        raise RuntimeError("postgresql://u:canary-pw@h/d")

    outcome = answer(look)
    assert "canary-pw" not in outcome.reason
    assert outcome.evidence[0].value == "****7777"


def test_a_fact_that_nobody_provides_is_an_error() -> None:
    outcomes = run([item(lambda catalog: iter(()), "catalog")], Facts({}), timeout_s=1)
    assert outcomes[0].status is Status.ERROR
    assert "nothing provides the fact 'catalog'" in outcomes[0].reason


def test_a_fact_that_cannot_be_read_is_an_error_of_every_check_that_needs_it() -> None:
    calls = []

    def unreachable() -> None:
        calls.append(1)
        raise GateError("cannot reach the database at db:5432")

    facts = Facts({"catalog": unreachable})
    outcomes = run([item(lambda catalog: iter(()), "catalog", name=f"schema.{name}") for name in "abc"], facts)
    assert [outcome.status for outcome in outcomes] == [Status.ERROR] * 3
    assert [outcome.reason for outcome in outcomes] == [
        "cannot reach the database at db:5432",
        *["not asked, because of schema.a"] * 2,
    ]
    assert [outcome.cause for outcome in outcomes] == ["", "schema.a", "schema.a"]
    assert len(calls) == 1


def test_a_fact_that_hangs_is_an_error_after_its_time() -> None:
    release = threading.Event()
    facts = Facts({"flow": lambda: release.wait(30)})
    outcomes = run([item(lambda flow: iter(()), "flow")], facts, timeout_s=0.05)
    release.set()
    assert outcomes[0].status is Status.ERROR
    assert "not there after 0.05 s" in outcomes[0].reason


def test_facts_are_read_at_the_same_time() -> None:
    barrier = threading.Barrier(2, timeout=10)

    def meet() -> int:
        return barrier.wait()

    def look(left: int, right: int) -> Iterator[Evidence]:
        yield Evidence(label="met", value=left + right)

    assert answer(look, left=meet, right=meet).evidence[0].value == 1


def test_every_outcome_is_told_as_soon_as_it_is_there() -> None:
    told: list[str] = []

    def look() -> Iterator[Evidence]:
        yield Evidence(label="told before", value=len(told))

    outcomes = run(
        [item(look, name=f"schema.{name}") for name in "ab"], Facts({}), on_outcome=lambda outcome: told.append(outcome.id)
    )
    assert [outcome.evidence[0].value for outcome in outcomes] == [0, 1]
    assert told == ["schema.a", "schema.b"]


def test_a_check_that_never_answers_is_an_error_after_its_time_and_the_others_go_on() -> None:
    release = threading.Event()
    told: list[str] = []

    def hang() -> Iterator[Evidence]:
        release.wait(60)
        yield Evidence(label="too late", value=1)

    def look() -> Iterator[Evidence]:
        yield Evidence(label="seen", value=1)

    checks = [item(look, name="schema.a"), item(hang, name="schema.b"), item(look, name="schema.c"), item(hang, name="schema.d")]
    outcomes = run(checks, Facts({}), timeout_s=0.3, on_outcome=lambda outcome: told.append(outcome.id))
    assert [(outcome.id, outcome.status) for outcome in outcomes] == [
        ("schema.a", Status.PASS),
        ("schema.b", Status.ERROR),
        ("schema.c", Status.PASS),
        ("schema.d", Status.ERROR),
    ]
    assert outcomes[1].reason == "the check did not answer within 0.3 s"
    # What comes too late is neither kept nor told.
    late = [thread for thread in threading.enumerate() if thread.name == "checks"]
    release.set()
    for thread in late:
        thread.join(30)
    assert told == ["schema.a", "schema.b", "schema.c", "schema.d"]
    assert len(outcomes) == 4


def test_a_fact_that_did_not_come_in_time_is_not_waited_for_again() -> None:
    release = threading.Event()
    facts = Facts({"flow": lambda: release.wait(60)})
    outcomes = run([item(lambda flow: iter(()), "flow", name=f"flow.n-{number}") for number in range(50)], facts, timeout_s=0.2)
    release.set()
    assert outcomes[0].reason == "the fact 'flow' was not there after 0.2 s"
    assert {outcome.cause for outcome in outcomes[1:]} == {"flow.n-0"}
    assert sum(outcome.duration_s for outcome in outcomes[1:]) < 0.2


def test_one_cause_is_told_once_also_when_several_facts_met_it() -> None:
    def down() -> None:
        raise GateError("cannot reach the database at db:5432")

    checks = [item(lambda catalog: iter(()), "catalog", name=f"schema.n-{number}") for number in range(20)]
    checks += [item(lambda datastore: iter(()), "datastore", name=f"datastore.n-{number}") for number in range(20)]
    outcomes = run(checks, Facts({"catalog": down, "datastore": down}))
    assert sum("cannot reach" in outcome.reason for outcome in outcomes) == 1
    assert {outcome.status for outcome in outcomes} == {Status.ERROR}
    assert {outcome.cause for outcome in outcomes} == {"", "schema.n-0"}


def test_a_check_that_crashes_by_itself_is_no_cause_for_another() -> None:
    def crash() -> Iterator[Evidence]:
        yield Evidence(label="seen", value=1)
        raise GateError("the same words")

    outcomes = run([item(crash, name="schema.a"), item(crash, name="schema.b")], Facts({}))
    assert [(outcome.reason, outcome.cause) for outcome in outcomes] == [("the same words", "")] * 2


def test_what_a_fact_says_of_itself_is_the_answer_of_every_check_that_needs_it() -> None:
    def not_here() -> None:
        raise NotApplicable("there is no Postgres here")

    outcomes = run(
        [item(lambda migration: iter(()), "migration", name=f"migration.{name}") for name in "ab"], Facts({"migration": not_here})
    )
    assert [(outcome.status, outcome.reason) for outcome in outcomes] == [(Status.SKIP, "there is no Postgres here")] * 2


def test_who_listens_may_stop_the_run_by_raising() -> None:
    asked: list[int] = []

    def look() -> Iterator[Evidence]:
        asked.append(1)
        yield Evidence(label="seen", value=1)

    def full(_: Outcome) -> None:
        raise GateError("the disk is full")

    with pytest.raises(GateError, match="the disk is full"):
        run([item(look, name=f"schema.{name}") for name in "abc"], Facts({}), on_outcome=full)
    assert asked == [1]


def test_ctrl_c_ends_a_run_at_once_and_nothing_is_told_afterwards() -> None:
    release = threading.Event()
    told: list[str] = []

    def hang() -> Iterator[Evidence]:
        os.kill(os.getpid(), signal.SIGINT)
        release.wait(60)
        yield Evidence(label="too late", value=1)

    with pytest.raises(KeyboardInterrupt):
        run([item(hang)], Facts({}), timeout_s=60, on_outcome=lambda outcome: told.append(outcome.id))
    late = [thread for thread in threading.enumerate() if thread.name == "checks"]
    release.set()
    for thread in late:
        thread.join(30)
    assert told == []
