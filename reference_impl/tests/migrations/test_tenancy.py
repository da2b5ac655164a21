"""Row-level security: what the runtime role sees, and how the migration does where it may not make roles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from harness.datastores import Database, open_database
from reference_impl.adapters.schema import metadata
from reference_impl.migrations.migrate import RUNTIME_ROLE, create_baseline, grant_runtime_access, migrate, runtime_url

pytestmark = pytest.mark.postgres

NORTH, SOUTH = uuid4(), uuid4()

# One row of each table for a unit; %(id)s is a random id that joins them.
ROWS = (
    "INSERT INTO units (id, name, slug) VALUES (%(unit)s, 'Unit', %(unit)s::text)",
    "INSERT INTO users (id, unit_id, name, email, password_hash, role) VALUES (%(id)s, %(unit)s, 'N', %(id)s::text, '', 'agent')",
    "INSERT INTO contacts (id, unit_id, phone) VALUES (%(id)s, %(unit)s, '551199990000')",
    "INSERT INTO unit_whatsapp_connections (unit_id, instance_id) VALUES (%(unit)s, 'unit_' || %(unit)s::text)",
    "INSERT INTO conversations (id, unit_id, contact_id) VALUES (%(id)s, %(unit)s, %(id)s)",
    "INSERT INTO messages (id, conversation_id, sender, content) VALUES (%(id)s, %(id)s, 'agent', 'hello')",
    "INSERT INTO campaigns (id, unit_id, name, content) VALUES (%(id)s, %(unit)s, 'C', 'hello')",
    "INSERT INTO campaign_recipients (unit_id, campaign_id, contact_id) VALUES (%(unit)s, %(id)s, %(id)s)",
    "INSERT INTO webhook_quarantine (unit_id, provider, reason, body, body_size) VALUES (%(unit)s, 'evolution', 'poison', '', 0)",
    "INSERT INTO pending_message_updates (unit_id, external_id, status) VALUES (%(unit)s, 'KEY', 'read')",
    (
        "INSERT INTO refresh_tokens (unit_id, user_id, family_id, token_hash, expires_at) "
        "VALUES (%(unit)s, %(id)s, %(id)s, %(unit)s::text, now())"
    ),
)
TABLES = [table.name for table in metadata.sorted_tables]


def fill(connection: psycopg.Connection, unit: UUID, *, tables: int = len(ROWS)) -> None:
    """One row of `unit` in each of the first `tables` tables."""
    values = {"unit": unit, "id": uuid4()}
    for statement in ROWS[:tables]:
        connection.execute(statement.encode(), values)


@pytest.fixture(scope="module")
def database(server: Database, migrated_template: str) -> Iterator[Database]:
    """A migrated database in which two units have one row in each table."""
    with server.throwaway(template=migrated_template) as database:
        with psycopg.connect(database.conninfo) as connection:
            for unit in (NORTH, SOUTH):
                fill(connection, unit)
        yield database


@contextmanager
def runtime(database: Database, *, unit: UUID | None = None, scope: str | None = None) -> Iterator[psycopg.Connection]:
    """A transaction of the runtime role, in the scope of a unit or of the system or of nobody."""
    conninfo = runtime_url(database.conninfo)
    with psycopg.connect(conninfo) as connection:
        if unit is not None:
            connection.execute("SELECT set_config('app.unit_id', %s, true)", [str(unit)])
        if scope is not None:
            connection.execute("SELECT set_config('app.scope', %s, true)", [scope])
        yield connection
        connection.rollback()


def units_in(connection: psycopg.Connection, table: str) -> set[UUID]:
    column = "id" if table == "units" else "unit_id"
    query = sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), sql.Identifier(table))
    return {unit for (unit,) in connection.execute(query)}


@pytest.mark.parametrize("table", TABLES)
def test_a_unit_sees_its_own_rows_and_no_others(table: str, database: Database) -> None:
    with runtime(database, unit=NORTH) as connection:
        assert units_in(connection, table) == {NORTH}


@pytest.mark.parametrize("table", TABLES)
def test_without_a_unit_nothing_is_seen(table: str, database: Database) -> None:
    with runtime(database) as connection:
        assert units_in(connection, table) == set()


@pytest.mark.parametrize("table", TABLES)
def test_the_system_scope_sees_every_unit(table: str, database: Database) -> None:
    with runtime(database, scope="system") as connection:
        assert units_in(connection, table) == {NORTH, SOUTH}


@pytest.mark.parametrize("table", TABLES)
def test_another_unit_can_neither_be_changed_nor_deleted(table: str, database: Database) -> None:
    column = sql.Identifier("id" if table == "units" else "unit_id")
    name = sql.Identifier(table)
    with runtime(database, unit=NORTH) as connection:
        moved = connection.execute(sql.SQL("UPDATE {} SET id = id WHERE {} = %s").format(name, column), [SOUTH])
        assert moved.rowcount == 0
        gone = connection.execute(sql.SQL("DELETE FROM {} WHERE {} = %s").format(name, column), [SOUTH])
        assert gone.rowcount == 0


@pytest.mark.parametrize("table", [name for name in TABLES if name != "units"])
def test_a_row_cannot_be_handed_to_another_unit(table: str, database: Database) -> None:
    query = sql.SQL("UPDATE {} SET unit_id = %s").format(sql.Identifier(table))
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"),
        runtime(database, unit=NORTH) as connection,
    ):
        connection.execute(query, [SOUTH])


def test_a_row_of_another_unit_cannot_be_made(database: Database) -> None:
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"),
        runtime(database, unit=NORTH) as connection,
    ):
        connection.execute("INSERT INTO contacts (unit_id, phone) VALUES (%s, '5511000')", [SOUTH])


def test_another_word_than_system_is_no_scope(database: Database) -> None:
    with runtime(database, scope="systems") as connection:
        assert units_in(connection, "messages") == set()


def test_the_unit_is_forgotten_at_the_end_of_the_transaction(database: Database) -> None:
    with psycopg.connect(runtime_url(database.conninfo), autocommit=True) as connection:
        with connection.transaction():
            connection.execute("SELECT set_config('app.unit_id', %s, true)", [str(NORTH)])
            assert units_in(connection, "messages") == {NORTH}
        assert units_in(connection, "messages") == set()


def test_tables_of_other_tools_are_opened_to_the_runtime_role(migrated: Database) -> None:
    with psycopg.connect(migrated.conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE jobs (id bigserial PRIMARY KEY)")
    grant_runtime_access(migrated.url)
    with psycopg.connect(runtime_url(migrated.conninfo)) as connection:
        assert connection.execute("INSERT INTO jobs DEFAULT VALUES RETURNING id").fetchone() == (1,)


def test_where_no_role_may_be_made_the_migration_says_so_and_ends_well() -> None:
    """A managed server: the owner of the database is neither superuser nor may he create roles. On a server without the role."""
    with open_database("embedded") as server:
        with psycopg.connect(server.conninfo, autocommit=True) as administrator:
            administrator.execute("CREATE ROLE owner LOGIN")
            administrator.execute("CREATE DATABASE managed OWNER owner")
            url = server.conninfo.replace("postgres@", "owner@").replace("/golive", "/managed")
            report = migrate(url)
            assert report.succeeded
            assert any(f"the role {RUNTIME_ROLE} is missing and owner may not create it" in notice for notice in report.notices)
            with psycopg.connect(url) as connection:
                fill(connection, NORTH)
                assert [units_in(connection, table) for table in TABLES] == [{NORTH}] * len(TABLES)

            administrator.execute(f"CREATE ROLE {RUNTIME_ROLE}".encode())
            report = migrate(url)
            assert any(f"owner may not become {RUNTIME_ROLE}" in notice for notice in report.notices)
            administrator.execute(f"CREATE ROLE backend LOGIN IN ROLE {RUNTIME_ROLE}".encode())
        with psycopg.connect(url.replace("owner@", "backend@")) as connection:
            assert units_in(connection, "messages") == set()
            connection.execute("SELECT set_config('app.unit_id', %s, true)", [str(NORTH)])
            assert units_in(connection, "messages") == {NORTH}


def test_a_login_of_the_previous_release_that_is_not_the_owner_still_sees_every_row(empty: Database) -> None:
    """Its login got rights on the tables long before the migration, and does not know app.unit_id."""
    create_baseline(empty.url)
    with psycopg.connect(empty.conninfo, autocommit=True) as administrator:
        administrator.execute("DROP ROLE IF EXISTS veteran")
        administrator.execute("CREATE ROLE veteran LOGIN")
        administrator.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO veteran")
        try:
            migrate(empty.url)
            with psycopg.connect(empty.conninfo.replace("postgres@", "veteran@")) as connection:
                fill(connection, NORTH, tables=6)
                assert units_in(connection, "messages") == {NORTH}
        finally:
            administrator.execute("DROP OWNED BY veteran")
            administrator.execute("DROP ROLE veteran")
