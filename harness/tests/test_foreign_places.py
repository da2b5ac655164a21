"""golive init and golive gate where nothing is ours: a useful answer each time, never a traceback or a password."""

from __future__ import annotations

import os
import random
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate.facts import throwaway
from gate.facts.throwaway import ThrowawayDatabase
from gate.tests.facts.test_drafting import ODD_POSTGRES
from harness.proof.forks import Forks, forks
from harness.tests.projects import PRELOADED, Project
from harness.tests.running import Finished, golive

pytestmark = pytest.mark.process

PASSWORD = "hunter2-canary"


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with forks((*PRELOADED, "harness.init", "harness.init_command"), log=tmp_path_factory.mktemp("forks") / "log") as started:
        yield started


@pytest.fixture
def place(processes: Forks, tmp_path: Path) -> Project:
    """An empty directory of somebody's."""
    (tmp_path / "place").mkdir()
    return Project(path=tmp_path / "place", forks=processes)


def answered(run: Finished, *statuses: int) -> Finished:
    said = run.output + run.errors
    assert run.status in statuses, said
    assert "Traceback" not in said
    assert "internal error" not in said
    assert PASSWORD not in said
    return run


def required(place: Project, *checks: str) -> None:
    """Narrows what `golive init` wrote to these checks."""
    path = place.path / "golive.toml"
    names = ", ".join(f'"{check}"' for check in checks)
    path.write_text(re.sub(r"required = \[.*?\n\]", f"required = [{names}]", path.read_text(), count=1, flags=re.DOTALL))


def test_an_empty_directory() -> None:
    """With processes of their own, as a person types it."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        answered(golive("init", cwd=Path(folder)), 0)
        run = answered(golive("gate", cwd=Path(folder)), 3)
    assert run.last_line == "HOLD"
    for hint in (
        "no database was given",
        "no running backend was given",
        "no settings of the deployment were given",
        "no log of",
    ):
        assert hint in run.output


def test_without_a_description_the_shipped_example_is_named_as_what_is_looked_at(place: Project) -> None:
    run = answered(
        place.gate("--select", "schema.not-empty", "--database", "memory", DATABASE_URL=f"postgresql://u:{PASSWORD}@h/d"), 0
    )
    assert "the shipped example, not what is in this directory" in run.output
    assert "DATABASE_URL is set and not looked at" in run.output


def test_a_repository_in_another_language(place: Project) -> None:
    (place.path / "main.go").write_text('package main\n\nimport "os"\n\nfunc main() { os.Getenv("QUEUE_URL") }\n')
    (place.path / ".env.example").write_text("QUEUE_URL=\n")
    place.git("init", "--quiet")
    place.commit("theirs")
    answered(place.golive("init"), 0)
    assert '# "imports.*"' in (place.path / "golive.toml").read_text()
    required(place, "config.*", "evidence.*", "secrets.repository")
    assert answered(place.gate(), 3).last_line == "HOLD"


def test_packages_with_the_names_of_ours_are_not_taken_for_ours(place: Project) -> None:
    for name in ("gate", "features", "harness", "reports", "reference_impl", "pytest_bdd", "click", "yaml"):
        (place.path / name).mkdir()
        (place.path / name / "__init__.py").write_text("raise RuntimeError('a foreign package was imported')\n")
    run = answered(place.gate("--select", "evidence.scenarios-bound", "--database", "memory"), 0)
    assert run.last_line == "GO"


def test_files_that_are_no_text_links_in_circles_and_names_that_are_none(place: Project) -> None:
    source = place.path / "src"
    source.mkdir()
    (source / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nNAME = 'caf\xe9'\n")
    (source / "latin.js").write_bytes(b"const name = 'caf\xe9'; process.env.QUEUE_URL;\n")
    (source / "old.py").write_text("print 'python 2'\n")
    (source / "loop").symlink_to(source)
    (source / "gone.py").symlink_to("nowhere.py")
    (source / "folder.py").mkdir()
    Path(os.fsdecode(os.fsencode(source) + b"/\xff.py")).write_text("x = 1\n")
    os.mkfifo(source / "pipe.py")
    (source / "binary.py").write_bytes(random.Random(1).randbytes(4096))
    place.git("init", "--quiet")
    answered(place.golive("init"), 0)
    required(place, "config.*", "secrets.repository")
    assert answered(place.gate(), 1, 3).last_line in ("HOLD", "NO-GO")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{PASSWORD}@127.0.0.1:9/x",
        f"postgresql://u:{PASSWORD}@no.such.host.invalid/x",
        f"postgresql://u:{PASSWORD}@127.0.0.1:99999/x",
        f"postgresql://u:{PASSWORD}/{PASSWORD}@[::1/x",
        f"mysql://u:{PASSWORD}@h/x",
        f"https://u:{PASSWORD}@h/x",
        f"postgres:{PASSWORD}",
        PASSWORD,
        "postgresql://",
        "sqlite:///gone.sqlite",
        "sqlite:///corrupt.sqlite",
        "sqlite:///folder",
    ],
)
def test_a_database_that_cannot_be_had(place: Project, url: str) -> None:
    (place.path / "corrupt.sqlite").write_bytes(b"SQLite format 3\0" + random.Random(2).randbytes(4000))
    (place.path / "folder").mkdir()
    answered(place.golive("init", "--database", url), 3, 2)
    assert not (place.path / "golive.toml").exists()
    answered(place.golive("init"), 0)
    required(place, "schema.not-empty")
    if url.startswith(("postgres", "sqlite")):
        assert answered(place.gate(DATABASE_URL=url), 3).last_line == "HOLD"
        return
    # Of a kind that nobody could look at: before anything runs, in one line.
    for run in (place.gate(DATABASE_URL=url), place.gate("--database", url)):
        assert answered(run, 2).output == ""
        assert run.errors.count("\n") == 1
        assert "neither postgresql://user@host/name nor sqlite:///path" in run.errors


def test_a_locked_database(place: Project) -> None:
    with sqlite3.connect(place.path / "app.sqlite", isolation_level=None) as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
        connection.execute("BEGIN EXCLUSIVE")
        run = answered(place.golive("init", "--database", f"sqlite:///{place.path / 'app.sqlite'}"), 3)
        connection.execute("ROLLBACK")
    connection.close()
    assert "database is locked" in run.errors


def test_a_database_that_is_not_ours_becomes_what_is_expected(place: Project) -> None:
    with sqlite3.connect(place.path / "app.sqlite") as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER PRIMARY KEY, total INTEGER NOT NULL CHECK (total >= 0))")
    connection.close()
    url = f"sqlite:///{place.path / 'app.sqlite'}"
    answered(place.golive("init", "--database", url), 0)
    required(place, "schema.as-expected", "schema.not-empty")
    assert answered(place.gate(DATABASE_URL=url), 0).last_line == "GO"
    assert "name the factory of its store" in answered(place.gate("--select", "datastore", DATABASE_URL=url), 3).output
    place.execute("ALTER TABLE invoices RENAME COLUMN total TO amount;")
    run = answered(place.gate(DATABASE_URL=url), 1)
    assert "invoices.total is missing, expected integer" in run.output


@pytest.fixture
def theirs(postgres_url: str) -> Iterator[ThrowawayDatabase]:
    with throwaway.on_postgres(postgres_url) as database:
        database.execute(ODD_POSTGRES)
        yield database


@pytest.mark.postgres
def test_a_postgres_with_views_partitions_odd_types_and_quoted_names(place: Project, theirs: ThrowawayDatabase) -> None:
    answered(place.golive("init", "--database", theirs.url), 0)
    required(place, "schema.as-expected", "schema.not-empty")
    assert answered(place.gate(DATABASE_URL=theirs.url), 0).last_line == "GO"
    # A session that may only read, through a pooler as Prisma writes it.
    read_only = "pgbouncer=true&connection_limit=1&options=-c%20default_transaction_read_only%3Don"
    assert answered(place.gate(DATABASE_URL=f"{theirs.url}?{read_only}"), 0).last_line == "GO"
    theirs.execute('ALTER TABLE orders DROP CONSTRAINT "odd check %"')
    assert "CHECK odd check % of orders is missing" in answered(place.gate(DATABASE_URL=theirs.url), 1).output


@pytest.mark.postgres
def test_a_postgres_with_tables_in_another_schema(place: Project, theirs: ThrowawayDatabase) -> None:
    theirs.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    run = answered(place.golive("init", "--database", theirs.url), 2)
    assert "holds no table in schema public; there are some in Third Schema, other" in run.errors
    answered(place.golive("init", "--database", theirs.url, "--db-schema", "other"), 0)
    required(place, "schema.as-expected")
    assert answered(place.gate(DATABASE_URL=theirs.url), 0).last_line == "GO"


@pytest.mark.postgres
def test_a_role_without_rights(place: Project, theirs: ThrowawayDatabase) -> None:
    theirs.execute("DROP ROLE IF EXISTS golive_poor; CREATE ROLE golive_poor LOGIN; REVOKE ALL ON SCHEMA public FROM public")
    try:
        answered(place.golive("init", "--database", theirs.url), 0)
        required(place, "schema.not-empty", "datastore.*")
        described = place.path / "golive.toml"
        described.write_text(described.read_text().replace('# datastore = "app.store:open_store"', 'datastore = "nowhere:store"'))
        run = answered(place.gate(DATABASE_URL=theirs.url.replace("postgres@", "golive_poor@", 1)), 3)
        assert "grant it USAGE" in run.output
        assert "lacks CREATEDB" in run.output
    finally:
        theirs.execute("DROP ROLE golive_poor")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import sys\n\n\n@check()\ndef run(subject):\n    sys.exit(0)\n    yield\n",
            "own.theirs .error.: the check crashed: SystemExit",
        ),
        ("@check()\ndef run(subject):\n    raise KeyboardInterrupt\n    yield\n", ""),
        ("@check()\ndef run(nothing_of_that_name):\n    yield\n", "nothing provides the fact 'nothing_of_that_name'"),
        ("@check()\ndef run(subject):\n    return iter(())\n", "passed without evidence"),
        ("@check()\ndef run(subject):\n    return None\n", "own.theirs .error."),
        ("@check()\ndef run(subject):\n    yield 'text'\n", "own.theirs .error."),
    ],
    ids=["ends the process", "interrupts", "asks for nothing there is", "sees nothing", "returns nothing", "yields no evidence"],
)
def test_a_check_of_theirs_that_misbehaves_is_never_go(place: Project, code: str, words: str) -> None:
    answered(place.golive("init"), 0)
    (place.path / "theirs.py").write_text(f'"""Theirs.\n\nWhy: so.\nFix: so.\n"""\nfrom gate.registry import check\n{code}')
    required(place, "own.*")
    text = (place.path / "golive.toml").read_text()
    (place.path / "golive.toml").write_text(text.replace('# checks = ["golive_checks"]', 'checks = ["theirs.py"]'))
    run = answered(place.gate("--database", "memory"), 3, 130)
    assert re.search(words, run.output), run.output + run.errors
    assert "nothing shows that own.theirs can fail" in run.output


OWN_CHECK = '''"""There are invoices.

Why: so.
Fix: so.
"""
from gate.errors import Failure
from gate.model import Evidence
from gate.registry import check


@check()
def run(catalog):
    if "invoices" not in catalog.tables:
        raise Failure("there is no table invoices")
    yield Evidence(label="columns", value=len(catalog.tables["invoices"].columns))
'''


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("saboteur", "status", "words"),
    [
        ("", 1, "no saboteur     own.theirs: - – nothing shows that it can fail"),
        ("database.execute('DROP TABLE invoices')", 0, "1/1 killed, 1 checks"),
        ("database.execute('CREATE TABLE others (id int)')", 1, "survived        own.theirs: away"),
    ],
    ids=["nothing shows that it can fail", "killed", "survived"],
)
def test_a_check_of_theirs_is_proven_on_copies_of_their_release(
    place: Project, postgres_url: str, saboteur: str, status: int, words: str
) -> None:
    answered(place.golive("init"), 0)
    (place.path / "before.sql").write_text("CREATE TABLE invoices (id integer PRIMARY KEY);\n")
    breaks = f"\n\n@run.breaks\ndef away(database):\n    {saboteur}\n" if saboteur else ""
    (place.path / "theirs.py").write_text(OWN_CHECK + breaks)
    described = place.path / "golive.toml"
    text = described.read_text().replace('# checks = ["golive_checks"]', 'checks = ["theirs.py"]')
    described.write_text(re.sub(r"# baseline = \S+", 'baseline = "before.sql"', text))
    run = answered(place.golive("gate", "prove", "--select", "own", "--database", postgres_url), status)
    assert words in run.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["init", "gone"], "gone: no such directory"),
        (["gate", "--config", "gone.toml"], "gone.toml: no such file; `golive init` writes one"),
        (["gate", "--config", "."], "no such file; `golive init` writes one"),
    ],
)
def test_a_place_that_is_not_there_is_a_usage_error(place: Project, arguments: list[str], complaint: str) -> None:
    assert complaint in answered(place.golive(*arguments), 2).errors


def test_a_second_init_leaves_everything_as_it_is(place: Project) -> None:
    answered(place.golive("init", "--name", "first"), 0)
    assert "--force replaces" in answered(place.golive("init", "--name", "second"), 2).errors
    assert 'name = "first"' in (place.path / "golive.toml").read_text()
    answered(place.golive("init", "--name", "second", "--force"), 0)
    assert 'name = "second"' in (place.path / "golive.toml").read_text()


def test_the_schema_and_the_example_are_printed(place: Project) -> None:
    import json

    assert json.loads(answered(place.golive("init", "--schema"), 0).output)["title"] == "golive.toml"
    assert "[modules.webhook-route]" in answered(place.golive("init", "--example"), 0).output
    assert list(place.path.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_one_line(place: Project) -> None:
    (place.path / "sub").write_text("a file")
    done = subprocess.run(["chattr", "+i", str(place.path)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this file system cannot be told to refuse what root writes")
    try:
        assert "cannot be written" in answered(place.golive("init"), 3).errors
    finally:
        subprocess.run(["chattr", "-i", str(place.path)], check=True)
