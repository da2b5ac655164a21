"""The migration linter has nothing to say of the migration that nobody answered for.

Why: it knows from many incidents what a statement does to a busy table, also what no trial on a small one shows.
Fix: change the statement as the finding says, or waive the rule with a reason in golive.toml, [[migration.waive]].
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive
from gate.facts.migration_lint import MigrationLint
from gate.facts.worlds import MigrationScript
from gate.model import Evidence
from gate.registry import check


@check(order=67)
def run(migration_lint: MigrationLint) -> Iterator[Evidence]:
    if migration_lint.found:
        more = f"; and {len(migration_lint.found) - 3} more" if len(migration_lint.found) > 3 else ""
        shown = "; ".join(str(finding) for finding in migration_lint.found[:3])
        raise Failure(f"{migration_lint.script}, {shown}{more}")
    if not migration_lint.statements:
        raise Inconclusive(f"{migration_lint.script} holds no statement, so nothing was looked at")
    yield Evidence(label="linter", value=migration_lint.version)
    yield Evidence(label="statements", value=migration_lint.statements)
    yield Evidence(label="findings waived with a reason", value=sum(migration_lint.waived.values()))
    if migration_lint.unused:
        yield Evidence(label="waivers that nothing needs", value=", ".join(migration_lint.unused))


@run.breaks
def an_index_while_nobody_may_write(script: MigrationScript) -> None:
    script.append("CREATE INDEX IF NOT EXISTS made_under_a_lock ON messages (content)")


@run.breaks
def a_column_dropped(script: MigrationScript) -> None:
    script.append("ALTER TABLE messages DROP COLUMN IF EXISTS content")
