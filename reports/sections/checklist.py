"""Final checklist"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports.document import Block, Checklist, ChecklistItem, Content, DocumentName, Paragraph
from reports.expectations import GATE_FAMILIES, SCENARIOS, SMOKE
from reports.view import Group, RunView


@section(order=160, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE, DocumentName.DEPLOYMENT))
def build(view: RunView) -> Iterator[Block]:
    """Ticked where an outcome proves it, and nowhere else."""
    gate = view.outcomes(*(f"{family}.*" for family in GATE_FAMILIES))
    smoke = view.outcomes(*SMOKE)
    yield Paragraph(
        content=(
            "A box is ticked only where every outcome behind it passed. What happens in production stays open for a person.",
        )
    )
    yield Checklist(
        title="Before the deploy",
        items=(
            _proved("Release gate passed", gate),
            _proved("Scenarios passed, end to end", view.outcomes(*SCENARIOS) + view.outcomes("scenario.*")),
            _proved("Migration ready and verified", view.outcomes("migration.*", "schema.*")),
            _proved("Smoke test works", smoke),
            _proved("Load carried", view.outcomes("load.*")),
            _proved("Monitoring of the first hour works", view.outcomes("watch.*")),
            _proved("Rollback rehearsed", view.outcomes("rollback.*")),
            ChecklistItem(text="Team told of the deploy window", proof=("by a person",)),
        ),
    )
    yield Checklist(
        title="Deploy",
        items=(
            _in_production("Migrations applied in production and verified", view.outcomes("migration.*")),
            ChecklistItem(text="Code deployed to production", proof=("by a person",)),
            _in_production("Environment variables configured", view.outcomes("config.*")),
            _in_production("Health endpoint answers 200", view.outcomes("smoke.health")),
        ),
    )
    yield Checklist(
        title="After the deploy",
        items=(
            _in_production("Smoke test executed, all passed", smoke),
            _in_production("First hour watched", view.outcomes("watch.*")),
            ChecklistItem(text="GO/NO-GO decided for production", proof=("by a person",)),
        ),
    )


def _proved(text: str, group: Group) -> ChecklistItem:
    proof: Content = (group.badge, " ", " – ".join(filter(None, (group.summary, group.worst))))
    return ChecklistItem(text=text, proof=proof, sources=group.ids, mark=group.mark)


def _in_production(text: str, group: Group) -> ChecklistItem:
    return ChecklistItem(text=text, proof=("by a person; in the rehearsal: ", group.badge, f" {group.summary}"))
