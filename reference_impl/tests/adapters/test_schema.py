"""The tables in memory: what the metadata promises must also hold on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from reference_impl.adapters import schema
from reference_impl.migrations.migrate import SUCCESS, MigrationError, migrate, prepare_sqlite, runtime_url

TENANT_TABLES = [table.name for table in schema.metadata.sorted_tables if table.name != "units"]


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(sa.text("PRAGMA foreign_keys = ON"))
        assert prepare_sqlite(connection) == ()
        yield connection
    engine.dispose()


def a_conversation(connection: sa.Connection) -> dict[str, UUID]:
    unit, contact, conversation = uuid4(), uuid4(), uuid4()
    connection.execute(schema.units.insert().values(id=unit, name="North", slug=str(unit)))
    connection.execute(schema.contacts.insert().values(id=contact, unit_id=unit, phone="551199990000"))
    connection.execute(schema.conversations.insert().values(id=conversation, unit_id=unit, contact_id=contact))
    return {"unit_id": unit, "conversation_id": conversation}


def a_message(**values: Any) -> sa.Insert:
    return schema.messages.insert().values({"sender": "agent", "content": "hello", **values})


@pytest.mark.parametrize("url", ["postgresql+psycopg://", "sqlite://"])
def test_every_table_and_index_compiles(url: str) -> None:
    dialect = sa.create_mock_engine(url, lambda *_: None).dialect
    for table in schema.metadata.sorted_tables:
        assert table.name in str(sa.schema.CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert str(index.name) in str(sa.schema.CreateIndex(index).compile(dialect=dialect))


@pytest.mark.parametrize("table", TENANT_TABLES)
def test_every_tenant_table_carries_its_unit(table: str) -> None:
    column = schema.metadata.tables[table].c.unit_id
    assert [key.target_fullname for key in column.foreign_keys] == ["units.id"]


def test_an_identifier_made_by_the_database_is_a_uuid(connection: sa.Connection) -> None:
    connection.execute(schema.units.insert().values(name="North", slug="north"))
    found = connection.execute(sa.select(schema.units.c.id)).scalar_one()
    assert isinstance(found, UUID)
    assert connection.execute(sa.select(schema.units.c.slug).where(schema.units.c.id == found)).scalar_one() == "north"


def test_a_time_comes_back_aware_and_equal(connection: sa.Connection) -> None:
    moment = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=timezone(timedelta(hours=-3)))
    connection.execute(schema.units.insert().values(name="North", slug="north", created_at=moment))
    found = connection.execute(sa.select(schema.units.c.created_at)).scalar_one()
    assert (found, found.tzinfo) == (moment, UTC)


def test_a_time_without_a_zone_is_refused(connection: sa.Connection) -> None:
    with pytest.raises(sa.exc.StatementError, match="must carry its time zone"):
        connection.execute(schema.units.insert().values(name="North", slug="north", created_at=datetime(2026, 1, 1)))  # noqa: DTZ001


@pytest.mark.parametrize(
    "values",
    [{"external_id": "KEY"}, {"client_message_id": "order-1"}],
    ids=["the provider's id", "the client's id"],
)
def test_a_second_message_with_the_same_id_is_refused(connection: sa.Connection, values: dict[str, str]) -> None:
    ids = a_conversation(connection)
    connection.execute(a_message(**ids, **values))
    with pytest.raises(sa.exc.IntegrityError):
        connection.execute(a_message(**ids, **values))


def test_messages_without_ids_are_many_and_the_same_ids_in_two_units_are_two(connection: sa.Connection) -> None:
    first, second = a_conversation(connection), a_conversation(connection)
    for ids in (first, second):
        connection.execute(a_message(**ids, external_id="KEY", client_message_id="order-1"))
        for _ in range(2):
            connection.execute(a_message(**ids))
    assert connection.execute(sa.select(sa.func.count()).select_from(schema.messages)).scalar_one() == 6


@pytest.mark.parametrize(
    "values", [{"status": "lost"}, {"sender": "nobody"}, {"direction": "up"}, {"attempts": 4}, {"delivery_policy": "maybe"}]
)
def test_a_value_out_of_its_set_is_refused(connection: sa.Connection, values: dict[str, Any]) -> None:
    ids = a_conversation(connection)
    with pytest.raises(sa.exc.IntegrityError, match="CHECK"):
        connection.execute(a_message(**ids, **values))


def test_a_conflict_updates_and_does_not_insert_twice(connection: sa.Connection) -> None:
    unit = a_conversation(connection)["unit_id"]
    insert = sqlite.insert(schema.contacts).values(unit_id=unit, phone="551199990000", name="Ana")
    connection.execute(insert.on_conflict_do_update(index_elements=["unit_id", "phone"], set_={"name": insert.excluded.name}))
    assert connection.execute(sa.select(schema.contacts.c.name)).scalars().all() == ["Ana"]


def test_the_address_of_a_user_is_unique_whatever_its_case(connection: sa.Connection) -> None:
    user = {"name": "Ana", "password_hash": "-", "role": "super_admin"}
    connection.execute(schema.users.insert().values(email="ana@example.org", **user))
    with pytest.raises(sa.exc.IntegrityError):
        connection.execute(schema.users.insert().values(email="ANA@example.org", **user))


def test_the_migration_of_a_database_in_memory_judges_it() -> None:
    report = migrate("sqlite://")
    assert (report.backend, report.succeeded, report.notices) == ("sqlite", True, (SUCCESS,))


@pytest.mark.parametrize(
    ("before", "fault"),
    [
        ("CREATE TABLE campaigns (id CHAR(32) PRIMARY KEY)", "column campaigns.unit_id is missing"),
        ("CREATE TABLE units (id TEXT NOT NULL PRIMARY KEY)", "column units.id is TEXT, must be CHAR(32)"),
        ("CREATE TABLE units (id CHAR(32) NOT NULL PRIMARY KEY, name TEXT)", "column units.name must be NOT NULL"),
        ("CREATE TABLE units (slug TEXT NOT NULL)", "table units lacks the key UNIQUE (slug)"),
        ("CREATE TABLE refresh_tokens (user_id CHAR(32) NOT NULL)", "lacks the foreign key (user_id) to users"),
    ],
)
def test_a_table_that_was_there_before_is_judged_by_definition(before: str, fault: str) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(sa.text(before))
        faults = prepare_sqlite(connection)
    engine.dispose()
    assert any(fault in found for found in faults)


def test_an_index_that_is_not_unique_is_a_fault() -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        prepare_sqlite(connection)
        connection.execute(sa.text("DROP INDEX idx_messages_unit_external_id"))
        connection.execute(sa.text("CREATE INDEX idx_messages_unit_external_id ON messages (unit_id, external_id)"))
        (fault,) = prepare_sqlite(connection)
    engine.dispose()
    assert fault.startswith("index idx_messages_unit_external_id is CREATE INDEX")


def test_a_migration_that_falls_short_raises(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path / 'data.db'}"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE pending_message_updates (id CHAR(32) PRIMARY KEY)"))
    engine.dispose()
    with pytest.raises(MigrationError, match=r"falls short: .*pending_message_updates\.unit_id is missing"):
        migrate(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://a@host/db", "postgresql://a@host/db?options=-crole%3Dgolive_runtime"),
        (
            "postgresql://a@host/db?options=-c%20work_mem%3D5MB&sslmode=require",
            "postgresql://a@host/db?options=-c%20work_mem%3D5MB%20-crole%3Dgolive_runtime&sslmode=require",
        ),
    ],
)
def test_the_runtime_url_keeps_other_options(url: str, expected: str) -> None:
    assert runtime_url(url) == expected
