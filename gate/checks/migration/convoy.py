"""While the migration waits for a lock, no client waits longer than 250 ms.

Why: one idle transaction is enough: the migration queues behind it, and everybody who reads or writes behind the migration.
Fix: SET lock_timeout to 100 ms for whatever takes a lock that blocks, and run the migration again when one could not be had.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive, NotApplicable
from gate.facts.convoy import LONGEST_WAIT_MS, Convoy
from gate.facts.worlds import MigrationScript
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=64)
def run(convoy: Convoy | None) -> Iterator[Evidence]:
    if convoy is None:
        raise NotApplicable("the migration is SQL for Postgres, and there is no Postgres here to try it on")
    if convoy.waited_ms > LONGEST_WAIT_MS:
        raise Failure(
            f"a client waited {convoy.waited_ms:.0f} ms for {convoy.waited_for} while {convoy.script} wanted its lock,"
            f" expected at most {LONGEST_WAIT_MS} ms"
        )
    if convoy.error:
        raise Failure(f"{convoy.script} does not come to its end beside readers and writers: {convoy.error}")
    if convoy.refused:
        raise Failure(f"while {convoy.script} ran, a client was refused: {convoy.refused[0]}")
    if not convoy.statements:
        raise Inconclusive("no client said anything while the migration ran")
    yield Evidence(label="longest wait of a client for a lock", value=round(convoy.waited_ms), unit="ms")
    yield Evidence(label="times that the migration gave up and came again", value=convoy.gave_up)
    yield Evidence(label="statements of clients meanwhile", value=convoy.statements)
    yield Evidence(label="slowest statement from the moment at which it was due", value=round(convoy.slowest_ms), unit="ms")
    yield Evidence(label="in", value=round(convoy.seconds, 2), unit="s")


@run.breaks
def waits_for_its_lock_without_limit(script: MigrationScript) -> None:
    script.set("lock_timeout", "0")


@run.breaks
def waits_for_its_lock_too_long(script: MigrationScript) -> None:
    script.set("lock_timeout", "'2s'")


@run.breaks
def fails_when_it_comes_again(script: MigrationScript) -> None:
    script.append("ALTER TABLE messages DROP CONSTRAINT a_name_that_nobody_gave")
