"""A scan that finds something never ends with 0, and this repository holds no secret that nobody answers for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gate.errors import UsageError
from gate.facts.planted import Planted
from gate.model import Decision
from harness.cli import main
from harness.secret_search import search

ROOT = Path(__file__).parents[2]
KEY = Planted(11).github()


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["secrets", *map(str, arguments)])
    return int(ended.value.code or 0), capsys.readouterr().out


def test_what_is_found_is_told_without_its_value_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text(f"the key is {KEY}\n")
    status, out = run(capsys, tmp_path)
    assert (status, KEY in out) == (1, False)
    assert "notes.txt:1: a GitHub token" in out


def test_nothing_found_ends_with_0_and_nothing_seen_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, tmp_path)[0] == 3
    (tmp_path / "notes.txt").write_text("nothing here\n")
    assert run(capsys, tmp_path)[0] == 0


def test_what_cannot_be_read_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 broken")
    status, out = run(capsys, tmp_path)
    assert status == 3
    assert "a.zip: looks like an archive and cannot be opened" in out


def test_json_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text(f"the key is {KEY}\n")
    status, out = run(capsys, tmp_path, "--format", "json")
    (place,) = json.loads(out)["places"]
    assert (status, place["decision"], [hit["rule"] for hit in place["found"]]) == (1, "NO-GO", ["github-token"])


def test_allowances_need_a_reason(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(f"the key is {KEY}\n")
    allowed = tmp_path / "allow.toml"
    allowed.write_text('[[allow]]\nrule = "github-token"\npath = "notes.txt"\nreason = "opens nothing any more"\n')
    (found,) = search([tmp_path / "notes.txt"], allowed=allowed)
    assert (found.decision, len(found.scan.allowed)) == (Decision.GO, 1)
    allowed.write_text('[[allow]]\nrule = "github-token"\npath = "notes.txt"\nreason = ""\n')
    with pytest.raises(UsageError, match="gives no reason"):
        search([tmp_path], allowed=allowed)
    allowed.write_text('[[allow]]\nrule = "github-token"\n')
    with pytest.raises(UsageError, match="is no list of"):
        search([tmp_path], allowed=allowed)


def test_this_repository_holds_no_secret_that_nobody_answers_for() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: which files are tracked is not known")
    (found,) = search([ROOT], allowed=ROOT / ".ci/secrets.toml")
    assert (found.decision, found.reason) == (Decision.GO, "")
    assert found.scan.tracked
    assert found.scan.unused == ()
