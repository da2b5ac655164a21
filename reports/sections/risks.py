"""Risk assessment"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports.claims import claim
from reports.document import Block, DocumentName, Mark, Paragraph, Table
from reports.view import Group, RunView


@section(order=110, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE, DocumentName.MONITORING))
def build(view: RunView) -> Iterator[Block]:
    """Each risk with what exercised it. How likely a risk is, nothing here measures, so nothing here says."""
    risks: tuple[tuple[str, str, Group], ...] = (
        (
            "Status not updating",
            "BASE_URL is https and reachable; a scan is seen within 5 s",
            view.outcomes("scenario.scan-connects", "smoke.status-after") + view.about("watch", "status"),
        ),
        (
            "Webhook not received",
            "inbound is stored once, also when it is repeated",
            view.outcomes("scenario.inbound-creates-conversation", "scenario.inbound-stored-once")
            + view.about("watch", "inbound"),
        ),
        (
            "Message failures",
            "retries stop at 3, the same key is never sent twice",
            view.outcomes("scenario.outbound-sent-once") + view.about("watch", "message-fail", "retries"),
        ),
        (
            "Evolution API down",
            "a failing provider is retried, an unknown instance tolerated",
            view.about("flow", "retr", "down", "unreachable")
            + view.outcomes("scenario.outbound-sent-once", "scenario.unknown-instance-tolerated"),
        ),
        (
            "Database lock",
            "the migration takes no lock that makes others wait",
            view.about("migration", "lock", "convoy") + view.about("watch", "lock"),
        ),
        (
            "Security leak",
            "nothing in repository or logs, tenants isolated",
            view.outcomes("secrets.*", "scenario.tenants-isolated") + view.about("watch", "unmasked", "secret"),
        ),
    )
    yield Table(
        caption="Risks, and what exercised them",
        columns=("Risk", "What must hold", "Result", "What was seen", "Exercised by"),
        rows=tuple(claim((risk,), group, (rule,)) for risk, rule, group in risks),
    )
    held = sum(group.mark is Mark.PASS for _, _, group in risks)
    worst = max((group for _, _, group in risks), key=lambda group: group.mark.rank)
    yield Paragraph(
        content=(f"Everything that exercised them passed for {held} of {len(risks)} risks. Overall: ", worst.badge),
        sources=tuple(dict.fromkeys(item for _, _, group in risks for item in group.ids)),
        mark=worst.mark,
    )
