"""Where the tests that need containers (marker `container`) get an engine from.

They run on an engine that answers. Where none does they are skipped with the reason – unless `GOLIVE_REQUIRE_CONTAINERS` is set:
then one is started, by root where `dockerd` is installed, and they fail when that cannot be.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.containers import Engine

REQUIRED = "GOLIVE_REQUIRE_CONTAINERS"
_CLEANUP = pytest.StashKey[contextlib.ExitStack]()
_ADDRESS = "golive_docker_host"


def _required() -> bool:
    return bool(os.environ.get(REQUIRED))


def pytest_configure(config: pytest.Config) -> None:
    worker_input: dict[str, str] | None = getattr(config, "workerinput", None)
    if worker_input is not None and _ADDRESS in worker_input:
        os.environ["DOCKER_HOST"] = worker_input[_ADDRESS]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """One engine and one build for all workers: their controller sees to both."""
    if not _required():
        return
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    if _CLEANUP not in config.stash:
        from harness.containers import image_for, open_engine

        stack = config.stash[_CLEANUP] = contextlib.ExitStack()
        stack.enter_context(open_engine())
        image_for("fake")
        image_for("postgres")
    if "DOCKER_HOST" in os.environ:
        node.workerinput[_ADDRESS] = os.environ["DOCKER_HOST"]  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    if _CLEANUP in config.stash:
        config.stash[_CLEANUP].close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    wanted = [item for item in items if item.get_closest_marker("container") is not None]
    if not wanted or _required():
        return
    from harness.image.build import ImageError, server_version

    try:
        server_version()
    except ImageError as silent:
        for item in wanted:
            item.add_marker(pytest.mark.skip(reason=f"no containers: {silent}; {REQUIRED}=1 insists"))


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """An engine that answers, with which containers can be run."""
    from harness.containers import open_engine

    with open_engine() as found:
        yield found


@pytest.fixture(scope="session")
def fake_image(engine: Engine) -> str:
    """The image of the fake to test: that of a setting, else that of this code."""
    from harness.containers import image_for

    return image_for("fake")


@pytest.fixture(scope="session")
def postgres_image(engine: Engine) -> str:
    """As `fake_image`, of Postgres."""
    from harness.containers import image_for

    return image_for("postgres")
