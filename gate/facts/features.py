"""Which scenarios are written, and which of them some test would run; told by pytest itself, in an interpreter of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gate.errors import GateError
from gate.facts.subject import Subject

__all__ = ["Features", "WrittenScenario", "read"]

TIMEOUT_S = 60.0
_KEYWORD = re.compile(
    r"^\s*(?:Scenario(?: Outline| Template)?|Example|(?:Esquema do |Delineação do )?Cen[áa]rio|Exemplo):\s*(.*)$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenScenario:
    file: str
    line: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """`unbound` are the written scenarios that no collected test is named after; `collected` is how many tests there are."""

    files: int
    written: tuple[WrittenScenario, ...]
    unbound: tuple[WrittenScenario, ...]
    collected: int


def read(subject: Subject) -> Features:
    """Compares the feature files with what pytest collects. Raises GateError when there are none, or pytest cannot collect."""
    if subject.features is None:
        raise GateError("no folder with scenarios was given; name it (repository.features)")
    files = sorted(subject.features.rglob("*.feature"))
    written = tuple(scenario for path in files for scenario in _scenarios(path, subject.features))
    names = _collected(subject) if written else []
    # pytest-bdd makes a test's name of the scenario's; outlines add their values in brackets.
    tests = {_slug(name.rpartition("::")[2].partition("[")[0].removeprefix("test_")) for name in names}
    whole = " ".join(_slug(name) for name in names)
    return Features(
        files=len(files),
        written=written,
        unbound=tuple(item for item in written if _slug(item.name) not in tests and _slug(item.name) not in whole),
        collected=len(names),
    )


def _scenarios(path: Path, root: Path) -> Iterator[WrittenScenario]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GateError(f"{path.name}: cannot be read as text ({type(error).__name__})") from error
    quoted = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip().startswith(('"""', "```")):
            quoted = not quoted
        elif not quoted and (found := _KEYWORD.match(line)):
            yield WrittenScenario(file=path.relative_to(root).as_posix(), line=number, name=found[1].strip())


def _collected(subject: Subject) -> list[str]:
    """Names of the tests. A release's own are collected in its repository, with its import path."""
    if not subject.scenario_tests:
        return []
    ours = str(Path(__file__).resolve().parents[2])
    paths = [*(str(path.absolute()) for path in subject.source_paths), ours, os.environ.get("PYTHONPATH", "")]
    try:
        run = subprocess.run(
            # Without -P a package in the current directory would be taken for one of ours of the same name.
            [sys.executable, "-P", "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *subject.scenario_tests],
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
            cwd=subject.repository if subject.name else None,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **subject.scenario_environment},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise GateError(f"pytest did not collect the scenarios within {TIMEOUT_S:g} s") from None
    # 5 is "no tests collected", which is an answer.
    if run.returncode not in (0, 5):
        lines = (run.stdout + run.stderr).strip().splitlines()
        raise GateError(f"pytest cannot collect the scenarios: {lines[-1] if lines else f'exit status {run.returncode}'}")
    return [line.strip() for line in run.stdout.splitlines() if "::" in line]


def _slug(text: str) -> str:
    return re.sub(r"\W+", "", text.replace("_", "")).lower()
