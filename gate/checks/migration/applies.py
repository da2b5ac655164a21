"""The migration runs on the previous schema with rows in it, and takes nothing away.

Why: what runs on empty tables fails over rows, at night, half way through; and a column or row that is gone does not come back.
Fix: give new columns a default or let them be null, fill them in pages, and drop what is old with a later release.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive, NotApplicable
from gate.facts.rehearsed import Rehearsed
from gate.facts.worlds import MigrationScript
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=61)
def run(rehearsed: Rehearsed | None) -> Iterator[Evidence]:
    if rehearsed is None:
        raise NotApplicable("the migration is SQL for Postgres, and there is no Postgres here to try it on")
    if rehearsed.error:
        raise Failure(f"{rehearsed.script} fails on the previous schema with rows in it, at {rehearsed.error}")
    if rehearsed.lost:
        raise Failure(f"{rehearsed.script} takes away what the running release uses: {'; '.join(rehearsed.lost[:5])}")
    fewer = [
        f"{table} had {rows} rows and has {rehearsed.rows_after[table]}"
        for table, rows in rehearsed.rows_before.items()
        if rehearsed.rows_after[table] < rows
    ]
    if fewer:
        raise Failure(f"{rehearsed.script} loses rows: {'; '.join(fewer)}")
    if rehearsed.emptied:
        raise Failure(f"{rehearsed.script} takes away what rows said: {'; '.join(rehearsed.emptied[:5])}")
    if not rehearsed.steps or not any(rehearsed.rows_before.values()):
        raise Inconclusive(f"{rehearsed.script} has no statement, or there was no row for it: nothing was tried")
    yield Evidence(label="statements", value=len(rehearsed.steps))
    yield Evidence(label="rows in all tables", value=sum(rehearsed.rows_before.values()))
    yield Evidence(label="in", value=round(sum(step.seconds for step in rehearsed.steps), 3), unit="s")


@run.breaks
def a_column_that_rows_cannot_have(script: MigrationScript) -> None:
    script.append("ALTER TABLE messages ADD COLUMN needed text NOT NULL")


@run.breaks
def drops_a_column(script: MigrationScript) -> None:
    script.append("ALTER TABLE messages DROP COLUMN content")


@run.breaks
def changes_a_type(script: MigrationScript) -> None:
    script.append("ALTER TABLE messages ALTER COLUMN external_id TYPE varchar(200)")


@run.breaks
def loses_rows(script: MigrationScript) -> None:
    script.append("DELETE FROM messages WHERE id = (SELECT min(id::text)::uuid FROM messages)")


@run.breaks
def empties_a_column(script: MigrationScript) -> None:
    script.append("UPDATE messages SET external_id = NULL WHERE external_id IS NOT NULL")
