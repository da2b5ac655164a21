"""The verification at the end of the migration: each planted fault must turn it red and be named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from harness.datastores import Database
from reference_impl.adapters.schema import metadata
from reference_impl.migrations.migrate import MIGRATION, SUCCESS, MigrationError, migrate, split_statements, verify

pytestmark = pytest.mark.postgres

*_, VERIFICATION = split_statements(MIGRATION.read_text(encoding="utf-8"))
TABLES = [table.name for table in metadata.sorted_tables]
INDEXES = [str(index.name) for table in metadata.sorted_tables for index in table.indexes]
KEYS = [
    (table.name, str(constraint.name))
    for table in metadata.sorted_tables
    for constraint in table.constraints
    if isinstance(constraint, sa.UniqueConstraint | sa.ForeignKeyConstraint | sa.CheckConstraint)
]

# What is done to a migrated database, and what the verification must then say.
FAULTS = {
    "a dropped column": (["ALTER TABLE messages DROP COLUMN error_details"], "column public.messages.error_details is missing"),
    "a wrong type": (["ALTER TABLE messages ALTER COLUMN retry_count TYPE text"], "retry_count is text, must be integer"),
    "a varchar for a text": (
        ["ALTER TABLE messages ALTER COLUMN provider TYPE varchar(5)"],
        r"is character varying\(5\), must be text",
    ),
    "a time without zone": (
        ["ALTER TABLE unit_whatsapp_connections ALTER COLUMN connected_at TYPE timestamp"],
        "connected_at is timestamp without time zone, must be timestamp with time zone",
    ),
    "a column that old inserts do not fill": (
        ["ALTER TABLE messages ALTER COLUMN provider SET NOT NULL"],
        "provider must be nullable",
    ),
    "a column that may be null": (["ALTER TABLE campaigns ALTER COLUMN status DROP NOT NULL"], "status must be NOT NULL"),
    "a default that is gone": (
        ["ALTER TABLE messages ALTER COLUMN retry_count DROP DEFAULT"],
        "retry_count has the default none, must be 0",
    ),
    "another default": (["ALTER TABLE campaigns ALTER COLUMN status SET DEFAULT 'paused'"], "has the default 'paused'::text"),
    "a generated column": (
        ["ALTER TABLE messages DROP caption", "ALTER TABLE messages ADD caption text GENERATED ALWAYS AS (content) STORED"],
        "caption is generated",
    ),
    "an unknown column that must be filled": (
        ["ALTER TABLE campaigns ADD COLUMN budget integer NOT NULL"],
        "column public.campaigns.budget is not known to the backend",
    ),
    "an index that is not unique": (
        [
            "DROP INDEX idx_messages_client_message_id_unit",
            (
                "CREATE INDEX idx_messages_client_message_id_unit ON messages (conversation_id, client_message_id) "
                "WHERE client_message_id IS NOT NULL"
            ),
        ],
        "index public.idx_messages_client_message_id_unit is not unique",
    ),
    "an index without its predicate": (
        [
            "DROP INDEX idx_unit_whatsapp_instance_lookup",
            "CREATE UNIQUE INDEX idx_unit_whatsapp_instance_lookup ON unit_whatsapp_connections (instance_id)",
        ],
        r"idx_unit_whatsapp_instance_lookup has the predicate none, must have \(instance_id IS NOT NULL\)",
    ),
    "an index with another predicate": (
        [
            "DROP INDEX idx_messages_retry_failed",
            "CREATE INDEX idx_messages_retry_failed ON messages (status, retry_count, last_retry_at) WHERE status = 'failed'",
        ],
        "idx_messages_retry_failed has the predicate",
    ),
    "an index on other columns": (
        [
            "DROP INDEX idx_messages_unit_external_id",
            "CREATE UNIQUE INDEX idx_messages_unit_external_id ON messages (external_id, unit_id) WHERE external_id IS NOT NULL",
        ],
        r"covers \(external_id, unit_id\), must cover \(unit_id, external_id\)",
    ),
    "an index on another table": (
        ["DROP INDEX idx_refresh_tokens_user", "CREATE INDEX idx_refresh_tokens_user ON users (unit_id)"],
        "idx_refresh_tokens_user is on public.users, must be on public.refresh_tokens",
    ),
    "an index in another order": (
        [
            "DROP INDEX idx_campaigns_unit_created",
            "CREATE INDEX idx_campaigns_unit_created ON campaigns (unit_id, created_at DESC, id)",
        ],
        "idx_campaigns_unit_created is CREATE INDEX",
    ),
    "an invalid index": (
        ["UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_messages_unit_external_id'::regclass"],
        "idx_messages_unit_external_id is invalid",
    ),
    "a unique index over all tenants": (
        ["CREATE UNIQUE INDEX one_for_all ON messages (external_id)"],
        "unique index one_for_all is not known to the backend",
    ),
    "an unvalidated foreign key": (
        [
            "ALTER TABLE campaign_recipients DROP CONSTRAINT campaign_recipients_contact_id_fkey",
            (
                "ALTER TABLE campaign_recipients ADD CONSTRAINT campaign_recipients_contact_id_fkey "
                "FOREIGN KEY (contact_id) REFERENCES contacts (id) NOT VALID"
            ),
        ],
        "constraint campaign_recipients_contact_id_fkey on public.campaign_recipients is not validated",
    ),
    "a foreign key that forgets to cascade": (
        [
            "ALTER TABLE campaign_recipients DROP CONSTRAINT campaign_recipients_campaign_id_fkey",
            "ALTER TABLE campaign_recipients ADD FOREIGN KEY (campaign_id) REFERENCES campaigns (id)",
        ],
        r"lacks the constraint FOREIGN KEY \(campaign_id\) REFERENCES campaigns\(id\) ON DELETE CASCADE",
    ),
    "a look-alike table in another schema": (
        ["CREATE SCHEMA elsewhere", "ALTER TABLE campaign_recipients SET SCHEMA elsewhere"],
        "table public.campaign_recipients is missing",
    ),
    "a view in place of a table": (
        ["ALTER TABLE refresh_tokens RENAME TO tokens", "CREATE VIEW refresh_tokens AS SELECT * FROM tokens"],
        "public.refresh_tokens is not a table",
    ),
    "a table that a crash empties": (["ALTER TABLE refresh_tokens SET UNLOGGED"], "public.refresh_tokens is not durable"),
    "a status CHECK without qr": (
        [
            "ALTER TABLE unit_whatsapp_connections DROP CONSTRAINT unit_whatsapp_connections_status_check",
            (
                "ALTER TABLE unit_whatsapp_connections ADD CONSTRAINT unit_whatsapp_connections_status_check "
                "CHECK (status IN ('connecting', 'connected', 'disconnected', 'error'))"
            ),
        ],
        'CHECK unit_whatsapp_connections_status_check on public.unit_whatsapp_connections refuses "qr"',
    ),
    "a second CHECK that refuses qr": (
        ["ALTER TABLE unit_whatsapp_connections ADD CONSTRAINT no_qr CHECK (status <> 'qr')"],
        'CHECK no_qr on public.unit_whatsapp_connections refuses "qr"',
    ),
    "a status CHECK that allows anything": (
        [
            "ALTER TABLE campaigns DROP CONSTRAINT campaigns_status_check",
            "ALTER TABLE campaigns ADD CONSTRAINT campaigns_status_check CHECK (status <> '')",
        ],
        "no CHECK on public.campaigns.status refuses",
    ),
    "a CHECK that was never validated": (
        [
            "ALTER TABLE campaigns DROP CONSTRAINT campaigns_delivery_policy_check",
            (
                "ALTER TABLE campaigns ADD CONSTRAINT campaigns_delivery_policy_check "
                "CHECK (delivery_policy IN ('at_most_once', 'at_least_once')) NOT VALID"
            ),
        ],
        "CHECK campaigns_delivery_policy_check on campaigns is not validated",
    ),
    "a fourth attempt": (
        [
            "ALTER TABLE messages DROP CONSTRAINT messages_attempts_check",
            "ALTER TABLE messages ADD CONSTRAINT messages_attempts_check CHECK (attempts BETWEEN 0 AND 4)",
        ],
        "no CHECK on public.messages.attempts refuses",
    ),
    "row-level security switched off": (
        ["ALTER TABLE messages DISABLE ROW LEVEL SECURITY"],
        "row-level security is not enabled on public.messages",
    ),
    "row-level security not forced": (
        ["ALTER TABLE contacts NO FORCE ROW LEVEL SECURITY"],
        "row-level security is not forced on public.contacts",
    ),
    "a tenant policy that lets everything through": (
        ["ALTER POLICY tenant_isolation ON campaigns USING (true)"],
        "policy tenant_isolation on public.campaigns is missing or does not compare",
    ),
    "a tenant policy that checks only reads": (
        ["ALTER POLICY tenant_isolation ON campaigns WITH CHECK (true)"],
        "policy tenant_isolation on public.campaigns is missing or does not compare",
    ),
    "a second policy for everybody": (
        ["CREATE POLICY debugging ON messages USING (true)"],
        "policy debugging on public.messages holds for the runtime role",
    ),
    "a policy for the runtime role": (
        ["CREATE POLICY reports ON messages TO golive_runtime USING (true)"],
        "policy reports on public.messages holds for the runtime role",
    ),
    "an owner who sees nothing": (
        ["DROP POLICY previous_release ON messages"],
        "policy previous_release on public.messages does not let the owner see every row",
    ),
    "a runtime role with bypass": (
        ["ALTER ROLE golive_runtime BYPASSRLS"],
        "the role golive_runtime bypasses row-level security",
    ),
    "a runtime role that is the owner": (
        ["GRANT postgres TO golive_runtime"],
        "the role golive_runtime is a member of the owner",
    ),
    "a right that is missing": (
        ["REVOKE UPDATE ON messages FROM golive_runtime"],
        "the role golive_runtime may not UPDATE public.messages",
    ),
    "a trigger that is switched off": (
        ["ALTER TABLE messages DISABLE TRIGGER messages_fill_tenant"],
        "trigger messages_fill_tenant on public.messages is missing, disabled or another one",
    ),
    "a trigger that does nothing": (
        ["CREATE OR REPLACE FUNCTION messages_fill_tenant() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"],
        "trigger messages_fill_tenant on public.messages is missing, disabled or another one",
    ),
    "rows of nobody": (
        [
            "INSERT INTO units (name, slug) VALUES ('North', 'north')",
            "INSERT INTO contacts (unit_id, phone) SELECT id, '551199990000' FROM units",
            "INSERT INTO conversations (unit_id, contact_id) SELECT unit_id, id FROM contacts",
            "INSERT INTO messages (conversation_id, sender, content) SELECT id, 'agent', 'hello' FROM conversations",
            "UPDATE messages SET unit_id = NULL",
        ],
        "rows of public.messages have no unit",
    ),
}

# Faults that running the migration again puts right, because it makes what is missing and replaces what is stale.
HEALED = {
    "a dropped column",
    "a look-alike table in another schema",
    "an invalid index",
    "a status CHECK without qr",
    "an owner who sees nothing",
    "row-level security switched off",
    "row-level security not forced",
    "a right that is missing",
    "a trigger that does nothing",
    "rows of nobody",
}


@pytest.fixture(scope="module")
def shared(server: Database, migrated_template: str) -> Iterator[psycopg.Connection]:
    """A connection to one migrated database; what a test does through it is rolled back."""
    with (
        server.throwaway(template=migrated_template) as database,
        psycopg.connect(database.conninfo, autocommit=True) as connection,
    ):
        connection.execute("SET search_path TO public, pg_temp")
        yield connection


@contextmanager
def sabotaged(connection: psycopg.Connection, *statements: sql.SQL | sql.Composed | str) -> Iterator[psycopg.Connection]:
    """A transaction in which the statements were run, rolled back at the end."""
    with connection.transaction(force_rollback=True):
        for statement in statements:
            connection.execute(statement.encode() if isinstance(statement, str) else statement)
        yield connection


def verdict(connection: psycopg.Connection) -> str:
    """What the verification says: the exception's text, or its notice."""
    notices: list[str] = []

    def keep(notice: psycopg.errors.Diagnostic) -> None:
        notices.append(notice.message_primary or "")

    connection.add_notice_handler(keep)
    try:
        connection.execute(VERIFICATION.text.encode())
    except psycopg.errors.RaiseException as error:
        return error.diag.message_primary or ""
    finally:
        connection.remove_notice_handler(keep)
    return "\n".join(notices)


def test_an_untouched_schema_passes(shared: psycopg.Connection) -> None:
    with sabotaged(shared) as connection:
        assert verdict(connection) == SUCCESS


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named(fault: str, shared: psycopg.Connection) -> None:
    statements, message = FAULTS[fault]
    with sabotaged(shared, *statements) as connection:
        said = verdict(connection)
    assert re.search(message, said)
    assert SUCCESS not in said


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {"a runtime role with bypass", "a runtime role that is the owner"}))
def test_a_migration_over_a_planted_fault_repairs_it_or_fails(fault: str, migrated: Database) -> None:
    """The two faults left out change a role, which all databases of the server share."""
    statements, _ = FAULTS[fault]
    with psycopg.connect(migrated.conninfo, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
    if fault in HEALED:
        assert migrate(migrated.url).succeeded
        verify(migrated.url)
    else:
        with pytest.raises(MigrationError) as caught:
            migrate(migrated.url)
        assert caught.value.report is not None
        assert SUCCESS not in caught.value.report.notices


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_verified(table: str, shared: psycopg.Connection) -> None:
    columns = metadata.tables[table].columns.keys()
    rename = sql.SQL("ALTER TABLE {} RENAME COLUMN {} TO {}")
    renames = [rename.format(*map(sql.Identifier, (table, column, f"{column}_renamed"))) for column in columns]
    with sabotaged(shared, *renames) as connection:
        said = verdict(connection)
    assert [column for column in columns if f"column public.{table}.{column} is missing" not in said] == []


def test_every_index_is_verified(shared: psycopg.Connection) -> None:
    with sabotaged(shared, *(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)) for name in INDEXES)) as connection:
        said = verdict(connection)
    assert [name for name in INDEXES if f"index public.{name} is missing" not in said] == []


def test_every_key_and_check_is_verified(shared: psycopg.Connection) -> None:
    for table, name in KEYS:
        drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {} CASCADE").format(sql.Identifier(table), sql.Identifier(name))
        with sabotaged(shared, drop) as connection:
            said = verdict(connection)
        assert said.startswith("MIGRATION INCOMPLETE")
        assert f"public.{table}" in said


def test_every_table_is_verified(shared: psycopg.Connection) -> None:
    for table in TABLES:
        with sabotaged(shared, sql.SQL("ALTER TABLE {} RENAME TO renamed").format(sql.Identifier(table))) as connection:
            assert f"table public.{table} is missing" in verdict(connection)


def test_all_shortfalls_are_listed_at_once(shared: psycopg.Connection) -> None:
    with sabotaged(shared, "ALTER TABLE messages DROP COLUMN caption", "DROP INDEX idx_messages_due") as connection:
        said = verdict(connection)
    assert "column public.messages.caption is missing" in said
    assert "index public.idx_messages_due is missing" in said


def test_a_temporary_table_does_not_stand_in_for_a_missing_one(shared: psycopg.Connection) -> None:
    statements = ("CREATE TEMPORARY TABLE copied (LIKE refresh_tokens INCLUDING ALL)", "DROP TABLE refresh_tokens")
    with sabotaged(shared, *statements, "ALTER TABLE copied RENAME TO refresh_tokens") as connection:
        assert "table public.refresh_tokens is missing" in verdict(connection)
