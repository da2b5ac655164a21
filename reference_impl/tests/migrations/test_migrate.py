"""The migration on real Postgres servers: what it makes, what it keeps, how it is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from harness.datastores import Database, find_binaries, open_database
from reference_impl.adapters.schema import metadata
from reference_impl.migrations.migrate import (
    MIGRATION,
    SUCCESS,
    MigrationError,
    create_baseline,
    main,
    migrate,
    schema_digest,
    verify,
)

pytestmark = pytest.mark.postgres

CATALOG = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n'""",
    "indexes": """
        SELECT i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid), i.indisvalid FROM pg_index i
        JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace""",
}


def rows(database: Database, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        return connection.execute(query.encode(), values or None).fetchall()


def run(database: Database, *statements: str) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def with_customers(baseline: Database) -> Database:
    """Two units, each with a conversation, 6,000 messages, and an event that the previous release stored twice."""
    run(
        baseline,
        "INSERT INTO units (name, slug) VALUES ('North', 'north'), ('South', 'south')",
        "INSERT INTO contacts (unit_id, phone) SELECT id, '551199990000' FROM units",
        "INSERT INTO conversations (unit_id, contact_id) SELECT unit_id, id FROM contacts",
        "INSERT INTO messages (conversation_id, sender, content, status, external_id) "
        "SELECT id, 'customer', 'text ' || n, 'received', 'KEY' || n FROM conversations, generate_series(1, 6000) AS n",
        "INSERT INTO messages (conversation_id, sender, content, status, external_id, created_at) "
        "SELECT id, 'customer', 'redelivered', 'received', 'KEY7', now() + interval '1 hour' FROM conversations",
        "INSERT INTO messages (conversation_id, sender, content) SELECT id, 'agent', 'answer' FROM conversations",
    )
    return baseline


@pytest.mark.parametrize("part", CATALOG)
def test_the_migrations_and_the_metadata_make_the_same_schema(part: str, migrated: Database, empty: Database) -> None:
    engine = sa.create_engine(empty.url)
    metadata.create_all(engine)
    engine.dispose()
    assert sorted(rows(migrated, CATALOG[part]), key=repr) == sorted(rows(empty, CATALOG[part]), key=repr)


def test_an_empty_database_gets_the_baseline_first_and_the_report_says_so(empty: Database) -> None:
    report = migrate(empty.url)
    assert report.succeeded
    assert report.baseline_applied
    assert report.notices == (SUCCESS,)
    assert len(report.statements) > 40
    assert all(run.attempts == 1 and run.seconds >= 0 for run in report.statements)


def test_a_second_run_changes_nothing(migrated: Database) -> None:
    before = schema_digest(migrated.url)
    report = migrate(migrated.url)
    assert report.succeeded
    assert not report.baseline_applied
    assert schema_digest(migrated.url) == before


def test_the_digest_differs_when_anything_does(migrated: Database, baseline: Database) -> None:
    before = schema_digest(migrated.url)
    assert before != schema_digest(baseline.url)
    run(migrated, "ALTER TABLE messages ALTER COLUMN retry_count SET DEFAULT 1")
    assert schema_digest(migrated.url) != before


def test_existing_rows_get_their_unit_and_lose_nothing(with_customers: Database) -> None:
    before = rows(with_customers, "SELECT id, content, status, created_at, updated_at FROM messages ORDER BY id")
    report = migrate(with_customers.url)
    assert "messages given their unit: 12004" in report.notices
    assert "messages stored more than once, kept under another external_id: 2" in report.notices
    assert rows(with_customers, "SELECT id, content, status, created_at, updated_at FROM messages ORDER BY id") == before
    wrong = (
        "SELECT count(*) FROM messages m JOIN conversations c ON c.id = m.conversation_id "
        "WHERE m.unit_id IS DISTINCT FROM c.unit_id"
    )
    assert rows(with_customers, wrong) == [(0,)]
    kept = "SELECT content FROM messages WHERE external_id = 'KEY7'"
    assert rows(with_customers, kept) == [("text 7",), ("text 7",)]
    assert rows(with_customers, "SELECT DISTINCT sender, direction FROM messages ORDER BY 1") == [
        ("agent", "outbound"),
        ("customer", "inbound"),
    ]


def test_statements_of_the_previous_release_still_run_and_their_rows_belong_to_the_unit(migrated: Database) -> None:
    run(
        migrated,
        "INSERT INTO units (name, slug) VALUES ('North', 'north')",
        "INSERT INTO contacts (unit_id, phone) SELECT id, '551199990000' FROM units",
        "INSERT INTO conversations (unit_id, contact_id) SELECT unit_id, id FROM contacts",
        "INSERT INTO messages (conversation_id, sender, content, status, external_id) "
        "SELECT id, 'customer', 'hello', 'received', 'KEY1' FROM conversations",
        "INSERT INTO unit_whatsapp_connections (unit_id, instance_id, status) SELECT id, 'unit_' || id, 'connecting' FROM units",
        "UPDATE unit_whatsapp_connections SET status = 'connected', qr_code = NULL",
    )
    assert rows(migrated, "SELECT m.unit_id = u.id, m.direction, m.retry_count FROM messages m, units u") == [
        (True, "inbound", 0)
    ]


def test_a_lock_that_is_not_to_be_had_is_asked_for_again(baseline: Database) -> None:
    with psycopg.connect(baseline.conninfo) as reader:
        reader.execute("SELECT count(*) FROM users")
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            reader.rollback()

        report = migrate(baseline.url, pause=pause)
    assert len(pauses) == 1
    assert [run.statement.title for run in report.statements if run.attempts > 1] == [
        "ALTER TABLE public.users ADD COLUMN IF NOT EXISTS password_changed_at timestamp with time zone"
    ]


def test_what_an_interrupted_index_build_left_is_built_again(migrated: Database) -> None:
    run(
        migrated,
        "DROP INDEX idx_messages_unit_external_id",
        "INSERT INTO units (name, slug) VALUES ('North', 'north')",
        "INSERT INTO contacts (unit_id, phone) SELECT id, '551199990000' FROM units",
        "INSERT INTO conversations (unit_id, contact_id) SELECT unit_id, id FROM contacts",
        "INSERT INTO messages (conversation_id, sender, content, external_id) "
        "SELECT id, 'customer', 'hello', 'KEY' FROM conversations, generate_series(1, 2)",
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(
            migrated,
            "CREATE UNIQUE INDEX CONCURRENTLY idx_messages_unit_external_id ON messages (unit_id, external_id) "
            "WHERE external_id IS NOT NULL",
        )
    with pytest.raises(MigrationError, match="idx_messages_unit_external_id is invalid"):
        verify(migrated.url)
    report = migrate(migrated.url)
    assert any("dropped the invalid index idx_messages_unit_external_id" in notice for notice in report.notices)
    assert rows(migrated, "SELECT count(*), count(DISTINCT external_id) FROM messages") == [(2, 2)]


def test_rows_written_while_it_runs_are_kept_and_belong_to_the_unit(with_customers: Database) -> None:
    done, written = threading.Event(), 0
    insert = (
        b"INSERT INTO messages (conversation_id, sender, content, status, external_id) "
        b"SELECT id, 'customer', 'meanwhile', 'received', gen_random_uuid()::text FROM conversations"
    )

    def work() -> None:
        migrate(with_customers.url)
        done.set()

    migration = threading.Thread(target=work)
    with psycopg.connect(with_customers.conninfo, autocommit=True) as connection:
        migration.start()
        while not done.is_set():
            written += connection.execute(insert).rowcount
        migration.join()
    assert written > 0
    found = rows(with_customers, "SELECT count(*), count(unit_id), count(direction) FROM messages WHERE content = 'meanwhile'")
    assert found == [(written, written, written)]


@pytest.mark.parametrize("binaries", find_binaries()[1:], ids=lambda path: path.parent.name)
def test_other_versions_of_postgres_are_migrated_and_verified_alike(binaries: Path) -> None:
    """The verification compares the server's own wording of definitions, which could differ between versions."""
    with open_database("embedded", binaries=binaries) as database:
        for _ in range(2):
            assert migrate(database.url).succeeded
        verify(database.url)


def test_two_migrations_at_once_both_succeed(baseline: Database) -> None:
    outcomes: list[bool] = []
    turns = threading.Barrier(2)

    def work() -> None:
        turns.wait()
        outcomes.append(migrate(baseline.url).succeeded)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True, True]


def test_a_baseline_is_refused_where_tables_are(baseline: Database) -> None:
    with pytest.raises(MigrationError, match="the baseline is for an empty schema"):
        create_baseline(baseline.url)


def test_tables_in_another_schema_are_not_taken_for_the_ones_to_migrate(baseline: Database) -> None:
    run(
        baseline,
        "CREATE SCHEMA other",
        *(f"ALTER TABLE {name} SET SCHEMA other" for name in ("messages", "conversations", "contacts", "users", "units")),
        "ALTER TABLE unit_whatsapp_connections SET SCHEMA other",
    )
    with pytest.raises(MigrationError, match="are in the schema other, and must be in public"):
        migrate(baseline.url)


def test_a_missing_table_is_named_before_anything_is_changed(baseline: Database) -> None:
    run(baseline, "DROP TABLE messages")
    before = schema_digest(baseline.url)
    with pytest.raises(MigrationError, match=r"not the schema to migrate: no table public\.messages") as caught:
        migrate(baseline.url)
    assert caught.value.report is not None
    assert not caught.value.report.succeeded
    assert schema_digest(baseline.url) == before


def test_an_older_shape_of_campaigns_is_named(baseline: Database) -> None:
    run(baseline, "CREATE TABLE campaigns (id uuid PRIMARY KEY, name text)")
    with pytest.raises(MigrationError, match=r"line \d+ .*campaigns.*column \"unit_id\" does not exist"):
        migrate(baseline.url)


def test_an_unreachable_database_is_one_line_without_the_password() -> None:
    with pytest.raises(MigrationError, match="cannot reach the database") as caught:
        migrate("postgresql://someone:hush-hush@127.0.0.1:1/nowhere")
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_line_prints_every_statement_and_the_verdict(baseline: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([baseline.url]) == 0
    output = capsys.readouterr().out
    assert output.endswith(f"{SUCCESS}\n")
    assert "CREATE TABLE IF NOT EXISTS public.campaigns" in output
    run(baseline, "ALTER TABLE campaigns DROP COLUMN error")
    assert main([baseline.url]) == 1
    captured = capsys.readouterr()
    assert "column public.campaigns.error is missing" in captured.err
    assert SUCCESS not in captured.out
    assert main([]) == 2


def _psql() -> Iterator[str]:
    if found := shutil.which("psql"):
        yield found
    for folder in (Path(sys.prefix) / "lib", Path("/usr/lib/postgresql")):
        yield from (str(path) for path in sorted(folder.glob("**/bin/psql")) if os.access(path, os.X_OK))


@pytest.fixture(scope="session")
def psql() -> str:
    found = next(_psql(), None)
    assert found is not None, "these tests need psql: it is in the wheel of the extra `postgres`"
    return found


def _run_psql(psql: str, database: Database, *options: str) -> subprocess.CompletedProcess[str]:
    command = [psql, database.conninfo, "-X", "-q", *options, "-f", str(MIGRATION)]
    return subprocess.run(command, capture_output=True, text=True)


def test_psql_runs_the_same_file(psql: str, baseline: Database) -> None:
    for _ in range(2):
        done = _run_psql(psql, baseline, "-v", "ON_ERROR_STOP=1")
        assert done.returncode == 0, done.stderr
        assert SUCCESS in done.stderr
    verify(baseline.url)


@pytest.mark.parametrize("options", [("-v", "ON_ERROR_STOP=1"), ()], ids=["stopping at errors", "going on after errors"])
def test_psql_never_shows_success_on_a_shortfall(psql: str, migrated: Database, options: tuple[str, ...]) -> None:
    run(migrated, "DROP INDEX idx_messages_due", "CREATE INDEX idx_messages_due ON messages (next_attempt_at)")
    done = _run_psql(psql, migrated, *options)
    assert "index public.idx_messages_due has the predicate none" in done.stderr
    assert SUCCESS not in done.stdout + done.stderr
    assert done.returncode == (3 if options else 0)


def test_in_one_transaction_it_fails_instead_of_half_working(psql: str, baseline: Database) -> None:
    done = _run_psql(psql, baseline, "-v", "ON_ERROR_STOP=1", "--single-transaction")
    assert done.returncode == 3
    assert "transaction" in done.stderr
    assert SUCCESS not in done.stdout + done.stderr
