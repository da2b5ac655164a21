"""A real Postgres for the tests of the reference backend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.datastores import Database, open_database
from reference_impl.migrations.migrate import create_baseline, migrate


@pytest.fixture(scope="session")
def server() -> Iterator[Database]:
    """A server of this session's own; without one the tests fail, they are never skipped."""
    with open_database("embedded") as database:
        yield database


@pytest.fixture(scope="session")
def baseline_template(server: Database) -> str:
    """The name of a database with the schema before the integration, to copy."""
    create_baseline(server.create_database("baseline_template").url)
    return "baseline_template"


@pytest.fixture(scope="session")
def migrated_template(server: Database) -> str:
    """The name of a database with the schema after the migration, to copy."""
    migrate(server.create_database("migrated_template").url)
    return "migrated_template"


@pytest.fixture
def empty(server: Database) -> Iterator[Database]:
    """An empty database of the test's own."""
    with server.throwaway() as database:
        yield database


@pytest.fixture
def baseline(server: Database, baseline_template: str) -> Iterator[Database]:
    """A database of the test's own with the schema before the integration."""
    with server.throwaway(template=baseline_template) as database:
        yield database


@pytest.fixture
def migrated(server: Database, migrated_template: str) -> Iterator[Database]:
    """A database of the test's own with the schema after the migration."""
    with server.throwaway(template=migrated_template) as database:
        yield database
