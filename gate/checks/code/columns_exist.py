"""Every column that the code writes is in the database.

Why: a column that the code writes and no migration creates is an error at the first message of a customer, and in no test before.
Fix: add the column to the migration, or take it out of the statement that the reason names.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from gate.errors import Failure, Inconclusive
from gate.facts.catalog import Catalog
from gate.facts.code_writes import CodeWrites
from gate.facts.tree import SourceTree
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=48)
def run(catalog: Catalog, code_writes: CodeWrites) -> Iterator[Evidence]:
    faults: dict[str, None] = {}
    seen = 0
    for write in code_writes.writes:
        table = catalog.tables.get(write.table)
        if table is None:
            if write.sure and write.table not in code_writes.created:
                faults.setdefault(f"{write} writes to {write.table}, and there is no such table")
            continue
        seen += 1
        if write.column not in table.columns and write.column.lower() not in table.columns:
            close = get_close_matches(write.column, table.columns, n=1, cutoff=0.8)
            hint = f"; did you mean {close[0]}?" if close else ""
            faults.setdefault(f"{write} writes {write.table}.{write.column}, and there is no such column{hint}")
    if faults:
        found = list(faults)
        raise Failure("; ".join(found[:4]) + (f"; and {len(found) - 4} more" if len(found) > 4 else ""))
    if not seen:
        raise Inconclusive(f"no statement that writes a column was found in {code_writes.files} source files")
    yield Evidence(label="columns written, all of them there", value=seen)
    yield Evidence(label="source files looked through", value=code_writes.files)


@run.breaks
def a_column_that_no_migration_creates(tree: SourceTree) -> None:
    tree.append("messages-route", "SQL = 'INSERT INTO messages (content, nobody_made_it) VALUES (%s, %s)'")


@run.breaks
def a_misspelt_column(tree: SourceTree) -> None:
    tree.append("messages-route", "SQL = 'UPDATE messages AS m SET retry_cuont = retry_cuont + 1 WHERE id = %s'")


@run.breaks
def a_table_that_nobody_made(tree: SourceTree) -> None:
    tree.append("campaign-service", "SQL = 'INSERT INTO campaign_schedules (at) VALUES (now())'")


@run.breaks
def through_sqlalchemy(tree: SourceTree) -> None:
    tree.append(
        "message-handler", "def _late(sa, messages):\n    return sa.insert(messages).values(content='a', nobody_made_it=1)"
    )
