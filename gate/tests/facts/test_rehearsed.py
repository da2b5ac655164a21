"""A migration that is not ours is tried as ours is: over rows that are made from whatever its schema says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gate.errors import GateError
from gate.facts import convoy, metadata, old_statements, rehearsed
from gate.facts.expected import load
from gate.facts.rehearsed import numbered
from gate.facts.subject import Subject

FOREIGN = """
CREATE SCHEMA crm;
CREATE TYPE crm.mood AS ENUM ('good', 'bad');
CREATE TABLE crm."Company" (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name varchar(40) NOT NULL UNIQUE,
  mood crm.mood NOT NULL,
  parent integer REFERENCES crm."Company" (id),
  tags text[] NOT NULL,
  shown text GENERATED ALWAYS AS (upper(name)) STORED
);
CREATE TABLE public.people (
  company integer NOT NULL REFERENCES crm."Company" (id),
  number smallint NOT NULL,
  state char(1) NOT NULL CHECK (state IN ('a', 'b')),
  born date, at timestamptz NOT NULL, data jsonb NOT NULL, raw bytea NOT NULL, score numeric(10, 2) NOT NULL, ok boolean NOT NULL,
  PRIMARY KEY (company, number)
);
CREATE TABLE public.visits (
  id bigserial PRIMARY KEY, company integer NOT NULL, number smallint NOT NULL, host inet, took interval,
  FOREIGN KEY (company, number) REFERENCES people (company, number)
);
CREATE VIEW public.known AS SELECT name FROM crm."Company";
"""


@pytest.fixture
def foreign(tmp_path: Path, postgres_url: str) -> Callable[..., Subject]:
    def made(migration: str, baseline: str = FOREIGN, **fields: Any) -> Subject:
        (tmp_path / "before.sql").write_text(baseline, encoding="utf-8")
        (tmp_path / "change.sql").write_text(migration, encoding="utf-8")
        return Subject(
            schema=load("seed"),
            scratch_url=postgres_url,
            baseline=tmp_path / "before.sql",
            migration=tmp_path / "change.sql",
            **fields,
        )

    return made


@pytest.mark.postgres
def test_rows_are_made_for_a_schema_that_is_not_ours(foreign: Callable[..., Subject]) -> None:
    found = rehearsed.read(foreign("SET lock_timeout = '100ms'; ALTER TABLE people ADD COLUMN late text"))
    assert found is not None
    assert (found.error, found.rows_before) == ("", {"crm.Company": 200, "people": 200, "visits": 200})
    assert (
        found.second_error
        == 'line 1 (ALTER TABLE people ADD COLUMN late text): column "late" of relation "people" already exists'
    )


@pytest.mark.postgres
def test_what_a_statement_holds_rewrites_and_reads_is_told(foreign: Callable[..., Subject]) -> None:
    script = """-- a comment
SET lock_timeout = '100ms';
ALTER TABLE people ALTER COLUMN number TYPE integer;

/* another */ CREATE INDEX on_at ON people (at);
CREATE INDEX CONCURRENTLY on_born ON people (born);
ALTER TABLE people ADD CONSTRAINT sane CHECK (score >= 0) NOT VALID;
ALTER TABLE people VALIDATE CONSTRAINT sane"""
    found = rehearsed.read(
        foreign(
            script.replace(
                "ALTER TABLE people ALTER",
                "ALTER TABLE visits DROP COLUMN company, DROP COLUMN number;\nALTER TABLE people ALTER",
            )
        )
    )
    assert found is not None
    steps = {step.title.partition(" (")[0]: step for step in found.steps}
    rewritten = next(step for title, step in steps.items() if "TYPE integer" in title)
    assert (rewritten.line, rewritten.rewritten, rewritten.lock_timeout_ms) == (4, ("people",), 100)
    indexed = next(step for title, step in steps.items() if title.startswith("CREATE INDEX on_at"))
    assert [(lock.relation, lock.mode, lock.blocks) for lock in indexed.locks if lock.blocks] == [
        ("people", "ShareLock", "writes")
    ]
    assert indexed.scanned["people"] == 200
    assert indexed.line == 6
    concurrent = next(step for title, step in steps.items() if "CONCURRENTLY" in title)
    assert concurrent.watched
    assert not any(lock.blocks for lock in concurrent.locks)
    assert not any(lock.blocks for lock in steps["ALTER TABLE people VALIDATE CONSTRAINT sane"].locks)
    assert found.lost == (
        "column people.number is integer, and was smallint",
        "column visits.company is gone",
        "column visits.number is gone",
    )


@pytest.mark.postgres
def test_locks_of_a_script_that_opens_its_own_transaction_are_seen(foreign: Callable[..., Subject]) -> None:
    found = rehearsed.read(foreign("BEGIN; SET LOCAL lock_timeout = '1s'; ALTER TABLE people ADD COLUMN late text; COMMIT;"))
    assert found is not None
    (step,) = [step for step in found.steps if step.title.startswith("ALTER")]
    assert [(lock.relation, lock.mode) for lock in step.locks if lock.blocks] == [("people", "AccessExclusiveLock")]
    assert step.lock_timeout_ms == 1000


@pytest.mark.postgres
def test_a_failing_statement_is_told_with_its_line(foreign: Callable[..., Subject]) -> None:
    found = rehearsed.read(foreign("SET lock_timeout = '1s';\n\nALTER TABLE people ADD COLUMN needed text NOT NULL;\n"))
    assert found is not None
    assert found.error.startswith("line 3 (ALTER TABLE people ADD COLUMN needed text NOT NULL): column")


@pytest.mark.postgres
def test_given_rows_are_used_and_refused_ones_are_an_error(foreign: Callable[..., Subject], tmp_path: Path) -> None:
    rows = tmp_path / "rows.sql"
    rows.write_text("INSERT INTO crm.\"Company\" (name, mood, tags) VALUES ('a', 'good', '{}');")
    found = rehearsed.read(foreign("SELECT 1", migration_rows=rows))
    assert found is not None
    assert found.rows_before == {"crm.Company": 1, "people": 0, "visits": 0}
    rows.write_text("INSERT INTO nowhere VALUES (1);")
    with pytest.raises(GateError, match="the given rows are refused"):
        rehearsed.read(foreign("SELECT 1", migration_rows=rows))


@pytest.mark.postgres
def test_rows_that_cannot_be_made_are_an_error_that_says_what_to_do(foreign: Callable[..., Subject]) -> None:
    baseline = "CREATE TABLE odd (at text NOT NULL CHECK (at ~ '^x{7}$'));"
    with pytest.raises(GateError, match=r"no rows can be made for odd .*name a file with rows"):
        rehearsed.read(foreign("SELECT 1", baseline))


@pytest.mark.postgres
@pytest.mark.parametrize(("baseline", "why"), [("CREATE TABLE;", "throw-away database"), ("SELECT 1", "makes no table")])
def test_a_baseline_that_cannot_be_used_is_an_error(foreign: Callable[..., Subject], baseline: str, why: str) -> None:
    with pytest.raises(GateError, match=why):
        rehearsed.read(foreign("SELECT 1", baseline))


@pytest.mark.postgres
def test_old_statements_of_a_foreign_release_are_tried(foreign: Callable[..., Subject], tmp_path: Path) -> None:
    given = tmp_path / "previous.sql"
    given.write_text("SELECT name, mood FROM crm.\"Company\"; UPDATE people SET state = 'b';")
    harmless = old_statements.read(foreign("ALTER TABLE people ADD COLUMN late text", previous_statements=given))
    assert harmless is not None
    assert (harmless.given, harmless.refused, harmless.tried > 10) == (2, (), True)
    renamed = old_statements.read(foreign("ALTER TABLE people RENAME COLUMN state TO status", previous_statements=given))
    assert renamed is not None
    assert any('column "state"' in refused for refused in renamed.refused)
    given.write_text("SELECT nobody FROM people;")
    with pytest.raises(GateError, match="is refused by its own schema"):
        old_statements.read(foreign("SELECT 1", previous_statements=given))


@pytest.mark.postgres
def test_a_foreign_migration_is_drilled(foreign: Callable[..., Subject]) -> None:
    patient = convoy.read(foreign("ALTER TABLE people ADD COLUMN IF NOT EXISTS late text"))
    assert patient is not None
    assert (patient.waited_ms > 250, patient.waited_for, patient.gave_up) == (True, "people", 0)
    brief = convoy.read(foreign("SET lock_timeout = '50ms'; ALTER TABLE people ADD COLUMN IF NOT EXISTS late text"))
    assert brief is not None
    assert brief.waited_ms <= 250
    assert brief.gave_up >= 1
    assert (brief.finished, brief.refused) == (True, ())
    assert brief.statements > 0


@pytest.mark.postgres
def test_metadata_that_cannot_be_had_is_an_error(foreign: Callable[..., Subject]) -> None:
    for name, why in (("nobody.has_it:metadata", "ModuleNotFoundError"), ("json:JSONDecoder", "AttributeError")):
        with pytest.raises(GateError, match=why):
            metadata.read(foreign("SELECT 1", metadata=name))


@pytest.mark.postgres
def test_without_a_migration_nothing_is_tried(postgres_url: str) -> None:
    for read in (rehearsed.read, convoy.read, old_statements.read):
        with pytest.raises(GateError, match="no migration to try"):
            read(Subject(schema=load("seed"), scratch_url=postgres_url))
    assert rehearsed.read(Subject(schema=load("seed"), database_url="sqlite://")) is None


def test_lines_are_those_of_the_statement_and_not_of_its_comment() -> None:
    script = "-- one\n\nSELECT 1;\n-- two\n/* three\n*/ SELECT\n 2;\nSELECT 1;"
    assert [(number, line) for number, line, _ in numbered(script)] == [(1, 3), (2, 6), (3, 8)]


@pytest.mark.postgres
def test_values_that_are_gone_are_counted_though_every_row_is_there(foreign: Callable[..., Subject]) -> None:
    found = rehearsed.read(foreign("UPDATE people SET born = NULL"))
    assert found is not None
    assert (found.rows_after["people"], found.lost) == (200, ())
    assert found.emptied == ("people.born had 200 values and has 0",)
