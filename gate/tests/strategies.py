"""Hypothesis strategies of the result model and of policies."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import strategies as st

from gate.model import Evidence, Outcome, Severity, Status
from gate.policy import Policy, Waiver

TODAY = date(2026, 11, 22)
AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

ids = st.sampled_from([f"{family}.{name}" for family in ("schema", "flow", "scenario", "smoke") for name in ("a", "b", "c")])
patterns = st.one_of(ids, st.sampled_from(["*", "schema.*", "flow.*", "scenario.*", "smoke.*", "absent.*"]))


def outcome(outcome_id: str, status: Status, reason: str = "because") -> Outcome:
    return Outcome(
        id=outcome_id,
        status=status,
        severity=Severity.MAJOR,
        reason="" if status is Status.PASS else reason,
        evidence=(Evidence(label="rows seen", value=1),) if status is Status.PASS else (),
        observed_at=AT,
    )


outcomes = st.lists(st.builds(outcome, ids, st.sampled_from(Status), st.sampled_from(["because", "no answer"])), max_size=14)

waivers = st.builds(
    Waiver,
    id=ids,
    owner=st.just("Ana"),
    reason=st.just("known"),
    ticket=st.just("OPS-1"),
    expires=st.sampled_from([date(2026, 11, 21), date(2026, 11, 22), date(2026, 12, 1), date(2027, 6, 1)]),
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    chosen = {waiver.id: waiver for waiver in draw(st.lists(waivers, max_size=3))}
    hold_at = draw(st.integers(1, 3))
    return Policy(
        name="drawn",
        required=tuple(draw(st.lists(patterns, min_size=1, max_size=4))),
        expected=draw(st.frozensets(ids, max_size=3)),
        may_skip=tuple(draw(st.lists(patterns, max_size=2))),
        advisory=tuple(draw(st.lists(patterns, max_size=2))),
        waivers=tuple(chosen.values()),
        hold_at_warnings=hold_at,
        no_go_at_warnings=draw(st.integers(hold_at, 5)),
    )
