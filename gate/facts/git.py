"""Asks git of a repository, and of that one alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from gate.errors import GateError

__all__ = ["NoRepositoryError", "git", "own_environment"]

TIMEOUT_S = 120.0


class NoRepositoryError(GateError):
    """The folder is in no repository."""


def own_environment() -> dict[str, str]:
    """That of this process without what sends git to another repository, as a hook of git's would."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def git(root: Path, *arguments: str, data: bytes | None = None) -> bytes:
    """What git says. Raises NoRepositoryError outside of a repository, and GateError in one line whenever it refuses."""
    try:
        run = subprocess.run(
            ["git", "-C", str(root), *arguments],
            input=data, capture_output=True, check=False, timeout=TIMEOUT_S, env={**own_environment(), "LC_ALL": "C"},
        )  # fmt: skip
    except FileNotFoundError:
        raise GateError("git is not installed, and says which files are tracked; install it") from None
    except OSError as error:
        raise GateError(f"git cannot be started ({error.strerror})") from None
    except subprocess.TimeoutExpired:
        raise GateError(f"git {arguments[0]} did not end within {TIMEOUT_S:g} s") from None
    if run.returncode:
        said = run.stderr.decode(errors="replace").strip().splitlines()
        if any("not a git repository" in line for line in said):
            raise NoRepositoryError(f"{root} is in no git repository")
        why = next((line for line in said if line.startswith("fatal:")), said[-1] if said else f"exit status {run.returncode}")
        advice = f"; run git config --global --add safe.directory {root.absolute()}" if "dubious ownership" in why else ""
        raise GateError(f"git {arguments[0]}: {why.removeprefix('fatal: ')}{advice}")
    return run.stdout
