from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gate.errors import Failure
from harness.errors import HarnessError
from harness.rollback.revert import Release, apply, commands

WHO = {f"GIT_{who}_{what}": "a@test.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def _git(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, **WHO, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class History:
    """A repository with a base, a release of two commits, and a commit of somebody else after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _git(folder, "init", "--quiet", "--initial-branch", "main")
        self.base = self.commit("app.py", "one\ntwo\nthree\n")
        self.first = self.commit("app.py", "one\nnew\nthree\n")
        self.last = self.commit("feature.py", "feature\n")
        self.after = self.commit("other.py", "other\n")

    def commit(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        _git(self.folder, "add", "--all")
        _git(self.folder, "commit", "--quiet", "-m", name)
        return _git(self.folder, "rev-parse", "HEAD")

    def state(self) -> list[str]:
        return [_git(self.folder, *words) for words in (("rev-parse", "HEAD"), ("tag",), ("status", "--porcelain"))]

    def release(self, first: str = "", last: str = "", tag: str = "failed-1.2.3") -> Release:
        return Release(repository=self.folder, first=first or self.first, last=last or self.last, tag=tag)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def test_the_commands_name_the_release_and_never_force(history: History) -> None:
    computed = commands(history.release(first=history.first[:9], last="HEAD~1"))

    assert f"git revert --no-edit {history.first}^..{history.last}" in computed.lines
    assert computed.lines[0] == f'git tag -a failed-1.2.3 {history.last} -m "rolled back"'
    assert computed.lines[-1] == "git push origin HEAD:main"
    assert not any("--force" in line or " -f" in line or "HEAD~" in line for line in computed.lines)


def test_the_revert_is_proven_in_a_clone_and_leaves_the_repository_alone(history: History) -> None:
    before = history.state()

    evidence = {piece.label: piece.value for piece in apply(history.release())}

    assert evidence == {
        "commits reverted": 2,
        "first": history.first,
        "last": history.last,
        "commits after the release that stay": 1,
    }
    assert history.state() == before


def test_hooks_and_settings_of_whoever_runs_it_do_not_matter(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = history.folder / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    _git(history.folder, "config", "commit.gpgsign", "true")
    monkeypatch.setenv("GIT_DIR", "/nonexistent")

    assert apply(history.release())


def test_a_later_commit_to_the_same_lines_is_found_before_it_matters(history: History) -> None:
    history.commit("app.py", "one\nnewer\nthree\n")
    with pytest.raises(Failure, match="does not apply cleanly"):
        apply(history.release())


def test_a_release_with_a_merge_is_refused(history: History) -> None:
    _git(history.folder, "checkout", "--quiet", "-b", "side", history.base)
    history.commit("side.py", "side\n")
    _git(history.folder, "checkout", "--quiet", "main")
    _git(history.folder, "merge", "--quiet", "--no-edit", "side")
    with pytest.raises(Failure, match="merge commits"):
        commands(history.release(last="HEAD"))


def test_the_wrong_order_an_unknown_commit_and_the_first_of_all_are_refused(history: History) -> None:
    for release, told in (
        (history.release(first=history.last, last=history.first), "does not come before"),
        (history.release(first="0" * 40), "is not a commit here"),
        (history.release(first="--upload-pack=x"), "is not a commit"),
        (history.release(first=history.base), "first commit of all"),
        (history.release(tag="a b"), "cannot be the name of a tag"),
    ):
        with pytest.raises(Failure, match=told):
            commands(release)


def test_a_release_of_another_branch_is_refused(history: History) -> None:
    _git(history.folder, "checkout", "--quiet", "-b", "side", history.base)
    history.commit("side.py", "side\n")
    with pytest.raises(Failure, match="not on the current branch"):
        commands(history.release())


def test_a_tag_that_is_taken_is_found(history: History) -> None:
    _git(history.folder, "tag", "failed-1.2.3")
    with pytest.raises(Failure, match="exists already"):
        apply(history.release())


def test_a_folder_that_is_no_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="is not a git repository"):
        commands(Release(repository=tmp_path, first="a", last="b", tag="t"))
