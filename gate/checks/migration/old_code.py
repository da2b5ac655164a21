"""What the release before this one says to its database works on the migrated one.

Why: during the deploy both releases run, and after a rollback the old one alone, on the new schema.
Fix: only add. New columns have a default or may be null, new CHECKs allow the old values, and nothing is renamed or dropped.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive, NotApplicable
from gate.facts.old_statements import OldStatements
from gate.facts.worlds import MigrationScript
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=65)
def run(old_statements: OldStatements | None) -> Iterator[Evidence]:
    if old_statements is None:
        raise NotApplicable("the migration is SQL for Postgres, and there is no Postgres here to try it on")
    if old_statements.error:
        raise Inconclusive(f"{old_statements.script} does not run to its end: {old_statements.error}")
    if old_statements.refused:
        more = f"; and {len(old_statements.refused) - 3} more" if len(old_statements.refused) > 3 else ""
        raise Failure(
            f"after {old_statements.script} the previous release is refused: {'; '.join(old_statements.refused[:3])}{more}"
        )
    if not old_statements.tried:
        raise Inconclusive("there was no statement of the previous release to try")
    yield Evidence(label="statements of the previous release that still work", value=old_statements.tried)
    yield Evidence(label="of them from its own file", value=old_statements.given)


@run.breaks
def a_column_dropped(script: MigrationScript) -> None:
    script.append("ALTER TABLE messages DROP COLUMN external_id CASCADE")


@run.breaks
def a_column_renamed(script: MigrationScript) -> None:
    script.append("ALTER TABLE contacts RENAME COLUMN phone TO number")


@run.breaks
def a_column_that_the_old_code_does_not_write(script: MigrationScript) -> None:
    script.append(
        "ALTER TABLE messages ADD COLUMN needed text NOT NULL DEFAULT '';\nALTER TABLE messages ALTER COLUMN needed DROP DEFAULT"
    )


@run.breaks
def a_check_that_refuses_old_values(script: MigrationScript) -> None:
    script.append(
        "ALTER TABLE unit_whatsapp_connections ADD CONSTRAINT only_new CHECK (status NOT IN ('connecting', 'error')) NOT VALID"
    )
