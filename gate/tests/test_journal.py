"""The journal: what is written is read back, and whatever is not whole is noticed and named."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gate.errors import JournalError
from gate.journal import Journal, conclude, read, write_atomically
from gate.masking import Masker
from gate.model import Decision, Outcome, Status
from gate.policy import Policy
from gate.tests.strategies import outcome

TODAY = date(2026, 11, 22)
RELEASE = {"name": "wa", "version": "1.0.0", "commit": "abc"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "journal.jsonl"


def recorded(path: Path) -> Journal:
    journal = Journal.create(path, release=RELEASE)
    with journal.part("gate", expected=["schema.a", "schema.b"]):
        journal.append(outcome("schema.a", Status.PASS))
        journal.append(outcome("schema.b", Status.PASS))
        journal.fact("environment", {"python": "3.11"})
    return journal


def test_what_is_written_is_read_back(path: Path) -> None:
    recorded(path)
    recording = read(path)
    assert recording.release == RELEASE
    assert recording.outcomes == (outcome("schema.a", Status.PASS), outcome("schema.b", Status.PASS))
    assert recording.facts == {"environment": {"python": "3.11"}}
    assert recording.planned == {"schema.a", "schema.b"}
    assert recording.damage == ()
    assert recording.integrity().status is Status.PASS
    assert conclude(recording, Policy(name="p", required=("schema.*",)), TODAY).decision is Decision.GO


def test_a_journal_belongs_to_one_run(path: Path) -> None:
    recorded(path)
    with pytest.raises(JournalError, match="belongs to one run"):
        Journal.create(path, release=RELEASE)


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be created"):
        Journal.create(tmp_path / "file" / "journal.jsonl", release=RELEASE)


def test_deleted_outcomes_are_noticed_as_missing_records_and_as_missing_answers(path: Path) -> None:
    recorded(path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"kind":"outcome"' not in line))
    recording = read(path)
    assert recording.damage == ("line 3: records 2 to 3 are missing before it",)
    verdict = conclude(recording, Policy(name="p", required=("schema.*",)), TODAY)
    assert verdict.decision is Decision.HOLD
    assert {finding.id for finding in verdict.unanswered} >= {"journal.whole", "schema.a", "schema.b"}


def test_deleted_outcomes_hold_even_when_the_chain_was_mended(path: Path, tmp_path: Path) -> None:
    recorded(path)
    kept = [json.loads(line) for line in path.read_text().splitlines() if '"kind":"outcome"' not in line]
    forged = Journal.create(tmp_path / "forged.jsonl", release=RELEASE)
    with forged.part("gate", expected=next(record["expected"] for record in kept if record["kind"] == "begin")):
        pass
    recording = read(forged.path)
    assert recording.damage == ()
    assert conclude(recording, Policy(name="p", required=("schema.*",)), TODAY).decision is Decision.HOLD


def test_parts_that_a_run_planned_and_never_began_are_missed(path: Path) -> None:
    journal = Journal.create(path, release=RELEASE, expected=["schema.a", "smoke.login"])
    with journal.part("gate", expected=["schema.a"]):
        journal.append(outcome("schema.a", Status.PASS))
    verdict = conclude(read(path), Policy(name="p"), TODAY)
    assert [(finding.id, finding.why) for finding in verdict.unanswered] == [("smoke.login", "no answer")]


def test_an_edited_line_is_noticed(path: Path) -> None:
    recorded(path)
    path.write_text(path.read_text().replace('"label":"rows seen","value":1', '"label":"rows seen","value":9', 1))
    assert read(path).damage == ("line 3 was changed after it was written",)


def test_a_record_that_was_put_in_afterwards_is_noticed(path: Path, tmp_path: Path) -> None:
    recorded(path)
    other = Journal.create(tmp_path / "other.jsonl", release=RELEASE)
    for number in range(6):
        other.fact("made up", number)
    lines, made_up = path.read_text().splitlines(keepends=True), (tmp_path / "other.jsonl").read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:3], made_up[3], *lines[4:]]))
    assert read(path).damage[0] == "line 4 does not follow the record before it: one of them was put in afterwards"


def test_a_part_that_never_ended_is_named(path: Path) -> None:
    journal = Journal.create(path, release=RELEASE)
    with pytest.raises(KeyboardInterrupt), journal.part("load", expected=["load.requests"]):
        raise KeyboardInterrupt
    assert read(path).damage == ("part 'load' began and never ended",)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_wherever_a_journal_is_cut_it_never_reads_as_whole(tmp_path: Path, data: st.DataObject) -> None:
    source = tmp_path / "whole.jsonl"
    if not source.exists():
        recorded(source)
    whole = source.read_bytes()
    start = data.draw(st.integers(0, len(whole) - 1))
    stop = data.draw(st.integers(start + 1, len(whole)))
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(whole[:start] + whole[stop:])
    try:
        recording = read(cut)
    except JournalError:
        return
    assert recording.damage
    assert conclude(recording, Policy(name="p", required=("schema.*",)), TODAY).decision is not Decision.GO


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ({"kind": "rumour"}, "kind 'rumour' is not known"),
        ({"kind": "outcome", "outcome": {"id": "schema.a"}}, "outcome record is not well formed"),
        ({"kind": "end", "part": "never-begun"}, "ends without having begun"),
        ({"kind": "begin", "part": "gate", "expected": [1]}, "not a list of texts"),
        ({"kind": "fact"}, "fact record is not well formed"),
        ({"kind": "run", "schema_version": 1, "release": {}, "expected": []}, "another run begins here"),
    ],
)
def test_a_record_that_is_not_well_formed_is_damage(path: Path, record: dict[str, Any], complaint: str) -> None:
    journal = recorded(path)
    journal._write(record.pop("kind"), record)
    assert complaint in read(path).damage[0]


@pytest.mark.parametrize(
    "line",
    [
        b'{"seq":1e999,"kind":"fact","at":"2026-11-22T00:00:00+00:00","prev":"","sum":"0000000000000000"}',
        b'{"seq":8,"kind":"fact","at":"2026-11-22T00:00:00","prev":"","sum":"0000000000000000"}',
        b"[" * 200_000,
        b"\xff\xfe",
    ],
    ids=["an endless number", "a time without a zone", "nested without end", "no text"],
)
@pytest.mark.parametrize("place", [0, 9])
def test_a_line_that_is_no_record_is_damage_wherever_it_stands(path: Path, line: bytes, place: int) -> None:
    recorded(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:place], line + b"\n", *lines[place:]]))
    recording = read(path)
    assert any("is not a record of a journal" in damage for damage in recording.damage)
    assert conclude(recording, Policy(name="p", required=("schema.*",)), TODAY).decision is Decision.HOLD


def test_line_ends_of_windows_are_told_as_such(path: Path) -> None:
    recorded(path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert "line 1 is not a record of a journal (it ends as lines do on Windows)" in read(path).damage


@pytest.mark.parametrize(("hours", "damaged"), [(-1.0, False), (0.5, False), (30.0, True)])
def test_a_run_that_is_still_to_come_was_not_seen(path: Path, hours: float, damaged: bool) -> None:
    journal = Journal.create(path, release=RELEASE, now=lambda: datetime.now(UTC) + timedelta(hours=hours))
    journal.append(outcome("schema.a", Status.PASS))
    assert ["which is still to come" in damage for damage in read(path).damage] == [True] * damaged


def test_half_a_surrogate_pair_is_kept_as_an_escape(path: Path) -> None:
    journal = Journal.create(path, release=RELEASE)
    half = outcome("schema.a", Status.FAIL).as_json() | {"reason": "\ud83d was sent"}
    journal.append(Outcome.from_json(half))
    recording = read(path)
    assert recording.damage == ()
    assert recording.outcomes[0].reason == "\ud83d was sent"
    write_atomically(path.with_name("verdict.json"), json.dumps({"why": "\ud83d"}, ensure_ascii=False))
    assert json.loads(path.with_name("verdict.json").read_text()) == {"why": "\ud83d"}


def test_a_pass_without_evidence_in_a_journal_is_damage_and_no_pass(path: Path) -> None:
    journal = Journal.create(path, release=RELEASE)
    bare = outcome("schema.a", Status.PASS).as_json() | {"evidence": []}
    journal._write("outcome", {"outcome": bare})
    recording = read(path)
    assert recording.outcomes == ()
    assert "a pass needs evidence" in recording.damage[0]


def test_a_repeated_record_is_out_of_order(path: Path) -> None:
    recorded(path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[2]]))
    assert "record 2 is out of order" in read(path).damage[0]


def test_an_unknown_schema_version_is_not_guessed_at(path: Path) -> None:
    recorded(path)
    path.write_text(path.read_text().replace('"schema_version":1', '"schema_version":99'))
    with pytest.raises(JournalError, match="schema_version 99 is not known"):
        read(path)


def test_a_missing_journal_says_what_writes_one(path: Path) -> None:
    with pytest.raises(JournalError, match="golive rehearse --out"):
        read(path)


def test_a_journal_that_is_a_directory_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be read"):
        read(tmp_path)


def test_an_empty_journal_is_damaged(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    recording = read(path)
    assert recording.damage == ("the first record, which names the release, is missing",)
    assert recording.integrity().status is Status.ERROR


def test_many_damages_are_counted_beyond_the_third(path: Path) -> None:
    journal = Journal.create(path, release=RELEASE)
    for _ in range(5):
        journal._write("rumour", {})
    assert read(path).integrity().reason.endswith("; and 2 more")


@pytest.mark.parametrize("tail", [b'{"seq":', b"not json\n", b'{"no":"seq"}\n'])
def test_a_journal_with_a_broken_end_cannot_be_continued(path: Path, tail: bytes) -> None:
    journal = recorded(path)
    with path.open("ab") as file:
        file.write(tail)
    with pytest.raises(JournalError, match="cannot be continued"):
        journal.fact("x", 1)


def test_a_full_disk_leaves_what_was_written_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = recorded(path)
    before = path.read_bytes()
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real_write(descriptor, data[: len(data) // 2]))
    with pytest.raises(JournalError, match=os.strerror(errno.ENOSPC)):
        journal.fact("big", "x" * 1000)
    assert path.read_bytes() == before
    monkeypatch.undo()
    journal.fact("small", 1)
    assert read(path).damage == ()


def test_a_line_longer_than_a_block_can_be_followed(path: Path) -> None:
    journal = recorded(path)
    journal.fact("long", "x" * 200_000)
    journal.fact("after", 1)
    recording = read(path)
    assert recording.damage == ()
    assert recording.facts["after"] == 1


def _append_many(path: Path, name: str) -> None:
    journal = Journal(path)
    for number in range(40):
        journal.fact(f"{name}-{number}", number)


@pytest.mark.process
def test_processes_that_append_at_once_leave_one_unbroken_chain(path: Path) -> None:
    recorded(path)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many, args=(path, f"writer{index}")) for index in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 4
    recording = read(path)
    assert recording.damage == ()
    assert len(recording.facts) == 1 + 4 * 40


def _append_for_ever(path: Path) -> None:
    journal = Journal(path)
    number = 0
    while True:
        number += 1
        journal.fact(f"fact-{number}", "x" * 500)


@pytest.mark.process
def test_a_writer_killed_at_work_leaves_no_line_that_reads_as_whole_but_is_not(path: Path) -> None:
    recorded(path)
    size = path.stat().st_size
    writer = multiprocessing.get_context("spawn").Process(target=_append_for_ever, args=(path,))
    writer.start()
    while path.stat().st_size < size + 20_000:
        assert writer.is_alive()
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join(30)
    recording = read(path)
    whole = path.read_bytes().endswith(b"\n")
    assert bool(recording.damage) == (not whole)
    assert len(recording.facts) > 20


def test_secrets_and_phones_never_reach_the_file(path: Path) -> None:
    journal = Journal.create(
        path, release=RELEASE | {"url": "postgresql://u:canary-password@h/d"}, masker=Masker(["canary-key-1"])
    )
    journal.fact("canary-key-1", {"text": "canary-key-1 5511988887777", "password": "canary-word"})
    text = path.read_text()
    assert "canary-" not in text
    assert "5511988887777" not in text


def test_a_file_is_replaced_in_one_step_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "verdict.json"
    write_atomically(target, "one")
    write_atomically(target, "two")
    assert target.read_text() == "two"
    assert [item.name for item in target.parent.iterdir()] == ["verdict.json"]
    with pytest.raises(JournalError, match="cannot be written"):
        write_atomically(tmp_path / "deep", "a file where a directory is")
    with pytest.raises(JournalError, match="cannot be written"):
        write_atomically(target / "below-a-file.json", "text")
    assert [item.name for item in tmp_path.iterdir()] == ["deep"]


@pytest.mark.parametrize("statuses", [[], [Status.SKIP], [Status.SKIP, Status.SKIP]])
def test_a_whole_journal_in_which_nothing_passed_is_hold(path: Path, statuses: list[Status]) -> None:
    journal = Journal.create(path, release=RELEASE)
    for number, status in enumerate(statuses):
        journal.append(outcome(f"schema.n-{number}", status))
    verdict = conclude(read(path), Policy(name="p", may_skip=("*",)), TODAY)
    assert verdict.decision is Decision.HOLD
    assert [finding.why for finding in verdict.unanswered] == ["nothing passed: nothing seen is never GO"]


def test_an_end_is_on_disk_with_all_before_it_and_outcomes_do_not_wait_for_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync

    def counted(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    moments = iter(number / 1000 for number in range(100_000))
    monkeypatch.setattr("gate.journal.time.monotonic", lambda: next(moments))
    journal = Journal.create(path, release=RELEASE)
    with journal.part("gate"):
        before = len(synced)
        for number in range(1000):
            journal.append(outcome(f"schema.n-{number}", Status.PASS))
        # A thousand outcomes in a second on that clock.
        assert 8 <= len(synced) - before <= 12
    assert synced[-1] == path.stat().st_size


def test_two_writers_who_take_turns_keep_one_unbroken_chain(path: Path) -> None:
    first = Journal.create(path, release=RELEASE)
    second = Journal(path)
    for number in range(20):
        (first if number % 3 else second).append(outcome(f"schema.n-{number}", Status.PASS))
    assert read(path).damage == ()
    assert len(read(path).outcomes) == 20
