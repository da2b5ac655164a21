"""How the verdict came about"""

from __future__ import annotations

from collections.abc import Iterator

from gate.model import Finding
from gate.registry import section
from reports.document import Block, Code, DocumentName, ListBlock, Paragraph, Row, Table
from reports.view import RunView

_MEANING = {
    "blocking": ("Blocking", "each of these makes it NO-GO"),
    "unanswered": ("Unanswered", "each of these keeps it from GO"),
    "waived": ("Waived", "a named person answers for these"),
    "noted": ("Noted", "these neither block nor hold"),
}


@section(
    order=10,
    documents=(DocumentName.REPORT, DocumentName.EXECUTIVE, DocumentName.GATE, DocumentName.ORCHESTRATION),
)
def build(view: RunView) -> Iterator[Block]:
    """The verdict's four lists, and the rule by which they were made."""
    verdict, policy = view.verdict, view.policy
    rule = (
        f" requires {', '.join(policy.required) or 'named ids only'}. A failure blocks; a required answer that is missing, "
        f"inconclusive, an error or a skip that is not allowed holds; {policy.hold_at_warnings} or more warnings hold, "
        f"{policy.no_go_at_warnings} or more block. {verdict.passed} of {verdict.answered} ids that answered passed, "
        "the journal's own integrity among them. Exit status "
    )
    yield Paragraph(content=("Policy ", Code(text=verdict.policy), rule, Code(text=str(verdict.exit_status)), "."))
    for name, (title, meaning) in _MEANING.items():
        findings: tuple[Finding, ...] = getattr(verdict, name)
        if findings:
            yield Table(
                caption=f"{title} ({len(findings)}): {meaning}",
                columns=("Id", "Why", "Title"),
                rows=tuple(
                    Row(cells=((Code(text=item.id),), (item.why,), (view.answer(item.id).title or "–",))) for item in findings
                ),
            )
    empty = [title for name, (title, _) in _MEANING.items() if not getattr(verdict, name)]
    if empty:
        yield ListBlock(items=tuple((f"{title}: none",) for title in empty))
