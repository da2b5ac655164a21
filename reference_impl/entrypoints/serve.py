"""Serving with granian, one process for each worker; each builds its application from the environment."""

from __future__ import annotations

import asyncio
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from reference_impl.adapters.metrics import SHARED_FOLDER

if TYPE_CHECKING:
    from reference_impl.settings import Settings

__all__ = ["create_app", "serve"]


_HEADER_DEADLINE_MS: Final = 10_000
_BACKLOG: Final = 4096
# For each process.
_CONNECTIONS: Final = 8192
_KEPT_FREE: Final = 256
_AFTER_THE_LAST_CALL_S: Final = 15


def create_app() -> Any:
    """The application with the settings of the environment; granian calls it in each worker. Raises SettingsError."""
    from reference_impl.bootstrap import build
    from reference_impl.settings import Settings

    return build(Settings.from_environment(os.environ)).app


def serve(settings: Settings, host: str, port: int, workers: int = 1) -> None:
    """Serves until SIGTERM or SIGINT. The worker processes read the same environment that `settings` came from.

    Raises SchemaMissingError or StorageUnavailableError when the database cannot be used, ValueError for several workers on
    SQLite in memory: each would have a database of its own.
    """
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    from reference_impl.bootstrap import build

    if workers > 1 and settings.database_url.startswith("sqlite"):
        raise ValueError("SQLite in memory is one process's alone: serve it with one worker, or use Postgres")
    # Here one line tells what is wrong; in a worker process it would be a trace, again and again.
    asyncio.run(build(settings).check())
    _allow_files(_CONNECTIONS * 2)
    server = Granian(
        f"{__name__}:create_app",
        address=host,
        port=port,
        workers=workers,
        interface=Interfaces.ASGI,
        factory=True,
        log_access=False,
        log_level=LogLevels.warning,
        websockets=False,
        # Both protocols on one port would wait for ever for the first byte of a connection.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_DEADLINE_MS),
        backlog=_BACKLOG,
        # Counts connections, idle ones too: whoever only holds them open must not keep others out.
        backpressure=_CONNECTIONS,
        respawn_failed_workers=True,
        # Longer than a call to the provider that is under way may take, and its job is waited for.
        workers_kill_timeout=math.ceil(settings.evolution_timeout_seconds) + _AFTER_THE_LAST_CALL_S,
    )
    with _counted_together(workers):
        server.serve()


@contextmanager
def _counted_together(workers: int) -> Iterator[None]:
    """Lets several processes count in files of one folder, so that whichever is asked for measurements tells the sum."""
    if workers == 1 or SHARED_FOLDER in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="reference-backend-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[SHARED_FOLDER]


def _allow_files(wanted: int) -> None:
    """Raises the limit of open files of this process and its children as far as it may: each connection is one."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted + _KEPT_FREE if hard == resource.RLIM_INFINITY else min(wanted + _KEPT_FREE, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
