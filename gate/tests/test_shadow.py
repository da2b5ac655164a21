"""What advisory checks said is collected, and a record that was tampered with is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate import shadow
from gate.errors import JournalError
from gate.model import Decision, Status, Verdict
from gate.tests.strategies import outcome


def verdict(decision: Decision) -> Verdict:
    return Verdict(decision=decision, policy="p")


def test_alarms_that_stand_alone_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "shadow.jsonl"
    shadow.append(path, [outcome("own.a", Status.FAIL), outcome("own.b", Status.PASS)], verdict(Decision.GO))
    shadow.append(path, [outcome("own.a", Status.FAIL)], verdict(Decision.NO_GO))
    shadow.append(path, [outcome("own.a", Status.PASS)], verdict(Decision.GO))
    assert list(shadow.summary(shadow.read(path))) == [
        "advisory own.a: 2 alarms in 3 runs, 1 of them where the release was GO without it",
        "advisory own.b: 0 alarms in 1 runs, 0 of them where the release was GO without it",
    ]


@pytest.mark.parametrize("line", ["nonsense", "{}", '{"id": "a", "status": "great", "decision": "GO", "at": "2026-01-01"}', "[]"])
def test_a_line_that_is_no_answer_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "shadow.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(JournalError, match="line 1"):
        shadow.read(path)


def test_a_record_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be written"):
        shadow.append(tmp_path / "file" / "shadow.jsonl", [outcome("own.a", Status.FAIL)], verdict(Decision.GO))
