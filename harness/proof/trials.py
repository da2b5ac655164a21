"""One trial: scenarios against one deviation of the reference, in a process that was forked for it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["PRELOADED", "hold", "read_what_all_read"]

# What a trial needs, loaded once for all of them.
PRELOADED = (
    "harness.proof.trials",
    "harness.reference",
    "harness.scenarios",
    "harness.datastores",
    "pytest",
    "pytest_bdd.plugin",
    "zxingcpp",
    "PIL.Image",
    "httpx",
    "features.fixtures",
    "features.steps",
    "reference_impl.bootstrap",
    "reference_impl.chaffs",
    "reference_impl.wheats",
    "reference_impl.entrypoints.http",
    "procrastinate.testing",
    "aiosqlite",
    "uvicorn",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "psycopg",
    "gherkin.parser",
    "gherkin.pickles.compiler",
    "xml.etree.ElementTree",
    "harness.proof.trials:read_what_all_read",
)

# Connections for one trial's backends together, and for each of them at least.
POOL, LEAST_POOL = 10, 2


def read_what_all_read() -> None:
    """Every trial reads the same scenarios: they are read before the first of them."""
    from harness.scenarios import FEATURES, read_features

    read_features(FEATURES)


def hold(document: Mapping[str, Any]) -> int:
    """Serves the reference with the deviation, runs the scenarios in this process, and writes what they found."""
    from gate.journal import Journal
    from harness import scenarios
    from harness.datastores import open_database
    from harness.reference import migrate, start

    folder = Path(document["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    planted = {document["kind"]: document["name"]} if document["name"] else {}
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(open_database(document["database"]))
        if database.backend == "postgresql":
            database = stack.enter_context(database.throwaway())
        migrate(database.url)
        # Several trials share one server: together their processes take no more of its connections than it has.
        pool = {"DATABASE_POOL_SIZE": str(max(LEAST_POOL, POOL // document["processes"]))}
        system = stack.enter_context(start(database=database, workdir=folder, environment=pool))
        with system.current(**planted, processes=document["processes"]) as target:
            journal = Journal.create(folder / "journal.jsonl", release={"name": document["name"] or "sound"})
            outcomes = scenarios.run(
                target,
                journal,
                log=folder / "scenarios.log",
                only=document["scenarios"],
                features=Path(document["features"]) if document["features"] else None,
                in_process=True,
                # Against the reference as it is they are checked; what they are does not change from one trial to the next.
                lint=not planted,
            )
        reached = system.reached()
    found = {"reached": reached, "outcomes": [outcome.as_json() for outcome in outcomes]}
    partial = folder / "found.partial"
    partial.write_text(json.dumps(found), encoding="utf-8")
    partial.rename(folder / "found.json")
    return 0
