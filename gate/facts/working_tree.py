"""Whether what is looked at is what is committed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from gate.errors import GateError
from gate.facts.subject import Subject

__all__ = ["WorkingTree", "read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingTree:
    """`changed` are tracked files that differ from the commit, `unknown` files below the released code that git does not know.

    given: False where nobody named a release; `commit` is empty where there is none.
    """

    given: bool
    commit: str = ""
    changed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def read(subject: Subject) -> WorkingTree:
    """Raises GateError when git cannot tell."""
    if subject.journals is None or subject.repository is None:
        return WorkingTree(given=False)
    root = subject.repository
    inside = _git(root, "rev-parse", "--is-inside-work-tree")
    if inside != "true":
        raise GateError("what is released is in no git repository; then nothing says which commit was looked at")
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    changed = _git(root, "diff", "--name-only", "-z", "HEAD", "--") if commit else ""
    folders = [str(path.absolute()) for path in subject.source_roots if path.absolute().is_relative_to(root.absolute())]
    unknown = _git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *folders) if folders else ""
    return WorkingTree(
        given=True,
        commit=commit,
        changed=tuple(filter(None, changed.split("\0"))),
        # What describes the release to the gate is not what is released.
        unknown=tuple(name for name in unknown.split("\0") if name and not Path(name).name.startswith("golive.")),
    )


def _git(root: Path, *arguments: str) -> str:
    """What git says; empty when it refuses."""
    try:
        run = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except FileNotFoundError:
        raise GateError("git is missing; install it") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise GateError(f"git {arguments[0]} did not answer ({type(error).__name__})") from None
    return run.stdout.strip() if run.returncode == 0 else ""
