"""The runner: every check answers, facts are read once and at once, and what we could not see is an error."""

from __future__ import annotations

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
    ],
)
def test_what_a_check_raises_is_its_status(raised: Exception, status: Status) -> None:
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
