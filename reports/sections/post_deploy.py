"""Post-deploy actions"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports.document import Block, Checklist, ChecklistItem, Content, DocumentName
from reports.expectations import SMOKE
from reports.view import Group, RunView

_PERSON: Content = ("for a person to do",)


@section(order=130, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE, DocumentName.MONITORING))
def build(view: RunView) -> Iterator[Block]:
    """Never ticked by a machine: a rehearsal proves the way, not that production went it."""
    yield Checklist(
        title="Immediately (T+0 to T+60 minutes)",
        items=(
            _rehearsed("Execute the smoke test", view.outcomes(*SMOKE)),
            _rehearsed("Look at every checkpoint (5, 10, 20, 30, 60 minutes)", view.outcomes("watch.*")),
            _rehearsed("Verify that no secret leaked", view.outcomes("secrets.*") + view.about("watch", "unmasked", "secret")),
            _rehearsed(
                "Confirm the message flow, inbound and outbound",
                view.outcomes("scenario.inbound-creates-conversation", "scenario.outbound-sent-once"),
            ),
        ),
    )
    for title, items in (
        ("Day 1 to 7", ("Look at the metrics daily", "Collect feedback", "Write down issues and fixes", "Update the runbook")),
        (
            "From week 2",
            (
                "Add the signals to the standing dashboards",
                "Look less often",
                "Plan what comes next",
                "Hold a post-mortem if there was an issue",
            ),
        ),
    ):
        yield Checklist(title=title, items=tuple(ChecklistItem(text=item, proof=_PERSON) for item in items))


def _rehearsed(text: str, group: Group) -> ChecklistItem:
    return ChecklistItem(text=text, proof=("in production, by a person; in the rehearsal: ", group.badge, f" {group.summary}"))
