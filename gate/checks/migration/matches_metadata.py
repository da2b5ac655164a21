"""All migrations together make the schema that the application's metadata says.

Why: tests make their tables from the metadata, production from the migrations; where they differ, tests prove something else.
Fix: change the one that is wrong; the reason names each definition that differs.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, NotApplicable
from gate.facts.metadata import MetadataComparison
from gate.facts.worlds import MigrationScript
from gate.model import Evidence
from gate.registry import check


@check(order=66)
def run(metadata_comparison: MetadataComparison | None) -> Iterator[Evidence]:
    if metadata_comparison is None:
        raise NotApplicable(
            "there is no Postgres here to compare on, or no SQLAlchemy metadata was named (golive.toml, migration.metadata)"
        )
    if metadata_comparison.error:
        raise Failure(f"{metadata_comparison.script} fails on a fresh database, at {metadata_comparison.error}")
    found = metadata_comparison.differences
    if found:
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        raise Failure(f"{metadata_comparison.script} and {metadata_comparison.metadata} differ: {'; '.join(found[:3])}{more}")
    yield Evidence(label="definitions that are alike", value=metadata_comparison.compared)
    yield Evidence(label="metadata", value=metadata_comparison.metadata)


@run.breaks
def an_index_less(script: MigrationScript) -> None:
    script.append("DROP INDEX idx_messages_retry_failed")


@run.breaks
def another_type(script: MigrationScript) -> None:
    script.append("ALTER TABLE campaigns ALTER COLUMN name TYPE varchar(80)")


@run.breaks
def a_column_more(script: MigrationScript) -> None:
    script.append("ALTER TABLE campaigns ADD COLUMN IF NOT EXISTS nobody_knows_it text")


@run.breaks
def a_foreign_key_less(script: MigrationScript) -> None:
    script.append("ALTER TABLE campaigns DROP CONSTRAINT campaigns_unit_id_fkey")
