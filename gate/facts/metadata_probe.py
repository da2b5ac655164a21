"""The other side of `gate.facts.metadata`: tells in SQL what SQLAlchemy's metadata would make. Runs in an interpreter alone."""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

__all__ = ["answer"]


def answer(question: dict[str, Any]) -> None:
    """question: {metadata: "package.module:name", reply}."""
    module, _, attribute = question["metadata"].partition(":")
    found: dict[str, Any] = {"error": "", "statements": []}
    try:
        import sqlalchemy as sa

        metadata: Any = importlib.import_module(module)
        for part in attribute.split("."):
            metadata = getattr(metadata, part)
        metadata = getattr(metadata, "metadata", metadata)
        engine: Any = sa.create_mock_engine(
            "postgresql+psycopg://",
            lambda statement, *_, **__: found["statements"].append(str(statement.compile(dialect=engine.dialect))),
        )
        metadata.create_all(engine, checkfirst=False)
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    with os.fdopen(question["reply"], "w") as reply:
        json.dump(found, reply)
    os._exit(0)
