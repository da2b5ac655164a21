"""The chaos proof goes red when a bug is planted. Minutes each: `tox -e chaos` runs this file by its name, nothing else does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# The bug, what is asked of the run beside the short form, and how the first word of one of its violations reads.
PLANTED = [
    ("timeout-taken-for-a-failure", (), "duplicated"),
    ("acknowledged-before-commit", ("--events", "480"), "lost"),
    ("pace-by-process", (), "pace"),
]


@pytest.mark.parametrize(("chaff", "options", "broken"), PLANTED, ids=[chaff for chaff, _, _ in PLANTED])
def test_a_planted_bug_breaks_the_promise(tmp_path: Path, chaff: str, options: tuple[str, ...], broken: str) -> None:
    out = tmp_path / "run"
    golive = (sys.executable, "-m", "harness.cli", "chaos", "--short", "--seed", "5")
    done = subprocess.run((*golive, "--chaff", chaff, "--out", str(out), *options), capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    violations = json.loads((out / "chaos.json").read_text())["violations"]
    assert any(line.startswith(f"{broken}:") for line in violations), violations
