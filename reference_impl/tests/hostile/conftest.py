"""One fortress for all cases of a run; after each it must stand as before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.datastores import open_database
from reference_impl.adapters.queue import apply_schema
from reference_impl.migrations.migrate import migrate
from reference_impl.tests.hostile.fortress import Fortress, besieged
from reference_impl.tests.system.conftest import migrated_postgres, on_postgres

__all__ = ["migrated_postgres", "on_postgres"]


@pytest.fixture(scope="session")
def standing(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    with open_database(postgres_url) as server, server.throwaway() as database:
        migrate(database.url)
        apply_schema(database.url)
        with besieged(database.url, tmp_path_factory.mktemp("fortress")) as fortress:
            yield fortress


@pytest.fixture
def fortress(standing: Fortress, request: pytest.FixtureRequest) -> Iterator[Fortress]:
    """The fortress, which is looked at after the case. `@pytest.mark.answers(502)` names 5xx that are the contract's answer."""
    standing.begin()
    yield standing
    marker = request.node.get_closest_marker("answers")
    standing.stands(server_errors=frozenset(marker.args if marker is not None else ()))
