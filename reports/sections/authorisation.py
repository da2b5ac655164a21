"""Authorisation"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports.claims import claim
from reports.document import Block, DocumentName, Paragraph, SignatureBlock, Table
from reports.expectations import GATE_FAMILIES, SCENARIOS, SMOKE
from reports.view import RunView

_RULE = "It releases nothing by itself: deployment approval waits for a person, who signs here."


@section(order=170, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE))
def build(view: RunView) -> Iterator[Block]:
    """What was measured for those who sign, and empty lines that only they fill in."""
    yield Table(
        caption="What the signature rests on",
        columns=("Validation", "Result", "What was measured", "Source"),
        rows=(
            claim(("Technical validation",), view.outcomes(*SMOKE) + view.outcomes("load.*", "watch.*", "rollback.*")),
            claim(("Release gate",), view.outcomes(*(f"{family}.*" for family in GATE_FAMILIES))),
            claim(("Scenarios",), view.outcomes(*SCENARIOS)),
            claim(("Security",), view.outcomes("secrets.*", "config.*", "scenario.tenants-isolated")),
        ),
    )
    yield Paragraph(content=(f"The verdict of this run is {view.verdict.decision}. {_RULE}",))
    yield SignatureBlock(fields=("Decision", "Approver", "Date", "Signature"))
