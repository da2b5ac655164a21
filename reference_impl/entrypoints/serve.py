"""Serving with granian, one process for each worker; each builds its application from the environment."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reference_impl.settings import Settings

__all__ = ["create_app", "serve"]


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
    from granian.constants import Interfaces
    from granian.log import LogLevels

    from reference_impl.bootstrap import build

    if workers > 1 and settings.database_url.startswith("sqlite"):
        raise ValueError("SQLite in memory is one process's alone: serve it with one worker, or use Postgres")
    # Here one line tells what is wrong; in a worker process it would be a trace, again and again.
    asyncio.run(build(settings).check())
    Granian(
        f"{__name__}:create_app",
        address=host,
        port=port,
        workers=workers,
        interface=Interfaces.ASGI,
        factory=True,
        log_access=False,
        log_level=LogLevels.warning,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=20,
    ).serve()
