"""The migration may be run twice, does what was expected, and refuses what it cannot repair.

Why: a migration that looks for names reports success over an index that is not unique, a column of the wrong type, a table of an
older shape; IF NOT EXISTS hides each of them.
Fix: end PRODUCTION_MIGRATION_GOLIVE.sql with a check by definition (type, nullability, uniqueness, predicate, validity) that
raises.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive, NotApplicable
from gate.facts.migrations import Migration
from gate.facts.worlds import MigrationScript
from gate.model import Evidence, Severity
from gate.registry import check

SAYS = "ALL MIGRATIONS APPLIED SUCCESSFULLY!"


@check(severity=Severity.CRITICAL, order=60)
def run(migration: Migration) -> Iterator[Evidence]:
    if not migration.available or migration.first is None or migration.second is None:
        raise NotApplicable("the migration is SQL for Postgres, and there is no Postgres here to try it on")
    name, first, second = migration.script, migration.first, migration.second
    if first.error:
        raise Failure(f"{name} fails on the baseline, at statement {first.statement} of {first.statements}: {first.error}")
    if migration.faults_after:
        raise Failure(f"{name} succeeds and leaves the schema wrong: {'; '.join(migration.faults_after[:5])}")
    if not any(SAYS in notice for notice in first.notices):
        raise Failure(f"{name} does not say {SAYS!r}, expected it after its own verification")
    yield Evidence(label="statements", value=first.statements)
    yield Evidence(label="first run", value=round(first.seconds, 3), unit="s")
    if second.error:
        raise Failure(f"{name} fails when it is run again, at statement {second.statement}: {second.error}")
    if migration.changed_by_second_run:
        raise Failure(f"{name} changes {', '.join(migration.changed_by_second_run)} when it is run again, expected nothing")
    yield Evidence(label="second run changed", value=0)
    if not migration.trials:
        raise Inconclusive("no fault could be planted: the baseline already has everything that is expected")
    survivors = [trial for trial in migration.trials if trial.survived]
    if survivors:
        worst = survivors[0]
        raise Failure(
            f"{name} reports success over {', '.join(trial.fault for trial in survivors)}; afterwards {'; '.join(worst.left[:3])}"
        )
    refused = sum(bool(trial.error) for trial in migration.trials)
    yield Evidence(label="planted faults refused", value=refused)
    yield Evidence(label="planted faults repaired", value=len(migration.trials) - refused)


@run.breaks
def verifies_nothing(script: MigrationScript) -> None:
    script.drop_verification()


@run.breaks
def not_idempotent(script: MigrationScript) -> None:
    script.append("CREATE TABLE made_once (id integer)")


@run.breaks
def index_not_unique(script: MigrationScript) -> None:
    script.drop_verification()
    script.replace("CREATE UNIQUE INDEX", "CREATE INDEX")
