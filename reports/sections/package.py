"""Deployment package"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from gate.registry import section
from reports import facts
from reports.claims import claim, not_measured, number, seconds, size, source, unreadable
from reports.document import Block, Code, DocumentName, Heading, ListBlock, Paragraph, Row, Table
from reports.view import Missing, RunView

_FILE_COLUMNS = ("File", "Purpose", "Lines", "Size", "SHA-256")
_MOST_FILES = 15
_PURPOSES = {".sql": "database migration", ".py": "code", ".md": "document", ".html": "document", ".toml": "configuration"}


@section(order=40, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE, DocumentName.DEPLOYMENT))
def build(view: RunView) -> Iterator[Block]:
    """Files with sizes and digests as they were read, then what the migration did."""
    files = view.fact("package", facts.package)
    if isinstance(files, Missing):
        rows: tuple[Row, ...] = (not_measured(files, len(_FILE_COLUMNS), what="Files of the release"),)
    else:
        total = size(sum(file.size_bytes for file in files))
        yield Paragraph(
            content=(f"{len(files)} files, {number(sum(file.lines or 0 for file in files))} lines, {total}.",),
            sources=(source("package"),),
        )
        rows = tuple(
            Row(
                cells=(
                    (Code(text=file.path),),
                    (_PURPOSES.get(PurePosixPath(file.path).suffix, "file"),),
                    (number(file.lines),),
                    (size(file.size_bytes),),
                    (Code(text=file.sha256),),
                ),
                sources=(source("package"),),
            )
            for file in sorted(files, key=lambda file: (not file.path.endswith(".sql"), file.path))
        )
    yield Table(caption="Files of the release", columns=_FILE_COLUMNS, rows=rows, collapsed=len(rows) > _MOST_FILES)
    yield Heading(text="Database migrations")
    yield Table(
        caption="What was proved of the migration",
        columns=("Claim", "Result", "What was measured", "Source"),
        rows=(
            claim(("Migrations are safe (all checks of the family)",), view.outcomes("migration.*")),
            claim(("Idempotent: a second run changes nothing",), view.about("migration", "idempoten", "verifies")),
            claim(("Columns, tables and indexes are there afterwards",), view.outcomes("schema.*")),
            claim(("The previous code runs on the new schema",), view.outcomes("rollback.*")),
        ),
    )
    migration = view.fact("migration", facts.migration)
    if isinstance(migration, Missing):
        yield unreadable(migration, "Statements and durations")
        return
    yield Paragraph(
        content=(f"{len(migration.statements)} statements; time that they took: {seconds(migration.duration_s)}",),
        sources=(source("migration"),),
    )
    if migration.statements:
        yield Table(
            caption="Statements, in order",
            columns=("Statement", "Took"),
            rows=tuple(
                Row(
                    cells=((Code(text=" ".join(item.text.split())[:200]),), (seconds(item.duration_s),)),
                    sources=(source("migration"),),
                )
                for item in migration.statements
            ),
            collapsed=True,
        )
    if migration.notices:
        yield ListBlock(items=tuple((f"Notice of the database: {notice}",) for notice in migration.notices))
