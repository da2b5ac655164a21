"""`golive init`: what is there is found, nothing that is there is lost, and no secret is written down."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import tomllib
from pathlib import Path

import pytest

from gate.documents import schema, validate
from gate.errors import GateError, UsageError
from gate.facts.expected import load as load_expected
from gate.release import load
from harness.init import init, look, render
from harness.reference import EXAMPLE, MODULES


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_a_python_backend_is_described_by_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "src" / "shop" / "inner").mkdir(parents=True)
    for package in ("src/shop", "src/shop/inner"):
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "src" / "shop" / "main.py").write_text("from fastapi import FastAPI\n\napi = FastAPI(title='x')\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "2.1.0"\n')
    (tmp_path / ".env.example").write_text("A_KEY=canary-value-of-a-setting\n")
    (tmp_path / "render.yaml").write_text("services: []\n")
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "PRODUCTION_MIGRATION_GOLIVE.sql").write_text("SELECT 1;")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "tag", "v2.0.0")
    found, written = init(tmp_path)
    assert [path.name for path in written] == ["golive.toml", "golive.schema.json"]
    assert (found.name, found.version, found.commits) == ("shop", "2.1.0", "v2.0.0..HEAD")
    assert (found.sources, found.import_path, found.application) == (("src/shop",), ("src",), "shop.main:api")
    assert (found.example, found.manifest, found.platform) == (".env.example", "render.yaml", "render")
    assert found.migration == "db/PRODUCTION_MIGRATION_GOLIVE.sql"
    release = load(tmp_path / "golive.toml")
    subject = release.subject(database_url="", environment={})
    assert subject.application == "shop.main:api"
    assert subject.example_file == tmp_path / ".env.example"
    assert "imports.*" in release.policy.required
    assert "canary-value" not in (tmp_path / "golive.toml").read_text()


def test_nothing_that_is_there_is_replaced_without_force(tmp_path: Path) -> None:
    (tmp_path / "golive.schema.json").write_text("mine")
    with pytest.raises(UsageError, match=r"golive.schema.json is there already; --force"):
        init(tmp_path)
    assert not (tmp_path / "golive.toml").exists()
    init(tmp_path, force=True)
    assert json.loads((tmp_path / "golive.schema.json").read_text())["title"] == "golive.toml"
    with pytest.raises(UsageError, match="are there already"):
        init(tmp_path)


def test_a_database_becomes_the_expected_schema_and_its_address_is_written_nowhere(tmp_path: Path) -> None:
    database = tmp_path / "theirs.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER PRIMARY KEY, total INTEGER NOT NULL CHECK (total >= 0))")
    connection.close()
    project = tmp_path / "project"
    project.mkdir()
    found, written = init(project, database_url=f"sqlite:///{database}")
    assert (found.tables, found.speaks_seed) == (1, False)
    expected = load_expected(str(project / "golive.expected.toml"))
    assert expected.tables["invoices"].columns["total"].nullable is False
    release = load(project / "golive.toml")
    assert {"schema.as-expected", "schema.not-empty"} <= set(release.policy.required)
    assert "schema.*" not in release.policy.required
    assert not any("theirs" in path.read_text() for path in written)


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be read as one"])
def test_a_database_that_says_nothing_leaves_nothing_behind(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "d.sqlite").write_bytes(content)
    with pytest.raises(GateError):
        init(tmp_path, database_url=f"sqlite:///{tmp_path / 'd.sqlite'}")
    assert [path.name for path in tmp_path.iterdir()] == ["d.sqlite"]


def test_names_that_are_no_text_links_in_a_circle_and_closed_folders_do_not_stop_it(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.py")).write_text("x = 1")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "quote\"d'").mkdir()
    (tmp_path / "quote\"d'" / "__init__.py").write_text("")
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe[project]")
    (tmp_path / "package.json").write_text("[" * 100_000)
    os.mkfifo(tmp_path / "main.py")
    init(tmp_path)
    assert load(tmp_path / "golive.toml").name == tmp_path.name


def test_a_large_repository_is_not_walked_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.init.MOST_ENTRIES", 50)
    for number in range(80):
        (tmp_path / f"{number:03}.js").write_text("")
    assert look(tmp_path).notes == ("only the first 50 files were looked at",)


def test_the_shipped_example_says_of_the_reference_what_the_gate_is_told_of_it() -> None:
    subject = load(EXAMPLE).subject(database_url="", environment={})
    assert {module.role: module for module in subject.modules} == {module.role: module for module in MODULES}
    for script in (subject.migration, subject.baseline):
        assert script is not None
        assert script.is_file()


def test_everything_that_is_offered_in_a_remark_can_be_taken_up(tmp_path: Path) -> None:
    """What a person uncomments must not be refused: remarks are checked by the schema like the rest."""
    text = render(look(tmp_path, name="offered"), drafted=False)
    settings = re.sub(r'^# (?=\[|"|[\w-]+ = )', "", text, flags=re.MULTILINE)
    assert settings.count("\n") == text.count("\n")
    document = tomllib.loads(settings)
    validate(document, schema("golive"), where="golive.toml")
    assert {"waiver", "secrets", "migration", "dependencies"} <= set(document)
    assert document["modules"]["webhook-route"]["routes"]
    assert document["gate"]["checks"] == ["golive_checks"]
