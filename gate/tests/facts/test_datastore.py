"""A store is watched while it writes, and stores that look right at first are found out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from gate.checks.datastore import upsert
from gate.errors import Failure, GateError
from gate.facts import datastore, throwaway
from gate.facts.datastore import Datastore, Store
from gate.facts.expected import load
from gate.facts.subject import Subject
from gate.tests.worlds.sample_backend.store import contacts


class Rows:
    """A store on Postgres that looks before it writes; `key` says whether the table has a unique key."""

    table, key_column, value_column, backend = "rows", "key", "value", "postgresql"

    def __init__(self, url: str, key: str) -> None:
        self.connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        self.connection.execute(f"CREATE TABLE IF NOT EXISTS rows (key text {key}, value text)")

    def upsert(self, key: str, value: str) -> None:
        if self.read(key):
            self.connection.execute("UPDATE rows SET value = %s WHERE key = %s", (value, key))
        else:
            self.connection.execute("INSERT INTO rows VALUES (%s, %s)", (key, value))

    def read(self, key: str) -> list[str]:
        return [row[0] for row in self.connection.execute("SELECT value FROM rows WHERE key = %s", (key,))]

    def close(self) -> None:
        self.connection.close()


def observed(postgres_url: str, factory: Callable[[str], Store]) -> Datastore:
    with throwaway.on_postgres(postgres_url) as database:
        return datastore.observe(factory, database.url)


@pytest.mark.postgres
def test_a_store_that_looks_first_doubles_the_row_under_two_writers(postgres_url: str) -> None:
    found = observed(postgres_url, lambda url: Rows(url, ""))
    assert found.second == ("second",)
    with pytest.raises(Failure, match="two writers at once left 2 rows"):
        list(upsert.run(datastore=found))


@pytest.mark.postgres
def test_a_store_that_looks_first_is_refused_by_a_unique_key(postgres_url: str) -> None:
    found = observed(postgres_url, lambda url: Rows(url, "PRIMARY KEY"))
    with pytest.raises(Failure, match="of two writers at once the second was refused.*UniqueViolation"):
        list(upsert.run(datastore=found))


@pytest.mark.postgres
def test_a_store_that_upserts_holds_under_two_writers(postgres_url: str) -> None:
    found = datastore.read(Subject(schema=load("seed"), database_url=postgres_url, datastore=contacts))
    assert found.race is not None
    assert (found.race.values, found.race.error) == (("after",), "")
    assert (found.declared, found.configured) == ("postgresql", "postgresql")
    assert found.server.startswith("PostgreSQL ")


def test_on_sqlite_there_is_no_second_writer() -> None:
    found = datastore.read(Subject(schema=load("seed"), database_url="sqlite://", datastore=contacts))
    assert found.race is None
    assert found.embedded
    assert found.server.startswith("SQLite ")


def test_no_store_of_the_application_is_no_answer() -> None:
    with pytest.raises(GateError, match=r"name the factory of its store in database\.datastore"):
        datastore.read(Subject(schema=load("seed"), database_url="sqlite://"))


@pytest.mark.process
def test_a_factory_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="the datastore nowhere:factory: ModuleNotFoundError"):
        datastore.read(
            Subject(schema=load("seed"), database_url="sqlite://", datastore="nowhere:factory", source_paths=(tmp_path,))
        )
