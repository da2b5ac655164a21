"""GO/NO-GO decision matrix"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports.claims import ids, number
from reports.document import Block, DocumentName, Paragraph, Row, Table
from reports.expectations import SCENARIOS, SMOKE
from reports.view import Group, RunView

_COLUMNS = ("Criterion", "Limit", "Measured", "Result", "Source")


@section(order=30, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE, DocumentName.MONITORING))
def build(view: RunView) -> Iterator[Block]:
    """The criteria of the plan, each with its limit, the measured value and what it traces to."""
    secrets = view.about("watch", "unmasked", "secret")
    yield Table(
        caption="GO: each of these must hold",
        columns=_COLUMNS,
        rows=(
            _row("All smoke tests passed", "8 of 8", "", view.outcomes(*SMOKE) + view.outcomes("smoke.*")),
            _row("All scenarios passed", "9 of 9", "", view.outcomes(*SCENARIOS) + view.outcomes("scenario.*")),
            _row("Migrations applied and safe", "all checks", "", view.outcomes("migration.*")),
            _row("Schema as the code needs it", "all checks", "", view.outcomes("schema.*")),
            _row(
                "Status becomes connected after the scan",
                "connected, scan_completed",
                "",
                view.outcomes("smoke.status-after", "scenario.scan-connects"),
            ),
            _row("Test message is sent", "no error", "", view.outcomes("smoke.send")),
            _row("First hour within limits", "every signal", "", view.outcomes("watch.*")),
            _row(
                "No secret in repository or logs",
                "0",
                _value(view, "unmasked", "secret"),
                view.outcomes("secrets.*") + secrets,
            ),
            _row("Rollback rehearsed", "all steps", "", view.outcomes("rollback.*")),
        ),
    )
    yield Table(
        caption="NO-GO: roll back at once, at any minute",
        columns=_COLUMNS,
        rows=(
            _row("Unmasked secret", "0", _value(view, "unmasked", "secret"), secrets),
            _row(
                "Data of one tenant seen by another",
                "never",
                "",
                view.outcomes("scenario.tenants-isolated") + view.about("watch", "cross-tenant"),
            ),
            _row(
                "Messages failing",
                "at most 50 %",
                _value(view, "message-fail"),
                view.about("watch", "message-fail"),
            ),
            _row(
                "Service down",
                "at most 5 min",
                _value(view, "health", "uptime"),
                view.about("watch", "health", "uptime"),
            ),
            _row(
                "Status never updates",
                "updates within 5 s",
                _value(view, "status"),
                view.outcomes("scenario.scan-connects") + view.about("watch", "status"),
            ),
        ),
    )
    verdict = view.verdict
    counts = ", ".join(
        f"{len(findings)} {word}"
        for word, findings in (
            ("blocking", verdict.blocking),
            ("unanswered", verdict.unanswered),
            ("waived", verdict.waived),
            ("noted", verdict.noted),
        )
    )
    yield Paragraph(content=(f"Decision: {verdict.decision}; {counts}.",))


def _row(what: str, limit: str, measured: str, group: Group) -> Row:
    words = " – ".join(filter(None, (measured if group.measured else "", group.summary, group.worst)))
    return Row(
        cells=((what,), (limit,), (words,), (group.badge,), ids(group.ids)),
        sources=group.ids,
        mark=group.mark,
    )


def _value(view: RunView, *words: str) -> str:
    reading = view.last_reading(*words)
    return "" if reading is None or reading.value is None else number(reading.value, reading.unit)
