"""What the release before this one says to its database, said to the migrated one, as during a deploy and after a rollback.

Every table is read, written and changed with the columns that it had before. What a release really says can be added as a file
with its statements. Each is tried on the previous schema first: a statement that was wrong before proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gate.errors import GateError
from gate.facts.connections import postgres
from gate.facts.rehearsed import ROWS, previous_schema, run_plainly, said, text_of, title_of
from gate.facts.seeding import SeededTable, quoted
from gate.facts.statements import split
from gate.facts.subject import Subject

if TYPE_CHECKING:
    import psycopg

__all__ = ["OldStatements", "read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OldStatements:
    """`tried` statements of the previous release, `given` of them from a file; `refused` by the migrated schema, each with why.

    error: why the migration itself did not end well.
    """

    script: str
    tried: int
    given: int
    refused: tuple[str, ...]
    error: str


def read(subject: Subject) -> OldStatements | None:
    """None where there is no Postgres. Raises GateError when a statement is refused by the previous schema already."""
    with previous_schema(subject) as made:
        if made is None:
            return None
        database, tables, _, migration = made
        statements = list(_statements(tables))
        given = list(split(text_of(subject.previous_statements))) if subject.previous_statements is not None else []
        with postgres(database.url, autocommit=True) as connection:
            wrong = _refused(connection, given)
            if wrong:
                raise GateError(f"a statement of the previous release is refused by its own schema: {wrong[0]}")
            # Of what is made here, only what the previous schema takes can be asked of the new one.
            usable = [statement for statement in statements if not _refused(connection, [statement])]
        error = run_plainly(database.url, text_of(migration))
        with postgres(database.url, autocommit=True) as connection:
            refused = [] if error else _refused(connection, [*given, *usable])
        return OldStatements(
            script=migration.name, tried=len(given) + len(usable), given=len(given), refused=tuple(refused), error=error
        )


def _statements(tables: Sequence[SeededTable]) -> Iterator[str]:
    for table in tables:
        names = list(table.columns)
        listed = ", ".join(map(quoted, names)) or "1"
        yield f"SELECT {listed} FROM {table.quoted} LIMIT 1"
        yield table.insert(ROWS + 1, ROWS + 1)
        yield table.insert(ROWS + 1, ROWS + 1, columns=sorted(table.needed))
        if names:
            changes = ", ".join(f"{quoted(name)} = {quoted(name)}" for name in names)
            yield f"UPDATE {table.quoted} SET {changes}"
        yield f"DELETE FROM {table.quoted} WHERE ctid IS NULL"
    for table in tables:
        for name, expression in table.columns.items():
            # Each value that a CHECK allowed before is still written by whoever knows no other.
            if expression.startswith("(ARRAY["):
                changed = f"(SELECT {expression} FROM (SELECT {{row}} AS g) AS one)"
                for row in range(expression.count("', '") + 1):
                    value = changed.format(row=row)
                    yield f"UPDATE {table.quoted} SET {quoted(name)} = {value}"


def _refused(connection: psycopg.Connection[Any], statements: Sequence[str]) -> list[str]:
    import psycopg

    found = []
    for statement in statements:
        connection.execute(b"BEGIN")
        try:
            connection.execute(statement.encode())
        except psycopg.Error as error:
            found.append(f"{title_of(statement)[:60]}…: {said(error)}")
        finally:
            connection.execute(b"ROLLBACK")
    return found
