"""One JSON object a line, with secrets and phones masked whatever wrote them: our code, the HTTP client, the server, a
traceback.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from reference_impl.domain.masking import mask_text, mask_value
from reference_impl.ports import Clock

__all__ = ["REQUEST_ID", "UNIT_ID", "JsonLog"]

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
UNIT_ID: ContextVar[str | None] = ContextVar("unit_id", default=None)

_OURS: Final = "reference_impl"
# Loggers that write about our requests, our provider calls and our database.
_THEIRS: Final = (
    "uvicorn",
    "granian",
    "_granian",
    "httpx",
    "httpcore",
    "procrastinate",
    "sqlalchemy",
    "aiosqlite",
    "psycopg",
    "asyncio",
)
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_SECRETS_KEPT: Final = 10_000


class JsonLog:
    """The log of one backend. `open` takes over the loggers, `close` gives them back; `remember` adds a value that must
    never be seen.
    """

    def __init__(self, *, path: Path | None, level: str, clock: Clock, secrets: tuple[str, ...]) -> None:
        self._path = path
        self._level = level
        self._formatter = _JsonFormatter(clock, secrets)
        self._handler: logging.Handler | None = None
        self._before: list[tuple[logging.Logger, int, bool]] = []

    def open(self) -> None:
        handler: logging.Handler
        if self._path is None:
            handler = logging.StreamHandler(sys.stdout)
        else:
            handler = logging.FileHandler(self._path, encoding="utf-8", errors="backslashreplace")
        handler.setFormatter(self._formatter)
        self._handler = handler
        for name in (_OURS, *_THEIRS):
            logger = logging.getLogger(name)
            self._before.append((logger, logger.level, logger.propagate))
            logger.addHandler(handler)
            logger.propagate = False
            # Of other people's code only warnings count, unless all of it was asked for.
            logger.setLevel(self._level if name == _OURS or self._level == "DEBUG" else "WARNING")

    def close(self) -> None:
        if self._handler is None:
            return
        for logger, level, propagate in self._before:
            logger.removeHandler(self._handler)
            logger.setLevel(level)
            logger.propagate = propagate
        self._before.clear()
        self._handler.close()
        self._handler = None

    def remember(self, secret: str) -> None:
        self._formatter.remember(secret)


class _JsonFormatter(logging.Formatter):
    def __init__(self, clock: Clock, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._clock = clock
        self._secrets = dict.fromkeys(secret for secret in secrets if secret)

    def remember(self, secret: str) -> None:
        self._secrets[secret] = None
        while len(self._secrets) > _SECRETS_KEPT:
            del self._secrets[next(iter(self._secrets))]

    def format(self, record: logging.LogRecord) -> str:
        secrets = tuple(self._secrets)
        line: dict[str, Any] = {
            "time": self._clock.now().astimezone(UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask_text(_message(record), secrets),
            "requestId": REQUEST_ID.get(),
        }
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        line["unitId"] = extra.pop("unit_id", None) or UNIT_ID.get()
        line.update(mask_value(extra, secrets))
        if record.exc_info is not None and record.exc_info[1] is not None:
            line["exception"] = mask_text("".join(traceback.format_exception(record.exc_info[1])), secrets)
        return json.dumps(line, ensure_ascii=True, default=str)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return str(record.msg)
