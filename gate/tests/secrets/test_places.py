"""Everything that is tracked, committed, packed or written is looked through; what cannot be read is an error."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from gate.errors import Failure, GateError, Inconclusive
from gate.facts import secret_places
from gate.facts.expected import load
from gate.facts.planted import Planted
from gate.facts.secret_places import SecretScan, of_files, of_folder
from gate.facts.secret_scan import Scanner
from gate.facts.secret_verdict import judge_scan
from gate.facts.subject import Subject
from gate.facts.worlds import RepositoryCopy

KEY = Planted(3).github()
LINE = f"token = '{KEY}'\n"


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryCopy:
    made = RepositoryCopy(path=tmp_path)
    made.git("init", "--quiet", "--initial-branch", "main")
    return made


def places(scan: SecretScan | None) -> list[str]:
    assert scan is not None
    return [f"{one.path}:{one.line}" for one in scan.found]


def of(repository: RepositoryCopy, commits: str = "") -> Subject:
    return Subject(schema=load("seed"), repository=repository.path, commits=commits)


def test_tracked_files_are_looked_through_and_others_are_not(repository: RepositoryCopy) -> None:
    repository.write("a.py", LINE)
    (repository.path / "untracked.py").write_text(LINE)
    scan = secret_places.of_repository(of(repository))
    assert (scan.tracked, scan.files, places(scan)) == (True, 1, ["a.py:1"])


def test_a_tracked_file_that_was_taken_away_here_is_still_looked_through(repository: RepositoryCopy) -> None:
    repository.write("a.py", LINE)
    (repository.path / "a.py").unlink()
    assert places(secret_places.of_repository(of(repository))) == ["a.py:1"]


def test_names_of_any_letters_and_links_are_looked_through(repository: RepositoryCopy) -> None:
    repository.write("pasta/ação \n nova.py", LINE)
    (repository.path / "link").symlink_to(f"https://x:{Planted(8).password()}@host.internal/a")
    repository.git("add", "link")
    assert sorted(places(secret_places.of_repository(of(repository)))) == ["link:1", "pasta/ação \n nova.py:1"]


def test_a_folder_without_git_is_looked_through_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(LINE)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/b.txt").write_text(LINE)
    scan = of_folder(tmp_path, Scanner())
    assert (scan.tracked, places(scan)) == (False, ["a.txt:1"])


def test_a_repository_without_a_file_is_inconclusive(repository: RepositoryCopy) -> None:
    scan = secret_places.of_repository(of(repository))
    with pytest.raises(Inconclusive, match="no file was looked through"):
        list(judge_scan(scan))


def test_what_was_found_fails_whatever_else_there_is(repository: RepositoryCopy) -> None:
    repository.write("a.py", LINE)
    with pytest.raises(Failure, match=r"a\.py:1: a GitHub token") as failure:
        list(judge_scan(secret_places.of_repository(of(repository))))
    assert KEY not in str(failure.value)


def test_no_repository_at_all_is_an_error() -> None:
    with pytest.raises(GateError, match="no repository was named"):
        secret_places.of_repository(Subject(schema=load("seed")))


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="no such folder"):
        of_folder(tmp_path / "gone", Scanner())


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to("nowhere")
    with pytest.raises(GateError, match="no such file"):
        of_files([tmp_path / "other"], Scanner())
    folder = tmp_path / "sub"
    folder.mkdir()
    with pytest.raises(GateError, match="cannot be read"):
        secret_places._read(folder, "sub")


def test_a_submodule_is_not_passed_over_in_silence(repository: RepositoryCopy) -> None:
    repository.write("a.py", "1\n")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},library")
    with pytest.raises(GateError, match="library is a submodule"):
        secret_places.of_repository(of(repository))


def test_a_secret_that_a_later_commit_took_away_is_found_in_the_commits(repository: RepositoryCopy) -> None:
    repository.write("a.py", "1\n")
    repository.commit("first")
    repository.write("a.py", f"1\n{LINE}")
    repository.commit("second")
    repository.write("a.py", "2\n")
    repository.commit("third")
    assert places(secret_places.of_repository(of(repository))) == []
    scan = secret_places.of_commits(of(repository, "HEAD~2..HEAD"))
    assert scan is not None
    assert (scan.commits, scan.files) == (2, 2)
    assert [place.partition(":")[2] for place in places(scan)] == ["a.py:2"]
    assert places(secret_places.of_commits(of(repository, "HEAD~1..HEAD"))) == []


def test_messages_of_commits_are_looked_through(repository: RepositoryCopy) -> None:
    repository.commit("first")
    repository.commit(f"second\n\nAPI_KEY={Planted().evolution_key()}")
    assert [place.partition(":")[2] for place in places(secret_places.of_commits(of(repository, "HEAD~1..HEAD")))] == [
        "commit message:4"
    ]


def test_commits_that_are_not_named_or_not_there_are_told_apart(repository: RepositoryCopy) -> None:
    repository.commit("first")
    assert secret_places.of_commits(of(repository)) is None
    with pytest.raises(GateError, match="git rev-list"):
        secret_places.of_commits(of(repository, "nowhere..HEAD"))
    with pytest.raises(GateError, match="the repository is not"):
        secret_places.of_commits(replace(of(repository, "a..b"), repository=None))


def test_archives_are_opened_also_in_each_other(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/.env", f"API_KEY={Planted().signing_secret()}\n")
    outer = io.BytesIO()
    with tarfile.open(fileobj=outer, mode="w:gz") as package:
        info = tarfile.TarInfo("golive-1/inner.zip")
        info.size = len(inner.getvalue())
        package.addfile(info, io.BytesIO(inner.getvalue()))
    (tmp_path / "golive-1.tar.gz").write_bytes(outer.getvalue())
    (tmp_path / "dump.sql.gz").write_bytes(gzip.compress(f"-- {LINE}".encode()))
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\nstream\n" + zlib.compress(LINE.encode()) + b"\nendstream\n")
    scan = of_files([tmp_path / "golive-1.tar.gz", tmp_path / "dump.sql.gz", tmp_path / "report.pdf"], Scanner())
    assert places(scan) == ["golive-1.tar/golive-1/inner.zip/deep/.env:1", "dump.sql:1", "report.pdf:1"]


def test_an_archive_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(GateError, match=r"broken\.zip: looks like an archive and cannot be opened"):
        of_files([tmp_path / "broken.zip"], Scanner())


def test_allowances_that_nothing_needs_are_told(tmp_path: Path) -> None:
    from gate.facts.allowances import Allowance

    (tmp_path / "a.txt").write_text("nothing\n")
    scan = of_folder(tmp_path, Scanner(allowances=[Allowance(rule="github-token", path="b.txt", reason="it was there once")]))
    assert {piece.label: piece.value for piece in judge_scan(scan)}["allowances that nothing needs"] == "github-token in b.txt"


def test_a_folder_with_nothing_but_the_description_of_a_release_says_nothing_of_it(tmp_path: Path) -> None:
    for name in ("golive.toml", "golive.schema.json", "golive.expected.toml"):
        (tmp_path / name).write_text("# theirs\n")
    with pytest.raises(Inconclusive, match="holds nothing but the description of the release"):
        list(judge_scan(of_folder(tmp_path, Scanner())))
    (tmp_path / "main.py").write_text("")
    assert next(iter(judge_scan(of_folder(tmp_path, Scanner())))).value == 4


def test_a_pointer_to_what_lies_elsewhere_is_an_error(repository: RepositoryCopy) -> None:
    repository.write("dump.sql", f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12\n")
    with pytest.raises(GateError, match=r"dump\.sql: is a pointer to a file in LFS"):
        secret_places.of_repository(of(repository))
