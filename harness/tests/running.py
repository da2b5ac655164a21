"""Runs the command line as users do: in a process of its own, with nothing of this machine's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that has ended. `last_line` is the last one of standard output."""

    status: int
    output: str
    errors: str

    @property
    def last_line(self) -> str:
        return self.output.rstrip("\n").rpartition("\n")[2]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "GOLIVE_", "PYTEST_", "COV_"))}
    return kept | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "PYTHONWARNINGS": "error"} | more


def golive(*arguments: str | Path, cwd: Path, timeout_s: float = 300.0, **variables: str) -> Finished:
    """`golive ARGUMENTS…` in `cwd`."""
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment(**variables),
        timeout=timeout_s,
    )
    return Finished(status=done.returncode, output=done.stdout, errors=done.stderr)
