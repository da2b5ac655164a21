"""Throw-away worlds that saboteurs break: a migration script, a deployment's settings, a log, a running backend.

Each is a copy; nothing here touches what is being released. Databases are in `gate.facts.throwaway`, source code is in
`gate.facts.tree`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gate.errors import GateError
from gate.facts.git import own_environment
from gate.facts.statements import split

__all__ = [
    "AuditReport",
    "BackendLog",
    "Deployment",
    "DocumentFolder",
    "MigrationScript",
    "PackageCopy",
    "PlantedFlow",
    "RepositoryCopy",
    "ScenarioFolder",
]


class PlantedFlow(Protocol):
    """A backend that can be started with one planted bug before it is observed."""

    def plant(self, chaff: str) -> None:
        """Starts the next observation with that bug, by its name. Raises GateError for one that is not known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationScript:
    """A copy of the migration."""

    path: Path

    def append(self, statement: str) -> None:
        self._write([*self._statements(), statement])

    def replace(self, old: str, new: str) -> None:
        """Raises GateError when the script does not hold `old`: then nothing would be broken."""
        text = self.path.read_text(encoding="utf-8")
        if old not in text:
            raise GateError(f"{self.path.name} does not hold {old!r}")
        self.path.write_text(text.replace(old, new), encoding="utf-8")

    def set(self, setting: str, value: str) -> None:
        """Gives every SET of that setting another value. Raises GateError when there is none."""
        text = self.path.read_text(encoding="utf-8")
        changed, times = re.subn(rf"\bSET {setting}\s*(?:=|TO)\s*[^;]+", f"SET {setting} = {value}", text)
        if not times:
            raise GateError(f"{self.path.name} does not set {setting}")
        self.path.write_text(changed, encoding="utf-8")

    def drop_verification(self) -> None:
        """Takes out every block that can raise, and says success all the same."""
        raises = re.compile(r"\bRAISE\s+EXCEPTION\b", re.IGNORECASE)
        kept = [statement for statement in self._statements() if not raises.search(statement)]
        success = "DO $$ BEGIN RAISE NOTICE 'ALL MIGRATIONS APPLIED SUCCESSFULLY!'; END $$"
        self._write([*kept, success])

    def _statements(self) -> list[str]:
        return list(split(self.path.read_text(encoding="utf-8")))

    def _write(self, statements: list[str]) -> None:
        self.path.write_text(";\n".join(statements) + ";\n", encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """`values` are the settings; change them in place."""

    values: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendLog:
    """`canary` is a value that the scan knows and that no log may show."""

    path: Path
    canary: str = field(repr=False)

    def write(self, **record: str) -> None:
        """Appends one record as JSON."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFolder:
    """A copy of the feature files. The tests that run them stay where they are, and know nothing of the copy."""

    path: Path

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text, encoding="utf-8")

    def clear(self) -> None:
        for file in self.path.rglob("*.feature"):
            file.unlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryCopy:
    """A repository of its own with the files of the subject's, in one commit."""

    path: Path

    def write(self, name: str, content: str | bytes) -> None:
        """A tracked file."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--force", "--", name)

    def archive(self, name: str, member: str, content: str) -> None:
        """A tracked archive with one file in it."""
        with zipfile.ZipFile(self.path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, content)
        self.git("add", "--force", "--", name)

    def commit(self, message: str) -> None:
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def git(self, *arguments: str) -> None:
        """Raises GateError when git refuses. No settings of this machine have a part in it."""
        who = {f"GIT_{role}_{field}": value for role in ("AUTHOR", "COMMITTER")
               for field, value in (("NAME", "golive"), ("EMAIL", "golive@golive.invalid"))}  # fmt: skip
        run = subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            capture_output=True, text=True, check=False,
            env={**own_environment(), **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        )  # fmt: skip
        if run.returncode:
            raise GateError(f"git {arguments[0]} in a throw-away repository: {run.stderr.strip()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCopy:
    """A copy of a built package, a wheel or another zip."""

    path: Path

    def add(self, name: str, content: str) -> None:
        """Raises GateError when the package is no zip."""
        try:
            with zipfile.ZipFile(self.path, "a", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(name, content)
        except zipfile.BadZipFile:
            raise GateError(f"{self.path.name} is no wheel, to which nothing can be added") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFolder:
    """A copy of the generated documents."""

    path: Path

    def write(self, name: str, content: str) -> None:
        (self.path / name).write_text(content, encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """A copy of what pip-audit said."""

    path: Path

    def add(self, name: str, version: str, weakness: str) -> None:
        self._append({"name": name, "version": version, "vulns": [{"id": weakness, "fix_versions": [], "aliases": []}]})

    def skip(self, name: str, reason: str) -> None:
        self._append({"name": name, "skip_reason": reason})

    def _append(self, entry: dict[str, object]) -> None:
        document = json.loads(self.path.read_text(encoding="utf-8"))
        document["dependencies"].append(entry)
        self.path.write_text(json.dumps(document), encoding="utf-8")
