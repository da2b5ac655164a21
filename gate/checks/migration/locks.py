"""No statement of the migration stops the running release for long.

Why: a table that is rewritten or read through under a lock stands still, the longer the larger it is; and a statement that waits
for its lock without limit makes everybody behind it wait.
Fix: CREATE INDEX CONCURRENTLY; ADD CONSTRAINT … NOT VALID and VALIDATE by itself; SET lock_timeout before anything else.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive, NotApplicable
from gate.facts.rehearsed import Rehearsed, Step
from gate.facts.worlds import MigrationScript
from gate.model import Evidence, Severity
from gate.registry import check

LONGEST_TIMEOUT_MS = 5000


@check(severity=Severity.CRITICAL, order=63)
def run(rehearsed: Rehearsed | None) -> Iterator[Evidence]:
    if rehearsed is None:
        raise NotApplicable("the migration is SQL for Postgres, and there is no Postgres here to try it on")
    if rehearsed.error:
        raise Inconclusive(f"{rehearsed.script} does not run to its end, so not every lock was seen: {rehearsed.error}")
    faults = [fault for step in rehearsed.steps for fault in _faults(step, rehearsed)]
    if faults:
        raise Failure("; ".join(faults[:4]) + (f"; and {len(faults) - 4} more" if len(faults) > 4 else ""))
    blocking = [(step, lock) for step in rehearsed.steps for lock in step.locks if lock.blocks]
    yield Evidence(label="statements traced", value=len(rehearsed.steps))
    yield Evidence(label="of them watched from outside", value=sum(step.watched for step in rehearsed.steps))
    yield Evidence(label="locks that block, all without reading or rewriting a table", value=len(blocking))
    for step, lock in sorted(blocking, key=lambda pair: -pair[1].held_s)[:3]:
        yield Evidence(
            label=f"{step.shown}: {lock.mode} on {lock.relation}, blocks {lock.blocks}, held",
            value=round(lock.held_s * 1000, 1),
            unit="ms",
        )


def _faults(step: Step, rehearsed: Rehearsed) -> Iterator[str]:
    for table in step.rewritten:
        if rehearsed.rows_before.get(table):
            yield f"{step.shown} rewrites {table}, which nobody can read or write meanwhile"
    # The strongest of a statement's locks on a table speaks for the others.
    strongest = {lock.relation: lock for lock in sorted(step.locks, key=lambda lock: len(lock.blocks)) if lock.blocks}
    for table, lock in sorted(strongest.items()):
        read = step.scanned.get(table, 0)
        if rehearsed.rows_before.get(table) and read >= rehearsed.rows_before[table] and table not in step.rewritten:
            yield f"{step.shown} reads all of {table} while its {lock.mode} blocks {lock.blocks}"
    if strongest and not 0 < step.lock_timeout_ms <= LONGEST_TIMEOUT_MS:
        limit = f"a lock_timeout of {step.lock_timeout_ms} ms" if step.lock_timeout_ms else "no lock_timeout"
        table, lock = min(strongest.items(), key=lambda pair: pair[0])
        yield f"{step.shown} takes {lock.mode} on {table} with {limit}, expected at most {LONGEST_TIMEOUT_MS} ms"


@run.breaks
def an_index_while_nobody_may_write(script: MigrationScript) -> None:
    script.append("CREATE INDEX IF NOT EXISTS made_under_a_lock ON messages (content)")


@run.breaks
def a_table_rewritten(script: MigrationScript) -> None:
    script.append("ALTER TABLE messages ADD COLUMN made_at timestamptz DEFAULT clock_timestamp()")


@run.breaks
def a_check_over_all_rows(script: MigrationScript) -> None:
    script.append("ALTER TABLE messages ADD CONSTRAINT said_something CHECK (content <> '')")


@run.breaks
def not_null_over_all_rows(script: MigrationScript) -> None:
    script.append("ALTER TABLE messages ALTER COLUMN external_id SET NOT NULL")


@run.breaks
def waits_without_limit(script: MigrationScript) -> None:
    script.set("lock_timeout", "0")


@run.breaks
def a_lock_in_the_script_s_own_transaction(script: MigrationScript) -> None:
    script.append("BEGIN;\nALTER TABLE messages ADD CONSTRAINT said_something CHECK (content <> '');\nCOMMIT")
