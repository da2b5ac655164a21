"""Nothing is claimed that no outcome and no fact bears."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reports.sections
from gate.journal import Recording, conclude
from gate.model import Decision, Status
from reports.build import build, render
from reports.document import (
    Badge,
    Checklist,
    ChecklistItem,
    Content,
    Document,
    DocumentName,
    Mark,
    Notice,
    Paragraph,
    Row,
    rows_of,
)
from reports.tests import runs
from reports.tests.reading import parse

Documents = Callable[[Recording], dict[DocumentName, Document]]
FACTS = sorted(runs.facts())


def content_of(claim: Row | ChecklistItem | Paragraph) -> Content:
    if isinstance(claim, Row):
        return tuple(item for cell in claim.cells for item in cell)
    return claim.proof if isinstance(claim, ChecklistItem) else claim.content


def words_of(claim: Row | ChecklistItem | Paragraph) -> str:
    return " ".join(
        item if isinstance(item, str) else getattr(item, "word", getattr(item, "text", "")) for item in content_of(claim)
    )


def render_all(documents: dict[DocumentName, Document]) -> dict[DocumentName, str]:
    return {name: render(document) for name, document in documents.items()}


@settings(max_examples=25, deadline=None)
@given(gone=st.sets(st.sampled_from(runs.IDS), min_size=1, max_size=12), lost=st.sets(st.sampled_from(FACTS), max_size=5))
def test_what_is_taken_out_of_a_journal_is_not_measured_and_never_passes(gone: set[str], lost: set[str]) -> None:
    full = runs.full()
    recording = replace(
        full,
        outcomes=tuple(item for item in full.outcomes if item.id not in gone),
        facts={name: value for name, value in full.facts.items() if name not in lost},
    )
    verdict = conclude(recording, runs.policy(), runs.TODAY)
    assert verdict.decision is Decision.HOLD
    spoken: set[str] = set()
    for document in build(recording, verdict, runs.policy()):
        for claim in rows_of(document):
            missing = gone.intersection(claim.sources) | {name for name in lost if f"fact:{name}" in claim.sources}
            if not missing:
                continue
            spoken |= missing
            assert claim.mark is Mark.NOT_MEASURED, (claim, missing)
            assert "not measured" in words_of(claim), (claim, missing)
            badges = [item for item in content_of(claim) if isinstance(item, Badge)]
            # A checkpoint's reading has a source of its own beside the outcome that is gone.
            if "fact:watch.checkpoints" not in claim.sources:
                assert not any(item.mark is Mark.PASS for item in badges), claim
            assert not (isinstance(claim, ChecklistItem) and claim.ticked)
    assert gone | lost <= spoken


@settings(max_examples=4, deadline=None)
@given(gone=st.sets(st.sampled_from(runs.IDS), min_size=1, max_size=8))
def test_no_rendered_line_of_a_missing_id_says_pass(gone: set[str]) -> None:
    full = runs.full()
    recording = replace(full, outcomes=tuple(item for item in full.outcomes if item.id not in gone))
    verdict = conclude(recording, runs.policy(), runs.TODAY)
    texts = {document.name: render(document) for document in build(recording, verdict, runs.policy())}
    for missing in gone:
        page = parse(texts[DocumentName.REPORT])
        rows = [(mark, text) for mark, text in page.rows if text.startswith(f"{missing} ") and "no answer" not in text]
        assert rows, missing
        assert all(mark == "not-measured" and "not measured" in text for mark, text in rows), rows
        lines = [
            line
            for name, text in texts.items()
            if name is not DocumentName.REPORT
            for line in text.splitlines()
            if line.startswith("|") and f"`{missing}`" in line and "no answer" not in line
        ]
        assert lines, missing
        assert all("not measured" in line and "✅" not in line for line in lines), lines


def test_a_bare_journal_measures_nothing_and_holds(bare: Recording, documents_of: Documents) -> None:
    assert conclude(bare, runs.policy(), runs.TODAY).decision is Decision.HOLD
    documents = documents_of(bare)
    for document in documents.values():
        for claim in rows_of(document):
            assert claim.mark is Mark.NOT_MEASURED, claim
            assert "not measured" in words_of(claim), claim
    for name, text in render_all(documents).items():
        assert "HOLD" in text
        assert "✅" not in text, name
        assert "[x]" not in text
    page = parse(render(documents[DocumentName.REPORT]))
    assert not [attrs for _, attrs in page.tags if "m-pass" in (attrs.get("class") or "")]
    assert not [attrs for tag, attrs in page.tags if tag == "li" and attrs.get("class") == "ticked"]
    assert not [attrs for tag, attrs in page.tags if tag == "svg" and attrs.get("class") == "chart"]


def test_a_full_run_is_go_and_every_claim_of_it_is_measured(full: Recording, documents_of: Documents) -> None:
    documents = documents_of(full)
    assert {document.decision for document in documents.values()} == {Decision.GO}
    for document in documents.values():
        for claim in rows_of(document):
            assert claim.mark in {Mark.PASS, None}, claim
            assert "not measured" not in words_of(claim), claim


def test_an_unplanned_failure_shows_as_fail_wherever_its_family_is_claimed(
    changed: Callable[..., Recording], documents_of: Documents
) -> None:
    recording = changed({"watch.surprise": runs.outcome("watch.surprise", Status.FAIL, reason="it leaked")})
    for document in documents_of(recording).values():
        for claim in rows_of(document):
            if "watch.surprise" in claim.sources:
                assert claim.mark is Mark.FAIL, claim


def test_a_better_second_answer_does_not_hide_a_failure(changed: Callable[..., Recording], documents_of: Documents) -> None:
    recording = changed({"smoke.send": runs.outcome("smoke.send", Status.FAIL, reason="HTTP 500")})
    recording = replace(recording, outcomes=(*recording.outcomes, runs.outcome("smoke.send")))
    text = render(documents_of(recording)[DocumentName.GATE])
    line = next(line for line in text.splitlines() if "`smoke.send`" in line and line.startswith("| `smoke.send` | Send"))
    assert "❌" in line
    assert "answered 2 times" in line


def test_a_box_is_ticked_only_where_every_outcome_behind_it_passed(
    changed: Callable[..., Recording], documents_of: Documents
) -> None:
    recording = changed({"load.failures": runs.outcome("load.failures", Status.WARN)})
    for document in documents_of(recording).values():
        for section in document.sections:
            for block in section.blocks:
                for item in block.items if isinstance(block, Checklist) else ():
                    assert item.ticked == (item.mark is Mark.PASS)
                    assert not item.ticked or item.sources
                    assert "load.failures" not in item.sources or not item.ticked


def test_what_happens_in_production_is_never_ticked(full: Recording, documents_of: Documents) -> None:
    text = render(documents_of(full)[DocumentName.EXECUTIVE])
    deploy = text[text.index("**Deploy**") : text.index("## Authorisation")]
    assert "[x]" not in deploy
    assert deploy.count("- [ ]") == 7


def test_no_section_writes_a_mark_of_its_own() -> None:
    """Marks come out of outcomes; success metrics alone compares a number with a target, under its own tests."""
    root = Path(next(iter(reports.sections.__path__)))
    for path in sorted(root.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"[✅✓✔🟢]", text), path
        if path.stem != "success_metrics":
            assert not re.search(r"Badge\(mark=Mark\.PASS|mark=Mark\.PASS\b", text), path


@pytest.mark.parametrize("damage", [1, 60])
def test_a_damaged_journal_is_named_in_every_document(full: Recording, documents_of: Documents, damage: int) -> None:
    recording = replace(full, damage=tuple(f"line {number} is cut" for number in range(damage)))
    documents = documents_of(recording)
    assert {document.decision for document in documents.values()} == {Decision.HOLD}
    for name, document in documents.items():
        notice = next(block for block in document.sections[0].blocks if isinstance(block, Notice))
        assert notice.mark is Mark.ERROR
        text = render(document)
        assert "The journal is damaged" in text, name
        assert "line 0 is cut" in text
        assert ("and 40 more places" in text) == (damage == 60)


def test_the_database_and_what_it_could_not_answer_are_stated(changed: Callable[..., Recording], documents_of: Documents) -> None:
    recording = changed(
        {"migration.locks": runs.outcome("migration.locks", Status.SKIP, reason="SQLite has no lock modes")},
        {
            "environment": runs.facts()["environment"]
            | {"database": {"backend": "sqlite", "origin": "memory", "server_version": "3.40"}}
        },
    )
    for name in (DocumentName.EXECUTIVE, DocumentName.GATE, DocumentName.ORCHESTRATION, DocumentName.EVOLUTION):
        text = render(documents_of(recording)[name])
        assert "sqlite 3.40 (memory)" in text
        after = text[text.index("Checks that could not answer here") :]
        assert "`migration.locks`" in after
        assert "SQLite has no lock modes" in after
