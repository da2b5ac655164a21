"""Records that would mislead cannot be made."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.model import Decision, Evidence, Finding, Outcome, Severity, Status, Verdict, is_outcome_id
from gate.tests.strategies import outcome

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SEEN = (Evidence(label="columns", value=4),)


def test_a_pass_without_evidence_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="a pass needs evidence"):
        Outcome(id="schema.a", status=Status.PASS, observed_at=NOW)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PASS])
def test_anything_but_a_pass_needs_a_reason(status: Status) -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        Outcome(id="schema.a", status=status, reason=" ", observed_at=NOW)


@pytest.mark.parametrize("name", ["schema", "Schema.a", "schema.", ".a", "schema a.b", "", "schema.*"])
def test_an_id_out_of_form_is_refused(name: str) -> None:
    assert not is_outcome_id(name)
    with pytest.raises(ValueError, match="family.name"):
        Outcome(id=name, status=Status.PASS, evidence=SEEN, observed_at=NOW)


@pytest.mark.parametrize("duration", [-1.0, math.inf, math.nan])
def test_a_duration_that_is_no_span_of_time_is_refused(duration: float) -> None:
    with pytest.raises(ValueError, match="not a span of time"):
        Outcome(id="schema.a", status=Status.PASS, evidence=SEEN, observed_at=NOW, duration_s=duration)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        Outcome(id="schema.a", status=Status.PASS, evidence=SEEN, observed_at=datetime(2026, 11, 22))  # noqa: DTZ001


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_evidence_must_be_a_finite_number(value: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        Evidence(label="p95", value=value, unit="ms")


def test_evidence_needs_a_label() -> None:
    with pytest.raises(ValueError, match="needs a label"):
        Evidence(label=" ", value=1)


def test_evidence_reads_as_label_value_unit() -> None:
    assert str(Evidence(label="p95", value=12.50, unit="ms")) == "p95: 12.5 ms"
    assert str(Evidence(label="table", value="messages")) == "table: messages"


scalars = st.one_of(st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
records = st.builds(
    Outcome,
    id=st.just("schema.a"),
    status=st.sampled_from(Status),
    severity=st.sampled_from(Severity),
    title=st.text(),
    reason=st.text().map(lambda text: f"because {text}"),
    evidence=st.lists(
        st.builds(Evidence, label=st.text(min_size=1).filter(str.strip), value=scalars, unit=st.text()), min_size=1
    ).map(tuple),
    duration_s=st.floats(0, 1e6).map(lambda value: round(value, 6)),
    observed_at=st.datetimes(timezones=st.just(UTC)),
)


@given(records)
def test_an_outcome_survives_its_json(record: Outcome) -> None:
    assert Outcome.from_json(record.as_json()) == record


def test_evidence_that_is_no_scalar_is_refused_when_read() -> None:
    record = outcome("schema.a", Status.PASS).as_json()
    record["evidence"][0]["value"] = ["a", "list"]
    with pytest.raises(TypeError, match="not a scalar"):
        Outcome.from_json(record)


def test_a_record_is_frozen_and_changes_only_by_replacement() -> None:
    passed = outcome("schema.a", Status.PASS)
    with pytest.raises(AttributeError):
        passed.status = Status.FAIL  # type: ignore[misc]
    assert replace(passed, title="t").title == "t"


def test_a_verdict_says_everything_in_json() -> None:
    verdict = Verdict(decision=Decision.HOLD, policy="p", unanswered=(Finding(id="a.b", why="no answer"),), passed=1, answered=2)
    assert verdict.as_json() == {
        "decision": "HOLD",
        "exit_status": 3,
        "policy": "p",
        "passed": 1,
        "answered": 2,
        "blocking": [],
        "unanswered": [{"id": "a.b", "why": "no answer"}],
        "waived": [],
        "noted": [],
    }


def test_what_was_not_asked_keeps_its_cause_and_can_be_no_pass() -> None:
    not_asked = Outcome(
        id="schema.b", status=Status.ERROR, reason="not asked, because of schema.a", observed_at=NOW, cause="schema.a"
    )
    assert Outcome.from_json(not_asked.as_json()) == not_asked
    assert "cause" not in replace(not_asked, cause="").as_json()
    for status in (Status.PASS, Status.WARN, Status.SKIP):
        with pytest.raises(ValueError, match=f"what was not asked cannot be {status}"):
            replace(not_asked, status=status, evidence=(Evidence(label="rows", value=1),))
