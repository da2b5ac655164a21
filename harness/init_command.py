"""What `golive init` prints: the files that it wrote, what it found and what it did not, and what to do next."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from gate.documents import schema_text
from harness.init import EXPECTED_FILE, Found, init

__all__ = ["run_init"]


def run_init(
    directory: Path,
    *,
    database: str,
    db_schema: str,
    name: str,
    force: bool,
    schema: bool,
    example: bool,
    form: str,
    echo: Callable[[str], None],
) -> int:
    """Returns 0; raises UsageError or GateError in one line."""
    if schema:
        echo(schema_text("golive").rstrip())
        return 0
    if example:
        from harness.reference import EXAMPLE

        echo(EXAMPLE.read_text(encoding="utf-8").rstrip())
        return 0
    found, written = init(directory, database_url=database, schema=db_schema, name=name, force=force)
    if form == "json":
        echo(json.dumps({"written": [path.name for path in written], "found": asdict(found)}, indent=2))
        return 0
    for path in written:
        echo(f"wrote {path}")
    for line in _lines(found):
        echo(line)
    return 0


def _lines(found: Found) -> list[str]:
    def told(what: str, value: str, missing: str) -> str:
        return f"  {what:<12}{value or f'not found; {missing}'}"

    lines = [
        f"  {'release':<12}{' '.join(filter(None, (found.name, found.version)))}",
        told(
            "repository",
            f"git{f', commits {found.commits}' if found.commits else ''}" if found.git else "",
            "no git, so no commit is bound",
        ),
        told("code", ", ".join(found.sources), "name its folders in repository.source"),
        told("application", found.application, "name it in modules.application, for a backend in Python"),
        told("settings", found.settings or found.manifest, "name the file or manifest in environment"),
        told("documented", found.example, "write a .env.example"),
        told("migration", found.migration, "name it in database.migration"),
        told(
            "expected",
            f"{found.tables} tables of the database, in {EXPECTED_FILE}"
            if found.tables is not None
            else "the shipped schema 'seed'",
            "",
        ),
        *(f"  {'note':<12}{note}" for note in found.notes),
    ]
    return [*lines, "Read golive.toml, correct what is not so, then run: golive gate"]
