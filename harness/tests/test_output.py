"""Every command answers in any number of formats at once, compared with a baseline, with one exit status for all."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gate.formats import names
from gate.journal import Journal
from gate.model import Evidence, Outcome, Status
from gate.tests.formats.reading import VERDICT_IN
from harness.output import FORMATS
from harness.tests.running import golive

pytestmark = pytest.mark.process


def test_the_command_line_offers_every_format_that_there_is() -> None:
    assert sorted(FORMATS) == sorted(names())


def test_two_runs_are_compared_and_what_got_worse_is_the_exit_status(tmp_path: Path) -> None:
    before = golive("gate", "--select", "config.names-documented", "--database", "memory", "--out", "runs/a", cwd=tmp_path)
    assert before.status == 0
    worse = Journal.create(tmp_path / "b" / "journal.jsonl", release={"name": "test"})
    at = datetime(2026, 11, 22, tzinfo=UTC)
    worse.append(Outcome(id="config.names-documented", status=Status.FAIL, reason="A is not documented", observed_at=at))
    done = golive("diff", "b", "--against", "runs", "--policy", "gate", "--format", "json", cwd=tmp_path)
    assert done.status == 1
    document = json.loads(done.output)
    assert [(item["id"], item["change"]) for item in document["changes"]] == [("config.names-documented", "new")]
    assert document["against_decision"] == "GO"
    assert golive("diff", "runs/a", "--against", "runs/a", cwd=tmp_path).status == 0
    assert "no such run" in golive("diff", "runs/c", "--against", "runs/a", cwd=tmp_path).errors


def test_several_formats_at_once_say_the_same_and_leave_the_same_status(tmp_path: Path) -> None:
    arguments = ["gate", "--select", "schema", "--database", "postgresql://127.0.0.1:9/x"]
    files = {name: f"out/gate.{name}" for name in FORMATS}
    options = [part for name, path in files.items() for part in ("--output", f"{name}={path}")]
    summary = tmp_path / "summary.md"
    done = golive(*arguments, "--format", "github", *options, cwd=tmp_path, GITHUB_STEP_SUMMARY=str(summary))
    assert done.status == 3
    assert {VERDICT_IN[name]((tmp_path / path).read_text()) for name, path in files.items()} == {("HOLD", 3)}
    assert VERDICT_IN["github"](done.output) == VERDICT_IN["github-summary"](summary.read_text()) == ("HOLD", 3)
    assert done.output.count("127.0.0.1:9") == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"gate.{name}" for name in FORMATS)
    for name in FORMATS:
        assert golive(*arguments, "--format", name, cwd=tmp_path).status == 3


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--output", "gate.xml"], "is not of the form FORMAT=PATH"),
        (["--output", "jnuit=gate.xml"], "no format 'jnuit'; did you mean 'junit'?"),
        (["--output", "json=."], "is a directory"),
        (["--output", "json=file/x.json"], "file is not a directory that can be written to"),
        (["--output", "json=/dev/stdout"], "/dev/stdout is no place for a file; --format json answers on standard output"),
        (["--output", "json=pipe"], "pipe is no place for a file"),
        (["--output", "json=x", "--output", "tap=./x"], "two formats cannot go to one file"),
        (["--baseline", "nowhere"], "'nowhere' does not exist"),
        (["--baseline", "."], "neither a run"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_anything_runs(options: list[str], complaint: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    done = golive("gate", "--select", "schema", "--database", "memory", "--out", "run", *options, cwd=tmp_path)
    assert done.status == 2
    assert complaint in done.errors
    assert not (tmp_path / "run").exists()


def test_a_summary_is_appended_to_what_a_step_wrote_before_and_keeps_within_its_limit(tmp_path: Path) -> None:
    arguments = ["gate", "--select", "config.names-documented", "--database", "memory", "--format", "github"]
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    assert golive(*arguments, cwd=tmp_path, GITHUB_STEP_SUMMARY=str(summary)).status == 0
    assert summary.read_text().startswith("before\n## \N{WHITE HEAVY CHECK MARK} GO\n")
    summary.write_text("x" * (1024 * 1024 - 100))
    done = golive(*arguments, cwd=tmp_path, GITHUB_STEP_SUMMARY=str(summary))
    # A verdict that was to be shown and was not is no GO.
    assert done.status == 3
    assert "the step summary is full" in done.errors
    assert summary.stat().st_size == 1024 * 1024 - 100


def test_a_file_that_cannot_be_written_after_all_keeps_a_go_from_being_one(tmp_path: Path) -> None:
    # The file system takes this name, but not the longer one of the temporary file beside it.
    path = f"{'x' * 250}.json"
    done = golive("gate", "--select", "config.names-documented", "--database", "memory", "--output", f"json={path}", cwd=tmp_path)
    assert done.status == 3
    assert done.last_line == "HOLD"
    assert f"output.written: error: {path}: cannot be written" in done.output
    assert f"{path}: cannot be written" in done.errors


def test_a_baseline_says_what_changed_and_leaves_the_verdict_alone(tmp_path: Path) -> None:
    arguments = ["gate", "--select", "config.names-documented", "--database", "memory"]
    assert golive(*arguments, "--out", "runs/a", cwd=tmp_path).status == 0
    done = golive(*arguments, "--baseline", "runs", "--output", "sarif=x.sarif", cwd=tmp_path)
    assert done.status == 0
    assert "Changed against a (" in done.output
    assert ": 0 new, 0 flaky, 0 no longer answered, 0 still failing, 0 fixed" in done.output
    assert json.loads((tmp_path / "x.sarif").read_text())["runs"][0]["properties"]["baseline"]["against"].startswith("a (")


def test_a_run_is_judged_and_reported_by_the_policy_that_judged_it_first(tmp_path: Path) -> None:
    (tmp_path / "golive.toml").write_text(
        'schema_version = 1\n[release]\nname = "shop"\n[gate]\nrequired = ["config.names-documented"]\n'
    )
    at = datetime(2026, 11, 22, tzinfo=UTC)
    journal = Journal.create(tmp_path / "run" / "journal.jsonl", release={"name": "shop"}, now=lambda: at)
    evidence = (Evidence(label="names", value=3),)
    journal.append(Outcome(id="config.names-documented", status=Status.PASS, evidence=evidence, observed_at=at))
    # Nobody said yet by what: that of a rehearsal demands all the other parts.
    assert golive("judge", "run", cwd=tmp_path).status == 3
    named = golive("judge", "run", "--policy", "golive.toml", cwd=tmp_path)
    assert (named.status, named.last_line) == (0, "GO")
    for arguments in (["judge", "run"], ["judge", "run/journal.jsonl"], ["diff", "run", "--against", "run"]):
        assert golive(*arguments, cwd=tmp_path).status == 0, arguments
    assert golive("report", "run", cwd=tmp_path).status == 0
    assert "GO" in (tmp_path / "run" / "GOLIVE_EXECUTIVE_SUMMARY.md").read_text()[:200]
    (tmp_path / "golive.toml").unlink()
    lost = golive("judge", "run", cwd=tmp_path)
    assert lost.status == 2
    assert "run was judged by the policy 'shop', which is not found here; give --policy" in lost.errors
