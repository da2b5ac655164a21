"""The proof shows every trial with what failed, and claims nothing where none was held."""

from __future__ import annotations

from collections.abc import Callable

from gate.journal import Recording
from reports.document import Block, Mark, Paragraph, Table
from reports.tests import runs

SectionOf = Callable[[Recording, str], tuple[Block, ...]]
Changed = Callable[..., Recording]
MATRIX = {
    "chaff fourth-attempt": {
        "title": "A fourth attempt is made",
        "end": "killed",
        "named": ["scenario.three-attempts-at-most"],
        "found": {"scenario.three-attempts-at-most": "fail", "scenario.other": "pass"},
    },
    "wheat ids-are-ulids": {"title": "Ids are ULIDs", "end": "refused", "named": [], "found": {"scenario.other": "fail"}},
}


def test_every_trial_is_shown_with_what_failed(changed: Changed, section_of: SectionOf) -> None:
    recording = changed({"proof.sound": runs.outcome("proof.sound")}, facts={"proof.matrix": MATRIX})
    _, table = section_of(recording, "proof")
    assert isinstance(table, Table)
    assert [row.mark for row in table.rows] == [Mark.PASS, Mark.FAIL]
    assert [row.cells[4] for row in table.rows] == [("scenario.three-attempts-at-most",), ("scenario.other",)]


def test_without_a_proof_nothing_is_claimed(full: Recording, section_of: SectionOf) -> None:
    (said,) = section_of(full, "proof")
    assert isinstance(said, Paragraph)
    assert "golive prove" in str(said.content)


def test_a_matrix_that_cannot_be_read_is_not_measured(changed: Changed, section_of: SectionOf) -> None:
    (said,) = section_of(changed(facts={"proof.matrix": ["nothing"]}), "proof")
    assert isinstance(said, Paragraph)
    assert said.mark is Mark.NOT_MEASURED
