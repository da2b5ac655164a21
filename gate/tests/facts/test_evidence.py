"""Journals of other parts: whatever is missing, cut, foreign, stale or not over holds the release, or stops it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gate.errors import Failure, GateError, Inconclusive, NotApplicable
from gate.facts import throwaway
from gate.facts.catalog import digest, snapshot
from gate.facts.evidence import FAMILIES, read
from gate.facts.evidence_verdict import judge_part
from gate.facts.expected import load
from gate.facts.part_journals import COMMIT, PartJournals
from gate.facts.subject import Journals, Subject
from gate.facts.worlds import RepositoryCopy
from gate.model import Status
from gate.tests.strategies import outcome

Judged = Callable[..., list[str]]


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with throwaway.on_sqlite() as made:
        made.execute("CREATE TABLE notes (text TEXT)")
        yield made.url


@pytest.fixture
def released(database: str) -> Subject:
    return Subject(schema=load("seed"), database_url=database)


@pytest.fixture
def journals(tmp_path: Path, database: str) -> PartJournals:
    return PartJournals.sound(tmp_path, digest(snapshot(database, "main")))


@pytest.fixture
def judged(journals: PartJournals, released: Subject) -> Judged:
    def judge(**change: Any) -> list[str]:
        subject = replace(released, journals=replace(journals.named, **change))
        return [str(piece) for piece in judge_part(read(subject), "smoke")]

    return judge


def test_sound_journals_pass_and_say_what_was_seen(journals: PartJournals, judged: Judged) -> None:
    assert judged() == [
        "smoke executed: 2",
        "smoke pinned: 2",
        f"commit: {COMMIT[:12]}",
        f"schema digest: {journals.digest[:12]}",
        "age: 1 h",
    ]


def cut_last_line(journals: PartJournals) -> None:
    path = journals.path / "smoke" / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-30])


def never_ended(journals: PartJournals) -> None:
    path = journals.path / "smoke" / "journal.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def edited(journals: PartJournals) -> None:
    journals.fail("smoke")
    path = journals.path / "smoke" / "journal.jsonl"
    path.write_text(path.read_text().replace('"status":"fail"', '"status":"pass"'))


def marked(word: str) -> Callable[[PartJournals], None]:
    def mark(journals: PartJournals) -> None:
        path = journals.path / "smoke" / "journal.jsonl"
        path.write_text(path.read_text().replace('"status":"pass"', f'"status":"{word}"', 1))

    return mark


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda world: (world.path / "smoke" / "journal.jsonl").unlink(), "no such journal"),
        (lambda world: (world.path / "smoke" / "journal.jsonl").write_text(""), "names no commit"),
        (lambda world: (world.path / "smoke" / "journal.jsonl").write_text('{"status": "GO"}\n'), "names no commit"),
        (lambda world: (world.path / "smoke" / "journal.jsonl").write_bytes(b"\xff\x00\n"), "names no commit"),
        (cut_last_line, "is not whole: line"),
        (never_ended, "is not whole: part 'smoke' began and never ended"),
        (edited, "is not whole: line"),
        (marked("running"), "is not whole"),
        (marked("expected"), "is not whole"),
        (lambda world: world.write("smoke", answers={}), "0 smoke were executed"),
        (lambda world: world.write("smoke", answers={"smoke.number-1": Status.PASS}), "1 of 2 smoke were not executed"),
        (lambda world: world.write("smoke", commit=""), "names no commit"),
        (lambda world: world.write("smoke", release={"dirty": True}), "changes that are in no commit"),
        *(
            (lambda world, status=status: world.write("smoke", answers={"smoke.number-1": status, "smoke.number-2": Status.PASS}),
             "1 of 2 smoke did not pass: smoke.number-1")
            for status in (Status.ERROR, Status.INCONCLUSIVE, Status.SKIP, Status.WARN)
        ),
    ],
)  # fmt: skip
def test_what_was_not_seen_is_never_a_pass(
    journals: PartJournals, spoil: Callable[[PartJournals], object], complaint: str, judged: Judged
) -> None:
    spoil(journals)
    with pytest.raises((Inconclusive, GateError)) as refused:
        judged()
    assert complaint in str(refused.value)


def test_a_skip_that_the_release_allows_is_an_answer(journals: PartJournals, judged: Judged) -> None:
    journals.write("smoke", answers={"smoke.number-1": Status.SKIP, "smoke.number-2": Status.PASS})
    assert judged(may_skip=("smoke.number-1",))


def test_a_part_that_was_narrowed_is_not_complete(journals: PartJournals, judged: Judged) -> None:
    """What the journal planned is not all that is pinned: a selection by tag plans fewer."""
    with pytest.raises(Inconclusive, match="1 of 3 smoke were not executed: smoke.number-3"):
        judged(pinned=lambda: {"smoke": frozenset({"smoke.number-1", "smoke.number-2", "smoke.number-3"})})


def test_a_journal_of_another_part_is_none_of_this(journals: PartJournals, judged: Judged) -> None:
    with pytest.raises(Inconclusive, match="no part called smoke"):
        judged(paths={"smoke": journals.path / "load"})
    with pytest.raises(GateError, match=r"name it \(evidence.smoke\)"):
        judged(paths={})


def test_what_has_no_commit_cannot_be_bound(journals: PartJournals, tmp_path: Path, released: Subject) -> None:
    subject = replace(released, repository=tmp_path, journals=replace(journals.named, commit="", committed_at=None))
    with pytest.raises(Inconclusive, match="has no commit"):
        list(judge_part(read(subject), "smoke"))


def test_the_commit_is_that_of_the_repository(journals: PartJournals, tmp_path: Path, released: Subject) -> None:
    copy = RepositoryCopy(path=tmp_path / "repository")
    copy.path.mkdir()
    copy.git("init", "--quiet")
    copy.write("a", "1")
    copy.commit("one")
    subject = replace(released, repository=copy.path, journals=replace(journals.named, commit="", committed_at=None))
    with pytest.raises(Failure, match=f"is of commit {COMMIT[:12]}, expected"):
        list(judge_part(read(subject), "smoke"))
    journals.write("smoke", commit=read(subject).commit)
    with pytest.raises(Failure, match="before its commit was made"):
        list(judge_part(read(subject), "smoke"))


def test_a_failure_that_was_tried_again_stays_one(journals: PartJournals, judged: Judged) -> None:
    again = journals.write("smoke", answers={"smoke.number-1": Status.FAIL, "smoke.number-2": Status.PASS})
    again.append(outcome("smoke.number-1", Status.PASS))
    with pytest.raises(Failure, match="1 of 2 smoke failed"):
        judged()


@given(st.dictionaries(st.sampled_from(["smoke.number-1", "smoke.number-2", "smoke.x"]), st.sampled_from(Status)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_only_all_of_them_passed_is_a_pass(journals: PartJournals, judged: Judged, answers: dict[str, Status]) -> None:
    journals.write("smoke", answers=answers)
    try:
        passed = bool(judged())
    except (Failure, Inconclusive):
        passed = False
    assert passed == (answers == {"smoke.number-1": Status.PASS, "smoke.number-2": Status.PASS})


def test_a_file_of_json_that_is_no_journal_proves_nothing(journals: PartJournals, tmp_path: Path, judged: Judged) -> None:
    (tmp_path / "results.json").write_text(
        json.dumps({"commit": COMMIT, "results": [{"id": "smoke.number-1", "status": "expected"}]})
    )
    with pytest.raises((Inconclusive, GateError)):
        judged(paths={"smoke": tmp_path / "results.json"})


def test_no_journals_at_all_do_not_apply() -> None:
    assert read(Subject(schema=load("seed"), journals=None)).asked == frozenset()
    assert read(Subject(schema=load("seed"), journals=Journals())).asked == frozenset(FAMILIES)
    assert read(Subject(schema=load("seed"), journals=Journals(asked=frozenset({"proof"})))).asked == {"proof"}


def test_a_database_that_cannot_be_read_binds_nothing(journals: PartJournals, released: Subject) -> None:
    for url, words in (("", "no database was given"), ("sqlite:////nowhere.sqlite", "no such file")):
        subject = replace(released, database_url=url, journals=journals.named)
        with pytest.raises(GateError, match=words):
            list(judge_part(read(subject), "smoke"))


def test_a_proof_is_bound_to_the_commit_and_to_no_schema(journals: PartJournals, released: Subject) -> None:
    def judged() -> list[str]:
        return [str(piece) for piece in judge_part(read(replace(released, database_url="", journals=journals.named)), "proof")]

    journals.write("proof", schema_digest="f00d" * 16)
    assert judged()[:3] == ["proof executed: 2", "proof pinned: 2", f"commit: {COMMIT[:12]}"]
    journals.write("proof", commit="f00d" * 10)
    with pytest.raises(Failure, match="the journal of proof is of commit f00df00df00d"):
        judged()


def test_what_is_not_asked_for_does_not_apply(journals: PartJournals, released: Subject) -> None:
    subject = replace(released, journals=replace(journals.named, asked=frozenset({"proof"})))
    assert list(judge_part(read(subject), "proof"))
    with pytest.raises(NotApplicable, match="no journal of smoke is named"):
        list(judge_part(read(subject), "smoke"))
