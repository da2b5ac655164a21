"""Reverting a release in git: the exact commands, and a proof in a throw-away clone that they apply.

What is reverted is the release's own commits, never just HEAD, and nothing is ever pushed by force: other people's work that came
after the release stays.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gate.errors import Failure
from gate.model import Evidence
from harness.errors import HarnessError

__all__ = ["Commands", "Release", "apply", "commands"]

_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release in a git repository: its first and its last commit, and the name of the tag that marks it as failed."""

    repository: Path
    first: str
    last: str
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The commands that a person types, in order, with full commit ids."""

    lines: tuple[str, ...]
    first: str
    last: str
    commits: int


def commands(release: Release) -> Commands:
    """Computes the commands from the repository itself.

    Raises HarnessError when it is no repository, Failure when the range is none: a commit is unknown, `first` does not come
    before `last`, the release is not on the current branch, it holds the very first commit, or a merge.
    """
    repository = release.repository
    try:
        _git(repository, "rev-parse", "--git-dir")
    except Failure as failure:
        raise HarnessError(f"{repository.name} is not a git repository ({failure})") from failure
    first, last = (_commit(repository, name) for name in (release.first, release.last))
    _git(repository, "check-ref-format", f"refs/tags/{release.tag}", why=f"{release.tag!r} cannot be the name of a tag")
    _git(repository, "merge-base", "--is-ancestor", first, last, why=f"{release.first} does not come before {release.last}")
    _git(repository, "merge-base", "--is-ancestor", last, "HEAD", why=f"{release.last} is not on the current branch")
    _git(repository, "rev-parse", "--verify", "--quiet", f"{first}^", why=f"{release.first} is the first commit of all")
    listed = _git(repository, "rev-list", "--parents", f"{first}^..{last}").splitlines()
    merges = [line.split()[0][:12] for line in listed if len(line.split()) > 2]
    if merges:
        raise Failure(f"the release holds merge commits ({', '.join(merges[:3])}): each needs `git revert -m 1` of its own")
    branch = _git(repository, "rev-parse", "--abbrev-ref", "HEAD")
    return Commands(
        lines=(
            f'git tag -a {release.tag} {last} -m "rolled back"',
            f"git push origin {release.tag}",
            f"git revert --no-edit {first}^..{last}",
            f"git push origin HEAD:{branch if branch != 'HEAD' else '{branch}'}",
        ),
        first=first,
        last=last,
        commits=len(listed),
    )


def apply(release: Release) -> list[Evidence]:
    """Tags and reverts in a throw-away clone, for real. Raises Failure when the revert conflicts or leaves something behind."""
    computed = commands(release)
    with tempfile.TemporaryDirectory(prefix="golive-revert-") as folder:
        clone = Path(folder) / "clone"
        _git(release.repository, "clone", "--quiet", "--no-hardlinks", ".", str(clone))
        _git(clone, "checkout", "--quiet", "--detach", _commit(release.repository, "HEAD"))
        _git(clone, "tag", "-a", release.tag, computed.last, "-m", "rolled back", why=f"the tag {release.tag} exists already")
        _git(
            clone,
            "revert",
            "--no-edit",
            f"{computed.first}^..{computed.last}",
            why="the revert does not apply cleanly: later commits touch the same lines; revert those that depend on it first",
        )
        if _git(clone, "status", "--porcelain"):
            raise Failure("the revert left changes behind that were not committed")
        changed = _git(clone, "diff", "--name-only", f"{computed.first}^", "HEAD").splitlines()
        after = _git(clone, "diff", "--name-only", computed.last, _commit(release.repository, "HEAD")).splitlines()
        left = sorted(set(changed) - set(after))
        if left:
            raise Failure(f"after the revert {len(left)} files still differ from before the release, such as {left[0]}")
    return [
        Evidence(label="commits reverted", value=computed.commits),
        Evidence(label="first", value=computed.first),
        Evidence(label="last", value=computed.last),
        Evidence(label="commits after the release that stay", value=_count(release.repository, f"{computed.last}..HEAD")),
    ]


def _commit(repository: Path, name: str) -> str:
    if name.startswith("-"):
        raise Failure(f"{name!r} is not a commit")
    return _git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", why=f"{name!r} is not a commit here")


def _count(repository: Path, span: str) -> int:
    return int(_git(repository, "rev-list", "--count", span))


def _git(repository: Path, *arguments: str, why: str = "") -> str:
    """Standard output of git without the settings, hooks and signatures of whoever runs this. Raises Failure with `why`."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _WHO.items()},
    }
    settings = ("-c", f"core.hooksPath={os.devnull}", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false")
    try:
        done = subprocess.run(
            ["git", *settings, *arguments],
            cwd=repository,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HarnessError(f"git {arguments[0]} could not run ({type(error).__name__})") from error
    if done.returncode != 0:
        told = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[0]
        raise Failure(why or f"git {arguments[0]}: {told}")
    return done.stdout.strip()


_WHO = {"NAME": "golive rehearsal", "EMAIL": "rehearsal@golive.invalid"}
