"""One fortress for all cases of a run; after each it must stand as before."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from harness.datastores import open_database
from reference_impl.adapters.queue import apply_schema
from reference_impl.migrations.migrate import migrate
from reference_impl.tests.hostile.fortress import Fortress, besieged
from reference_impl.tests.system.conftest import migrated_postgres, on_postgres

__all__ = ["migrated_postgres", "on_postgres"]


THOROUGH = os.environ.get("GOLIVE_THOROUGH", "") not in ("", "0")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long is run by `tox -e hostile`, which sets GOLIVE_THOROUGH, and else only when it is asked for by its file's
    name and test's name.
    """
    asked = " ".join(config.args)
    left_out = [
        item
        for item in items
        if item.get_closest_marker("thorough") and not THOROUGH and f"::{item.name.partition('[')[0]}" not in asked
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


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
