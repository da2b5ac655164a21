"""Test configuration of the whole checkout: the scenario plugin, and one Postgres server for all tests of a run."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from harness.datastores import open_database

pytest_plugins = ["features.plugin", "harness.fixtures"]

# How fast a busy machine draws and tries examples is no property of what is tested.
settings.register_profile("golive", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("golive")

_SERVER = pytest.StashKey[str]()
_CLEANUP = pytest.StashKey[contextlib.ExitStack]()
_WORKER_KEY = "golive_postgres_url"


def _server(config: pytest.Config) -> str:
    """The URL of a running server, started when first asked for and stopped at the end of the run."""
    if _SERVER not in config.stash:
        stack = config.stash.setdefault(_CLEANUP, contextlib.ExitStack())
        given = os.environ.get("GOLIVE_TEST_POSTGRES")
        config.stash[_SERVER] = stack.enter_context(open_database(given or "embedded")).url
    return config.stash[_SERVER]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """One server for all workers: it is started by their controller."""
    node.workerinput[_WORKER_KEY] = _server(node.config)  # type: ignore[attr-defined]


def pytest_configure() -> None:
    # A run in the background ignores Ctrl-C, and so would every process that the tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _CLEANUP in config.stash:
        config.stash[_CLEANUP].close()


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """A real Postgres on which databases may be created and dropped, as an SQLAlchemy URL.

    It is `GOLIVE_TEST_POSTGRES` when that is set, else an embedded server. Never skipped: without one the tests that need it
    fail.
    """
    worker_input: dict[str, str] | None = getattr(request.config, "workerinput", None)
    return worker_input[_WORKER_KEY] if worker_input is not None else _server(request.config)


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see no golive setting of whoever runs them."""
    for name in [name for name in os.environ if name.startswith("GOLIVE_") and name != "GOLIVE_TEST_POSTGRES"]:
        monkeypatch.delenv(name)
