"""What the scenarios catch"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports import facts
from reports.claims import source, unreadable
from reports.document import Badge, Block, Code, DocumentName, Paragraph, Row, Table
from reports.view import Missing, RunView, mark_of_word

_GOOD = ("killed", "passed")


@section(order=65, documents=(DocumentName.REPORT, DocumentName.GATE))
def build(view: RunView) -> Iterator[Block]:
    """The bugs that were planted, which scenarios failed on each, and the right backends that had to pass."""
    matrix = view.fact("proof.matrix", facts.proof_matrix)
    if isinstance(matrix, Missing) and not matrix.why:
        yield Paragraph(
            content=("No proof was part of this run: what its scenarios catch is shown by ", Code(text="golive prove"), ".")
        )
        return
    if isinstance(matrix, Missing):
        yield unreadable(matrix, "Proof that the scenarios can fail (golive prove)")
        return
    group = view.outcomes("proof.*")
    yield Paragraph(content=("Proof: ", Badge(mark=group.mark, text=group.summary)), sources=group.ids, mark=group.mark)
    yield Table(
        caption="Planted bugs (chaffs) and other right backends (wheats)",
        columns=("Variant", "What it does", "Result", "Scenario that must fail", "Scenarios that failed", "Ran"),
        rows=tuple(
            Row(
                cells=(
                    (trial.name,),
                    (trial.title,),
                    (Badge(mark=mark_of_word("pass" if trial.end in _GOOD else "fail"), text=trial.end),),
                    (", ".join(trial.named) or "–",),
                    (", ".join(trial.failed) or "none",),
                    (str(trial.ran),),
                ),
                sources=(source("proof.matrix"),),
                mark=mark_of_word("pass" if trial.end in _GOOD else "fail"),
            )
            for trial in matrix
        ),
        filterable=True,
    )
