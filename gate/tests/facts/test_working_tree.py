"""What is looked at is what is committed, whatever git was told to pass over and wherever it was sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.errors import GateError, Inconclusive
from gate.facts import evidence, secret_places, working_tree
from gate.facts.expected import load
from gate.facts.subject import Journals, Subject
from gate.facts.worlds import RepositoryCopy
from gate.registry import Kind, registry


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryCopy:
    made = RepositoryCopy(path=tmp_path / "theirs")
    made.path.mkdir()
    made.git("init", "--quiet", "--initial-branch", "main")
    made.write("src/app.py", "x = 1\n")
    made.commit("first")
    return made


def of(repository: RepositoryCopy) -> Subject:
    return Subject(
        schema=load("seed"), repository=repository.path, source_roots=(repository.path / "src",), journals=Journals(paths={})
    )


@pytest.mark.parametrize("told", ["--assume-unchanged", "--skip-worktree"])
def test_a_change_that_git_was_told_not_to_look_at_is_no_clean_tree(repository: RepositoryCopy, told: str) -> None:
    repository.git("update-index", told, "src/app.py")
    (repository.path / "src" / "app.py").write_text("x = 'not in any commit'\n")
    found = working_tree.read(of(repository))
    assert (found.changed, found.hidden) == ((), ("src/app.py",))
    with pytest.raises(Inconclusive, match=r"git was told not to look at src/app\.py"):
        list(registry(Kind.CHECK).load("gate.checks").get("evidence.tree-committed")(found))


def test_what_a_sparse_checkout_left_out_is_not_hidden(repository: RepositoryCopy) -> None:
    repository.git("update-index", "--skip-worktree", "src/app.py")
    (repository.path / "src" / "app.py").unlink()
    assert working_tree.read(of(repository)).hidden == ()


def test_a_hook_of_another_repository_sends_nobody_there(
    repository: RepositoryCopy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = working_tree.read(of(repository)).commit
    other = RepositoryCopy(path=tmp_path / "other")
    other.path.mkdir()
    other.git("init", "--quiet")
    other.commit("not the release")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    (repository.path / "src" / "app.py").write_text("x = 2\n")
    found = working_tree.read(of(repository))
    assert (found.commit, found.changed) == (commit, ("src/app.py",))
    assert evidence.read(of(repository)).commit == commit
    assert secret_places.of_repository(of(repository)).files == 1


def test_a_repository_that_git_cannot_read_is_an_error_and_not_clean(repository: RepositoryCopy) -> None:
    (repository.path / ".git" / "index").write_bytes(b"no index at all")
    with pytest.raises(GateError, match="index file"):
        working_tree.read(of(repository))


def test_a_repository_without_a_commit_has_none(tmp_path: Path) -> None:
    made = RepositoryCopy(path=tmp_path)
    made.git("init", "--quiet")
    assert working_tree.read(of(made)).commit == ""


def test_a_folder_in_no_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="in no git repository"):
        working_tree.read(of(RepositoryCopy(path=tmp_path)))


def test_a_clone_that_ends_within_the_release_is_an_error(repository: RepositoryCopy, tmp_path: Path) -> None:
    for number in range(3):
        repository.commit(f"number {number}")
    clone = RepositoryCopy(path=tmp_path)
    clone.git("clone", "--quiet", "--depth", "2", repository.path.as_uri(), "clone")
    shallow = Subject(schema=load("seed"), repository=tmp_path / "clone", commits="HEAD")
    with pytest.raises(GateError, match="run git fetch --unshallow"):
        secret_places.of_commits(shallow)
    whole = secret_places.of_commits(Subject(schema=load("seed"), repository=tmp_path / "clone", commits="HEAD~1..HEAD"))
    assert whole is not None
    assert whole.commits == 1
