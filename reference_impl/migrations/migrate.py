"""Takes a database from the schema before the integration to the one after it, and says what it did.

    python -m reference_impl.migrations.migrate postgresql://owner@host/database

Every statement of `PRODUCTION_MIGRATION_GOLIVE.sql` runs alone, in autocommit, and is tried again when a lock could not be had
in time. The script verifies itself; `migrate` succeeds only when it said so. SQLite in memory gets the same tables from the
metadata and the same judgement through the inspector.
"""

from __future__ import annotations

import hashlib
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import sqlalchemy as sa
from psycopg import errors

from reference_impl.adapters.schema import metadata

__all__ = [
    "BASELINE",
    "MIGRATION",
    "RUNTIME_ROLE",
    "MigrationError",
    "MigrationReport",
    "Statement",
    "StatementRun",
    "create_baseline",
    "grant_runtime_access",
    "migrate",
    "prepare_sqlite",
    "runtime_url",
    "schema_digest",
    "split_statements",
    "verify",
]

BASELINE = Path(__file__).with_name("BASELINE.sql")
MIGRATION = Path(__file__).with_name("PRODUCTION_MIGRATION_GOLIVE.sql")
RUNTIME_ROLE = "golive_runtime"
SUCCESS = "ALL MIGRATIONS APPLIED SUCCESSFULLY!"
BASELINE_TABLES = ("units", "users", "contacts", "unit_whatsapp_connections", "conversations", "messages")

# One migration at a time on a database: an arbitrary number that nobody else is likely to use.
ADVISORY_LOCK = 7_203_114_906
ATTEMPTS = 8
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0

# What IF NOT EXISTS says of each column and relation on a second run.
ALREADY_THERE = ("42701", "42P07")

_Pause = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a script: its text without the final semicolon, and the line (from 1) on which it begins."""

    text: str
    line: int

    @property
    def title(self) -> str:
        """The statement's first line, for a report."""
        return next(line for line in self.text.splitlines() if line.strip() and not line.lstrip().startswith("--"))[:120]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRun:
    """One statement that was run: seconds are of the last attempt; `attempts` counts lock timeouts too."""

    statement: Statement
    seconds: float
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationReport:
    """What a migration did. `notices` are the server's, in order; `succeeded` is the script's own verification."""

    backend: str
    baseline_applied: bool
    statements: tuple[StatementRun, ...]
    notices: tuple[str, ...]
    seconds: float
    succeeded: bool


class MigrationError(Exception):
    """The migration did not reach its end, or the schema falls short; one message, and the report as far as it got."""

    def __init__(self, message: str, report: MigrationReport | None = None) -> None:
        super().__init__(message)
        self.report = report


_TOKENS = re.compile(
    r"""
      (?P<comment>--[^\n\r]*)
    | (?P<block>/\*)
    | (?P<escape>(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*')
    | (?P<text>'(?:[^']|'')*')
    | (?P<name>"(?:[^"]|"")*")
    | (?P<dollar>(?<![\w$])\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$)
    | (?P<atomic>\bBEGIN\s+ATOMIC\b)
    | (?P<end>;)
    | (?P<open>(?<![\w$])[eE]'|['"])
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def split_statements(script: str) -> tuple[Statement, ...]:
    """Splits an SQL script at the semicolons that end statements; those in quotes, dollar quotes and comments do not.

    Raises ValueError for an unfinished quote or comment, and for `BEGIN ATOMIC` bodies, whose semicolons only a parser can tell.
    """
    statements, start, position, code = [], 0, 0, False
    while found := _TOKENS.search(script, position):
        code = code or bool(script[position : found.start()].strip())
        kind = found.lastgroup
        if kind == "atomic":
            raise ValueError(
                f"line {_line(script, found.start())}: BEGIN ATOMIC bodies are not supported, write the body as a string"
            )
        if kind == "open":
            raise ValueError(f"line {_line(script, found.start())}: a quote is not closed")
        if kind == "end":
            if code:
                statements.append(_statement(script, start, found.start()))
            start, code = found.end(), False
        elif kind not in ("comment", "block"):
            code = True
        position = _end_of(script, found)
    if code or script[position:].strip():
        statements.append(_statement(script, start, len(script)))
    return tuple(statements)


def _end_of(script: str, token: re.Match[str]) -> int:
    if token.lastgroup == "dollar":
        end = script.find(token[0], token.end())
        if end < 0:
            raise ValueError(f"line {_line(script, token.start())}: the quote {token[0]} is not closed")
        return end + len(token[0])
    if token.lastgroup == "block":
        depth, position = 1, token.end()
        while depth:
            edge = _COMMENT_EDGE.search(script, position)
            if edge is None:
                raise ValueError(f"line {_line(script, token.start())}: the comment is not closed")
            depth, position = depth + (1 if edge[0] == "/*" else -1), edge.end()
        return position
    return token.end()


def _statement(script: str, start: int, end: int) -> Statement:
    text = script[start:end]
    lead = len(text) - len(text.lstrip())
    return Statement(text=text.strip(), line=_line(script, start + lead))


def _line(script: str, position: int) -> int:
    return script.count("\n", 0, position) + 1


def create_baseline(url: str) -> None:
    """Makes the schema before the integration in an empty `public`, all or nothing. Raises MigrationError."""
    with _connected(url) as connection:
        _create_baseline(connection)


def migrate(url: str, *, pause: _Pause = time.sleep) -> MigrationReport:
    """Migrates the database at `url`, with the baseline first when it is empty.

    `url` is `postgresql://…` with the login that owns the tables, or `sqlite://`. Waits with `pause` (seconds) when another
    migration runs or a lock is not to be had. Raises MigrationError, whose message names the statement and the line or every
    shortfall, when the end is not the schema that the backend needs.
    """
    if url.startswith("sqlite"):
        return _migrate_sqlite(url)
    began = time.monotonic()
    notices: list[str] = []
    runs: list[StatementRun] = []
    fresh = False

    def report(*, succeeded: bool) -> MigrationReport:
        return MigrationReport(
            backend="postgresql",
            baseline_applied=fresh,
            statements=tuple(runs),
            notices=tuple(notices),
            seconds=time.monotonic() - began,
            succeeded=succeeded,
        )

    with _connected(url) as connection:
        connection.add_notice_handler(
            lambda notice: None if notice.sqlstate in ALREADY_THERE else notices.append(notice.message_primary or "")
        )
        _take_turn(connection, pause)
        if _is_empty(connection):
            _create_baseline(connection)
            fresh = True
        for statement in split_statements(MIGRATION.read_text(encoding="utf-8")):
            try:
                runs.append(_run(connection, statement, pause))
            except psycopg.Error as error:
                where = f"{MIGRATION.name} line {statement.line} ({statement.title})"
                raise MigrationError(f"{where}: {_reason(error)}", report(succeeded=False)) from error
    if SUCCESS not in notices:
        raise MigrationError(f"{MIGRATION.name} ended without saying {SUCCESS}", report(succeeded=False))
    return report(succeeded=True)


def verify(url: str) -> None:
    """Judges a Postgres schema as the end of the migration does, changing nothing.

    Raises MigrationError naming every shortfall.
    """
    *_, verification = split_statements(MIGRATION.read_text(encoding="utf-8"))
    with _connected(url) as connection:
        try:
            connection.execute("SET search_path TO public, pg_temp")
            connection.execute(verification.text.encode())
        except psycopg.Error as error:
            raise MigrationError(_reason(error)) from error


def grant_runtime_access(url: str) -> None:
    """Lets the runtime role use every table and sequence of `public`, for tables that other tools made there (the job queue).

    Does nothing where the role does not exist. Raises MigrationError.
    """
    with _connected(url) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [RUNTIME_ROLE]).fetchone() is None:
            return
        try:
            with connection.transaction():
                connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {RUNTIME_ROLE}")
                connection.execute(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {RUNTIME_ROLE}")
        except psycopg.Error as error:
            raise MigrationError(f"granting access to {RUNTIME_ROLE}: {_reason(error)}") from error


def runtime_url(url: str) -> str:
    """The same database as the role that row-level security holds for, for a login that may `SET ROLE` to it.

    A production backend has a login of its own instead, which is a member of the role; then this is not needed.
    """
    parsed = sa.make_url(url)
    present = parsed.query.get("options", "")
    options = f"{present if isinstance(present, str) else ' '.join(present)} -crole={RUNTIME_ROLE}".strip()
    head, mark, query = parsed.update_query_dict({"options": options}).render_as_string(hide_password=False).partition("?")
    # libpq knows no + for a space.
    return f"{head}{mark}{query.replace('+', '%20')}"


def _connected(url: str) -> psycopg.Connection:
    conninfo = url.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        return psycopg.connect(conninfo, autocommit=True, connect_timeout=10, application_name="golive-migration")
    except psycopg.Error as error:
        raise MigrationError(f"cannot reach the database: {_reason(error)}") from None


def _reason(error: psycopg.Error) -> str:
    detail = error.diag.message_primary or str(error).strip().partition("\n")[0]
    return " ".join(part for part in (detail, error.diag.message_detail, error.diag.message_hint) if part)


def _take_turn(connection: psycopg.Connection, pause: _Pause) -> None:
    # Tried and not waited for: a waiting statement holds a snapshot, and CREATE INDEX CONCURRENTLY waits for snapshots.
    for attempt in range(ATTEMPTS):
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY_LOCK]).fetchone()
        if row is not None and row[0]:
            return
        pause(_pause_before(attempt))
    raise MigrationError("another migration of this database is still running")


def _pause_before(attempt: int) -> float:
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**attempt)


def _is_empty(connection: psycopg.Connection) -> bool:
    """Whether the application's tables are nowhere yet. Raises MigrationError when they are in another schema than `public`."""
    query = """
        SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname = ANY (%s) AND n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')
    """
    places = {str(schema) for schema, _ in connection.execute(query, [list(BASELINE_TABLES)])}
    if places and "public" not in places:
        raise MigrationError(f"the tables to migrate are in the schema {', '.join(sorted(places))}, and must be in public")
    return not places


def _create_baseline(connection: psycopg.Connection) -> None:
    if not _is_empty(connection):
        raise MigrationError("the baseline is for an empty schema, and public has tables of its names")
    try:
        with connection.transaction():
            for statement in split_statements(BASELINE.read_text(encoding="utf-8")):
                connection.execute(statement.text.encode())
    except psycopg.Error as error:
        raise MigrationError(f"{BASELINE.name}: {_reason(error)}") from error


def _run(connection: psycopg.Connection, statement: Statement, pause: _Pause) -> StatementRun:
    for attempt in range(ATTEMPTS):
        began = time.monotonic()
        try:
            connection.execute(statement.text.encode())
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            if attempt == ATTEMPTS - 1:
                raise
            _drop_invalid_indexes(connection)
            # Whoever queued behind the lock that was asked for gets his turn before it is asked for again.
            pause(_pause_before(attempt))
        else:
            return StatementRun(statement=statement, seconds=time.monotonic() - began, attempts=attempt + 1)
    raise AssertionError("the loop returns or raises")


def _drop_invalid_indexes(connection: psycopg.Connection) -> None:
    """Removes what an index build that timed out left behind, or the next attempt would take it for done."""
    left = connection.execute(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid AND indrelid = ANY (%s::regclass[])",
        [[f"public.{name}" for name in BASELINE_TABLES]],
    ).fetchall()
    for (name,) in left:
        connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}".encode())


_DIGEST_PARTS = (
    """SELECT n.nspname, c.relname, c.relkind::text, c.relpersistence::text, c.relrowsecurity, c.relforcerowsecurity,
              c.relacl::text
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {own}""",
    """SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text,
              a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid)
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
       WHERE {own} AND a.attnum > 0 AND NOT a.attisdropped""",
    """SELECT n.nspname, c.relname, x.conname, pg_get_constraintdef(x.oid), x.convalidated
       FROM pg_constraint x JOIN pg_class c ON c.oid = x.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {own}""",
    """SELECT n.nspname, c.relname, pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready
       FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {own}""",
    """SELECT n.nspname, c.relname, pg_get_triggerdef(t.oid), t.tgenabled::text
       FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE {own} AND NOT t.tgisinternal""",
    """SELECT n.nspname, c.relname, p.polname, p.polpermissive, p.polcmd::text, p.polroles::regrole[]::text,
              pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
       FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {own}""",
    """SELECT n.nspname, p.proname, pg_get_functiondef(p.oid)
       FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {own} AND p.prokind = 'f'""",
)
_OWN = "n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')"


def schema_digest(url: str) -> str:
    """SHA-256 in hex of everything that defines the schema on Postgres: two databases are alike when theirs are equal.

    Covers tables, columns, constraints, indexes, triggers, policies, functions and rights; not the order of columns, and no rows.
    Raises MigrationError when the database does not answer.
    """
    digest = hashlib.sha256()
    with _connected(url) as connection:
        for part in _DIGEST_PARTS:
            rows = connection.execute(part.format(own=_OWN).encode()).fetchall()
            for line in sorted(repr(row) for row in rows):
                digest.update(line.encode())
            digest.update(b"\x00")
    return digest.hexdigest()


def prepare_sqlite(connection: sa.Connection) -> tuple[str, ...]:
    """Makes the tables on SQLite and compares what is there with the metadata, by definition.

    Returns the shortfalls, one sentence each; none means that the schema is right. A table of the same name that was there before
    is not changed.
    """
    metadata.create_all(connection)
    return tuple(fault for table in metadata.sorted_tables for fault in _sqlite_faults(connection, table))


def _sqlite_faults(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    inspector, dialect = sa.inspect(connection), connection.dialect
    actual = {column["name"]: column for column in inspector.get_columns(table.name)}
    for column in table.columns:
        found = actual.get(column.name)
        if found is None:
            yield f"column {table.name}.{column.name} is missing"
            continue
        present, wanted = str(found["type"].compile(dialect)), str(column.type.compile(dialect))
        if present != wanted:
            yield f"column {table.name}.{column.name} is {present}, must be {wanted}"
        if found["nullable"] != column.nullable:
            yield f"column {table.name}.{column.name} must be {'nullable' if column.nullable else 'NOT NULL'}"
    # The inspector's own list of unique keys stumbles over the index on lower(email).
    keys = connection.execute(sa.text("SELECT name FROM pragma_index_list(:table) WHERE origin = 'u'"), {"table": table.name})
    members = sa.text("SELECT name FROM pragma_index_info(:index) ORDER BY seqno")
    unique = {tuple(connection.execute(members, {"index": key}).scalars()) for key in keys.scalars().all()}
    foreign = {(tuple(key["constrained_columns"]), key["referred_table"]) for key in inspector.get_foreign_keys(table.name)}
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint) and tuple(constraint.columns.keys()) not in unique:
            yield f"table {table.name} lacks the key UNIQUE ({', '.join(constraint.columns.keys())})"
        if isinstance(constraint, sa.ForeignKeyConstraint):
            key = (tuple(constraint.column_keys), constraint.referred_table.name)
            if key not in foreign:
                yield f"table {table.name} lacks the foreign key ({', '.join(key[0])}) to {key[1]}"
    query = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :name AND sql IS NOT NULL")
    definitions = {row.name: " ".join(row.sql.split()) for row in connection.execute(query, {"name": table.name})}
    for index in table.indexes:
        definition = " ".join(str(sa.schema.CreateIndex(index).compile(dialect=dialect)).split())
        if definitions.get(str(index.name)) != definition:
            yield f"index {index.name} is {definitions.get(str(index.name), 'missing')}, must be {definition}"


def _migrate_sqlite(url: str) -> MigrationReport:
    """Plain `sqlite://` is another database for each connection: then this proves the metadata, and the backend makes its own."""
    began = time.monotonic()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            faults = prepare_sqlite(connection)
    finally:
        engine.dispose()

    report = MigrationReport(
        backend="sqlite",
        baseline_applied=False,
        statements=(),
        notices=() if faults else (SUCCESS,),
        seconds=time.monotonic() - began,
        succeeded=not faults,
    )
    if faults:
        raise MigrationError(f"the SQLite schema falls short: {'; '.join(faults)}", report)
    return report


def main(arguments: list[str]) -> int:
    """The command line: one URL. Exit status 0 after the success notice, 1 on any shortfall, 2 for bad arguments."""
    if len(arguments) != 1 or "://" not in arguments[0]:
        sys.stderr.write("usage: python -m reference_impl.migrations.migrate postgresql://owner@host:5432/database\n")
        return 2
    try:
        report = migrate(arguments[0])
    except MigrationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for run in report.statements:
        again = f" (attempt {run.attempts})" if run.attempts > 1 else ""
        sys.stdout.write(f"{run.seconds * 1000:8.1f} ms  line {run.statement.line:4}  {run.statement.title}{again}\n")
    sys.stdout.writelines(f"{notice}\n" for notice in report.notices)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
