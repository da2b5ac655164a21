from __future__ import annotations

import os
import re
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gate.errors import JournalError
from gate.journal import Journal, Recording, conclude, read, write_atomically
from gate.model import Decision, Status
from reports import build as building
from reports.build import build, render, render_run, write
from reports.document import DocumentName
from reports.errors import ReportError
from reports.tests import runs

FILES = {
    "GOLIVE_EXECUTIVE_SUMMARY.md", "GOLIVE_DEPLOYMENT_GUIDE.md", "GOLIVE_MONITORING_RUNBOOK.md",
    "GOLIVE_ORCHESTRATION_REPORT.md", "RELEASE_GATE_RESULTS.md", "EVOLUTION_INTEGRATION_SUMMARY.md", "report.html",
}  # fmt: skip


def test_a_run_becomes_six_documents_and_one_page(run_dir: Path) -> None:
    paths = render_run(run_dir, runs.policy(), runs.TODAY)
    assert {path.name for path in paths} == FILES
    assert {path.name for path in run_dir.iterdir()} == FILES | {"journal.jsonl"}
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert "Evolution WhatsApp integration" in text
        assert "1.0.0" in text
        assert text.endswith("\n") or path.suffix == ".html"


@pytest.mark.parametrize(
    ("ids", "status", "decision"),
    [
        ((), Status.FAIL, "GO"),
        (("schema.campaigns", "scenario.tenants-isolated"), Status.FAIL, "NO-GO"),
        (("smoke.send",), Status.ERROR, "HOLD"),
        (("watch.retries",), Status.WARN, "HOLD"),
    ],
)
def test_the_first_words_are_the_decision_and_what_stands_in_its_way(
    tmp_path: Path, ids: tuple[str, ...], status: Status, decision: str
) -> None:
    runs.write_run(tmp_path, change=runs.failing(*ids, status=status, reason="as it was seen"))
    for path in render_run(tmp_path, runs.policy(), runs.TODAY):
        if path.suffix == ".html":
            continue
        head = path.read_text(encoding="utf-8")[:1_500]
        assert re.search(rf"^## \S+ {decision}$", head, re.MULTILINE)
        for item in ids:
            assert f"- `{item}` – {status}: as it was seen" in head


def test_more_obstacles_than_fit_are_counted_and_the_gravest_come_first(tmp_path: Path) -> None:
    from gate.model import Severity

    ids = [item for item in runs.IDS if item.startswith(("schema.", "watch."))]
    change = runs.failing(*ids)

    def graver(item: Any) -> Any:
        found = change(item)
        return replace(found, severity=Severity.CRITICAL) if item.id == "watch.uptime" else found

    runs.write_run(tmp_path, change=graver)
    render_run(tmp_path, runs.policy(), runs.TODAY)
    text = (tmp_path / "GOLIVE_EXECUTIVE_SUMMARY.md").read_text(encoding="utf-8")
    obstacles = [line for line in text.split("**What blocks**")[1].splitlines() if line.startswith("- ")][:6]
    assert obstacles[0].startswith("- `watch.uptime`")
    assert obstacles[5] == f"- and {len(ids) - 5} more: [how the verdict came about](report.html#decision)"


def test_the_same_journal_gives_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        runs.write_run(tmp_path / name)
        paths = render_run(tmp_path / name, runs.policy(), runs.TODAY)
        written.append({path.name: path.read_bytes() for path in paths})
    again = {
        path.name: path.read_bytes() for path in render_run(tmp_path / "one", runs.policy(), runs.TODAY + timedelta(days=400))
    }
    assert written[0] == written[1] == again


def test_outcomes_in_another_order_give_the_same_documents(full: Recording) -> None:
    mixed = replace(full, outcomes=tuple(reversed(full.outcomes)), facts=dict(reversed(list(full.facts.items()))))
    one, two = (
        [render(item) for item in build(recording, conclude(recording, runs.policy(), runs.TODAY), runs.policy())]
        for recording in (full, mixed)
    )
    assert one == two


def test_a_damaged_journal_on_disk_holds_and_says_where(tmp_path: Path) -> None:
    path = runs.write_run(tmp_path)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:10], *lines[13:40], lines[40][:20], *lines[41:]]))
    recording = read(path)
    assert conclude(recording, runs.policy(), runs.TODAY).decision is Decision.HOLD
    render_run(tmp_path, runs.policy(), runs.TODAY)
    text = (tmp_path / "RELEASE_GATE_RESULTS.md").read_text(encoding="utf-8")
    assert "line 11: records 10 to 12 are missing before it" in text
    assert "cut in the middle" in text


def test_a_journal_of_a_release_and_nothing_else_holds(tmp_path: Path) -> None:
    Journal.create(tmp_path / "journal.jsonl", release={}, now=lambda: runs.BEGAN)
    render_run(tmp_path, runs.policy(), runs.TODAY)
    text = (tmp_path / "GOLIVE_EXECUTIVE_SUMMARY.md").read_text(encoding="utf-8")
    assert "HOLD" in text
    assert "| Checks | 17 not measured |" in text


def test_an_empty_file_is_a_damaged_journal(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b"")
    render_run(tmp_path, runs.policy(), runs.TODAY)
    text = (tmp_path / "GOLIVE_EXECUTIVE_SUMMARY.md").read_text(encoding="utf-8")
    assert "| Recorded | not measured |" in text
    assert "the first record, which names the release, is missing" in text


def test_a_waiver_that_ran_out_is_seen_by_the_day_of_the_report(tmp_path: Path) -> None:
    from gate.policy import Waiver

    runs.write_run(tmp_path, change=runs.failing("watch.retries"))
    waiver = Waiver(id="watch.retries", owner="Ana", reason="known, harmless", ticket="OPS-1", expires=runs.TODAY)
    policy = replace(runs.policy(), waivers=(waiver,))
    render_run(tmp_path, policy, runs.TODAY)
    text = (tmp_path / "GOLIVE_EXECUTIVE_SUMMARY.md").read_text(encoding="utf-8")
    assert "GO" in text[:200]
    assert "waived by Ana until 2026-11-22, OPS-1: known, harmless" in text
    assert re.search(r"\| Retries \| .*❌ fail", (tmp_path / "RELEASE_GATE_RESULTS.md").read_text(encoding="utf-8"))
    render_run(tmp_path, policy, runs.TODAY + timedelta(days=1))
    assert "the waiver of Ana expired on 2026-11-22" in (tmp_path / "GOLIVE_EXECUTIVE_SUMMARY.md").read_text(encoding="utf-8")


def test_no_journal_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no such journal") as caught:
        render_run(tmp_path, runs.policy(), runs.TODAY)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_journal_of_a_later_schema_is_one_line(tmp_path: Path) -> None:
    path = runs.write_run(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace('"schema_version":1', '"schema_version":9'), encoding="utf-8")
    with pytest.raises(ReportError, match="schema_version 9"):
        render_run(tmp_path, runs.policy(), runs.TODAY)


def test_a_directory_that_cannot_be_written_is_one_line(full: Recording, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a directory", encoding="utf-8")
    documents = build(full, conclude(full, runs.policy(), runs.TODAY), runs.policy())
    with pytest.raises(ReportError, match="cannot be written") as caught:
        write(documents, blocked / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_directory_is_one_line(run_dir: Path) -> None:
    run_dir.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(ReportError, match="cannot be written"):
            render_run(run_dir, runs.policy(), runs.TODAY)
    finally:
        run_dir.chmod(stat.S_IRWXU)


def test_a_write_that_fails_half_way_leaves_no_document(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def full_disk(path: Path, text: str) -> None:
        if len(written) == 3:
            raise JournalError(f"{path}: cannot be written (No space left on device)")
        written.append(path)
        write_atomically(path, text)

    monkeypatch.setattr(building, "write_atomically", full_disk)
    with pytest.raises(ReportError, match="No space left on device"):
        render_run(run_dir, runs.policy(), runs.TODAY)
    assert len(written) == 3
    assert {path.name for path in run_dir.iterdir()} == {"journal.jsonl"}


def test_every_section_stands_in_a_document_and_every_document_begins_with_the_verdict(full: Recording) -> None:
    from gate.registry import Kind, registry

    documents = build(full, conclude(full, runs.policy(), runs.TODAY), runs.policy())
    assert [document.name for document in documents] == list(DocumentName)
    placed = {section.id for document in documents for section in document.sections}
    assert placed == {item.id for item in registry(Kind.SECTION).load("reports.sections")}
    for document in documents:
        assert document.sections[0].id == "verdict"
        assert len(document.sections) >= 4


def test_every_section_of_the_hand_written_summary_has_its_counterpart(full: Recording) -> None:
    documents = {item.name: item for item in build(full, conclude(full, runs.policy(), runs.TODAY), runs.policy())}
    expected = {
        "validation", "package", "deployment-steps", "smoke", "monitoring", "matrix", "rollback", "risks", "contacts",
        "post-deploy",
        "success-metrics", "documentation-index", "checklist", "authorisation", "quick-reference", "decision",
    }  # fmt: skip
    assert expected <= {section.id for section in documents[DocumentName.EXECUTIVE].sections}
    assert expected <= {section.id for section in documents[DocumentName.REPORT].sections}
