"""Whether what is looked at is what is committed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gate.errors import GateError
from gate.facts.git import NoRepositoryError, git
from gate.facts.subject import Subject

__all__ = ["WorkingTree", "read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingTree:
    """`changed` are tracked files that differ from the commit, `unknown` files below the released code that git does not know,
    `hidden` files of which git was told not to look whether they differ.

    given: False where nobody named a release; `commit` is empty where there is none.
    """

    given: bool
    commit: str = ""
    changed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


def read(subject: Subject) -> WorkingTree:
    """Raises GateError when git cannot tell."""
    if subject.journals is None or subject.repository is None:
        return WorkingTree(given=False)
    root = subject.repository
    try:
        top = Path(os.fsdecode(git(root, "rev-parse", "--show-toplevel").rstrip(b"\n")))
    except NoRepositoryError:
        raise GateError("what is released is in no git repository; then nothing says which commit was looked at") from None
    if not git(root, "rev-list", "--max-count=1", "--all"):
        return WorkingTree(given=True)
    folders = [str(path.resolve()) for path in subject.source_roots if path.resolve().is_relative_to(top.resolve())]
    unknown = _names(git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *folders)) if folders else ()
    return WorkingTree(
        given=True,
        commit=git(root, "rev-parse", "--verify", "HEAD").decode().strip(),
        changed=_names(git(root, "diff", "--no-ext-diff", "--ignore-submodules=none", "--name-only", "-z", "HEAD", "--")),
        # What describes the release to the gate is not what is released.
        unknown=tuple(name for name in unknown if not Path(name).name.startswith("golive.")),
        hidden=tuple(_hidden(root)),
    )


def _hidden(root: Path) -> Iterator[str]:
    """`git update-index --assume-unchanged` and `--skip-worktree`; what a sparse checkout left out is not there to differ."""
    for entry in _names(git(root, "ls-files", "-v", "-z", "--", ":/")):
        tag, name = entry[0], entry[2:]
        if tag.islower() or (tag == "S" and (root / name).exists()):
            yield name


def _names(listed: bytes) -> tuple[str, ...]:
    return tuple(os.fsdecode(name) for name in listed.split(b"\0") if name)
