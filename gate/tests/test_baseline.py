"""The run to compare with: one by its path, or the last GO of several; a damaged one is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gate.baseline import identity_of, last_go, schema_digest
from gate.errors import JournalError, UsageError
from gate.journal import JOURNAL, Journal, read
from gate.model import Status
from gate.policy import Policy
from gate.tests.strategies import outcome

POLICY = Policy(name="test")
RELEASE: dict[str, object] = {"name": "shop", "version": "1.2", "commit": "c0ffee" * 6, "dirty": False}


def recorded(directory: Path, *statuses: Status, day: int = 1, release: dict[str, object] | None = None) -> Path:
    journal = Journal.create(
        directory / JOURNAL, release=release or RELEASE, now=lambda: datetime(2026, 11, day, 12, 0, tzinfo=UTC)
    )
    for number, status in enumerate(statuses):
        journal.append(outcome(f"schema.n-{number}", status))
    return directory


def test_a_run_is_taken_by_its_directory_or_its_journal(tmp_path: Path) -> None:
    run = recorded(tmp_path / "monday", Status.PASS)
    by_directory, by_journal = last_go(run, POLICY), last_go(run / JOURNAL, POLICY)
    assert by_directory == by_journal
    assert by_directory.decision == "GO"
    assert by_directory.name == "monday (shop 1.2, c0ffeec0ffee)"


def test_a_run_that_was_no_go_can_be_compared_with_and_says_so(tmp_path: Path) -> None:
    assert last_go(recorded(tmp_path / "a", Status.FAIL), POLICY).decision == "NO-GO"


def test_of_a_directory_of_runs_the_newest_go_is_taken(tmp_path: Path) -> None:
    recorded(tmp_path / "a", Status.PASS, day=1)
    recorded(tmp_path / "b", Status.PASS, Status.PASS, day=3)
    recorded(tmp_path / "c", Status.FAIL, day=5)
    recorded(tmp_path / "d", day=6)
    damaged = recorded(tmp_path / "e", Status.PASS, day=7) / JOURNAL
    damaged.write_bytes(damaged.read_bytes()[:-20])
    assert last_go(tmp_path, POLICY).name.startswith("b ")


def test_where_there_is_no_go_nothing_is_made_up(tmp_path: Path) -> None:
    recorded(tmp_path / "runs" / "c", Status.FAIL)
    with pytest.raises(UsageError, match="none of its 1 runs is a GO by the policy test"):
        last_go(tmp_path / "runs", POLICY)
    with pytest.raises(UsageError, match="no such run"):
        last_go(tmp_path / "nowhere", POLICY)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"neither a run \(it has no journal.jsonl\) nor a directory of runs"):
        last_go(tmp_path / "empty", POLICY)


def test_a_damaged_run_is_refused_because_what_was_cut_would_look_new(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a", Status.PASS, Status.FAIL) / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-2], lines[-1]]))
    with pytest.raises(JournalError, match="not whole"):
        last_go(tmp_path / "a", POLICY)


def test_only_a_clean_commit_and_the_schema_say_that_two_runs_saw_the_same(tmp_path: Path) -> None:
    run = recorded(tmp_path / "a", Status.PASS)
    Journal(run / JOURNAL).fact("schema_digest", "5c4e3a")
    recording = read(run / JOURNAL)
    assert schema_digest(recording) == "5c4e3a"
    assert identity_of(recording) == (RELEASE["commit"], "5c4e3a")
    changes: tuple[dict[str, object], ...] = ({"dirty": True}, {"commit": ""})
    for number, change in enumerate(changes):
        other = recorded(tmp_path / f"other-{number}", Status.PASS, release={**RELEASE, **change})
        assert identity_of(read(other / JOURNAL)) == ()
