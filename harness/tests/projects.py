"""A sound project of somebody's, with everything that a gate can look at, to be broken in one way after the other."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gate.facts.catalog import digest, snapshot
from gate.facts.evidence import FAMILIES, SCHEMA_FACT
from gate.journal import Journal
from gate.model import Evidence, Outcome, Status
from gate.tests.worlds.subjects import ENVIRONMENT, MODULES, WORLDS
from harness.proof.forks import Forks
from harness.record import pinned
from harness.tests.running import Finished, environment, golive

EVERYTHING = (
    "schema.*", "datastore.*", "imports.*", "config.*", "code.*", "secrets.repository",
    "evidence.scenarios-ran", "evidence.smoke-ran",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A git repository with the sample backend, its settings, its database on SQLite, and the journals of its parts.

    forks: where commands run that need no start of their own; each in a process of its own without it.
    """

    path: Path
    forks: Forks | None = None

    @classmethod
    def sound(cls, path: Path) -> Project:
        project = cls(path=path)
        shutil.copytree(WORLDS / "sample_backend", path / "sample_backend", ignore=shutil.ignore_patterns("__pycache__"))
        (path / ".gitignore").write_text(".env.production\n*.sqlite\nruns/\n__pycache__/\n.golive/\n")
        (path / ".env.example").write_text(
            "".join(f"{name}=\n" for name in ENVIRONMENT if name not in ("APP_ENV", "DATABASE_URL"))
        )
        (path / ".env.production").write_text("".join(f"{name}={value}\n" for name, value in ENVIRONMENT.items()))
        with sqlite3.connect(path / "app.sqlite") as connection:
            connection.executescript((WORLDS / "sqlite.sql").read_text(encoding="utf-8"))
        connection.close()
        project.configure()
        project.git("init", "--quiet", "--initial-branch", "main")
        project.commit("the release", hours_ago=2)
        for part in ("scenarios", "smoke"):
            project.record(part)
        return project

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.path / 'app.sqlite'}"

    def configure(self, required: Iterable[str] = EVERYTHING, *, more: str = "", **database: str) -> None:
        """Writes golive.toml; `more` stands at its end."""
        routes = {module.role: ", ".join(repr(str(route)) for route in module.routes) for module in MODULES}
        modules = "".join(
            f'[modules.{module.role}]\nname = "{module.name}"\nroutes = [{routes[module.role]}]\n' for module in MODULES
        )
        settings = {"expected": "seed", "datastore": "sample_backend.store:contacts", "url": self.database_url} | database
        (self.path / "golive.toml").write_text(
            'schema_version = 1\n[release]\nname = "theirs"\nversion = "1.0"\n'
            '[repository]\nsource = ["sample_backend"]\nimport_path = ["."]\n'
            "[database]\n"
            + "".join(f'{key} = "{value}"\n' for key, value in settings.items() if value)
            + f'[modules]\napplication = "sample_backend.http:create"\n{modules}'
            + '[environment]\nfile = ".env.production"\nexample = ".env.example"\nundocumented = ["APP_ENV", "DATABASE_URL"]\n'
            + '[evidence]\nscenarios = "runs/scenarios"\nsmoke = "runs/smoke"\n'
            + f"[gate]\nrequired = [{', '.join(f'{item!r}' for item in required)}]\n{more}"
        )

    def git(self, *arguments: str, **environment: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@golive.invalid", "-c", "commit.gpgsign=false"]
        run = subprocess.run(
            ["git", "-C", str(self.path), *who, *arguments],
            check=True, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "HOME": str(self.path), **environment},
        )  # fmt: skip
        return run.stdout.strip()

    def commit(self, message: str, *, hours_ago: float = 0.0) -> None:
        self.git("add", "--all")
        at = (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()
        self.git("commit", "--quiet", "--allow-empty", "-m", message, GIT_COMMITTER_DATE=at, GIT_AUTHOR_DATE=at)

    def record(self, part: str, *, hours_ago: float = 1.0, answered: bool = True, ended: bool = True) -> Path:
        """Writes the journal of a part in which everything that is pinned passed."""
        at = datetime.now(UTC) - timedelta(hours=hours_ago)
        path = self.path / "runs" / part / "journal.jsonl"
        path.unlink(missing_ok=True)
        journal = Journal.create(path, release={"commit": self.git("rev-parse", "HEAD")}, now=lambda: at)
        journal.fact(SCHEMA_FACT, digest(snapshot(self.database_url, "main")))
        ids = sorted(item for item in pinned(None)[part] if item.startswith(FAMILIES[part]))
        seen = (Evidence(label="seen", value=1),)
        with journal.part(part, expected=ids):
            for item in ids if answered else ():
                journal.append(Outcome(id=item, status=Status.PASS, evidence=seen, observed_at=at))
        if not ended:
            path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
        return path

    def execute(self, sql: str) -> None:
        with sqlite3.connect(self.path / "app.sqlite") as connection:
            connection.executescript(sql)
        connection.close()

    def replace(self, name: str, old: str, new: str) -> None:
        """Raises ValueError where nothing would be changed."""
        text = (self.path / name).read_text()
        if old not in text:
            raise ValueError(f"{name} does not hold {old!r}")
        (self.path / name).write_text(text.replace(old, new))

    def gate(self, *arguments: str, **variables: str) -> Finished:
        return self.golive("gate", *arguments, **variables)

    def golive(self, *arguments: str, **variables: str) -> Finished:
        if self.forks is None:
            return golive(*arguments, cwd=self.path, timeout_s=300.0, **variables)
        with tempfile.TemporaryDirectory() as folder:
            document = {"arguments": arguments, "cwd": str(self.path), "environment": environment(**variables), "folder": folder}
            status = self.forks.run("harness.tests.projects:play", document, time_limit_s=300)
            assert status is not None, "the command did not end"
            output, errors = ((Path(folder) / name).read_text(encoding="utf-8") for name in ("output", "errors"))
        return Finished(status=status, output=output, errors=errors)


# What a gate imports in any case.
PRELOADED = (
    "harness.cli",
    "harness.gate_run",
    "harness.release_gate",
    "harness.tests.projects",
    "gate.facts.providers",
    "gate.formats",
)


def play(document: Mapping[str, Any]) -> int:
    """One command, as `golive` runs it, in a process that was forked for it."""
    from harness import cli

    os.chdir(document["cwd"])
    os.environ.clear()
    os.environ.update(document["environment"])
    for number, name in ((1, "output"), (2, "errors")):
        with (Path(document["folder"]) / name).open("w", encoding="utf-8") as file:
            os.dup2(file.fileno(), number)
    # Whatever is still held back is written where the fork ends.
    sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
    try:
        cli.main(document["arguments"])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
