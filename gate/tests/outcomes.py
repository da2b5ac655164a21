"""Outcomes and verdicts for tests of what is shown of them."""

from __future__ import annotations

from datetime import UTC, date, datetime

from gate.judge import judge
from gate.model import Evidence, Outcome, Status, Verdict
from gate.policy import Policy
from gate.result import Result

AT = datetime(2026, 1, 22, 10, 0, 0, tzinfo=UTC)
HOSTILE = "bad\x1b[31m\x00 <b>&\"' \ud800 ]]> \ufffe"


def outcome(outcome_id: str, status: Status = Status.PASS, reason: str = "", *, evidence: tuple[Evidence, ...] = ()) -> Outcome:
    seen = evidence or (Evidence(label="seen", value=1),)
    why = reason or ("" if status is Status.PASS else f"{outcome_id} is {status}")
    return Outcome(id=outcome_id, status=status, title="T.", reason=why, evidence=seen, duration_s=0.25, observed_at=AT)


def verdict(*outcomes: Outcome, expected: frozenset[str] = frozenset()) -> Verdict:
    return judge(outcomes, Policy(name="test", expected=expected), date(2026, 1, 22))


MIXED = (
    outcome("schema.messages-retry-count", Status.FAIL, "messages.retry_count is text, expected integer"),
    outcome("schema.messages-error-details"),
    outcome("datastore.upsert", Status.ERROR, "database: nothing listens there"),
    outcome("flow.campaign-paced", Status.INCONCLUSIVE, "no campaign was seen"),
    outcome("migration.verifies-itself", Status.SKIP, "there is no Postgres here"),
    outcome("config.environment", Status.WARN, HOSTILE),
)


def result(*outcomes: Outcome, expected: frozenset[str] = frozenset()) -> Result:
    return Result(
        outcomes=outcomes,
        verdict=verdict(*outcomes, expected=expected),
        release={"name": "reference backend", "version": "1.0.0", "commit": "c0ffee" * 6 + "c0ff", "dirty": False},
    )
