"""A second run of the migration changes nothing: no definition, no row.

Why: a migration that was stopped half way is run again; what it then does twice – one more index, rows written again – is found
weeks later.
Fix: let each statement look for what it makes, and update only rows that are not as they should be.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive, NotApplicable
from gate.facts.rehearsed import Rehearsed
from gate.facts.worlds import MigrationScript
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=62)
def run(rehearsed: Rehearsed | None) -> Iterator[Evidence]:
    if rehearsed is None:
        raise NotApplicable("the migration is SQL for Postgres, and there is no Postgres here to try it on")
    if rehearsed.error:
        raise Inconclusive(f"{rehearsed.script} does not run once, so nobody knows of twice: {rehearsed.error}")
    if rehearsed.second_error:
        raise Failure(f"{rehearsed.script} fails when it is run again, at {rehearsed.second_error}")
    if rehearsed.changed_again:
        raise Failure(f"{rehearsed.script} changes the schema when it is run again: {'; '.join(rehearsed.changed_again[:3])}")
    if rehearsed.written_again:
        rows = ", ".join(f"{number} of {table}" for table, number in sorted(rehearsed.written_again.items()))
        raise Failure(f"{rehearsed.script} writes rows when it is run again: {rows}; expected none")
    yield Evidence(label="statements run twice", value=len(rehearsed.steps))
    yield Evidence(label="definitions changed", value=0)
    yield Evidence(label="rows written", value=0)


@run.breaks
def makes_a_table_each_time(script: MigrationScript) -> None:
    script.append("CREATE TABLE made_once (id integer)")


@run.breaks
def makes_one_more_index_each_time(script: MigrationScript) -> None:
    script.append("CREATE INDEX ON campaigns (name)")


@run.breaks
def writes_every_row_each_time(script: MigrationScript) -> None:
    script.append("UPDATE messages SET retry_count = 0")
