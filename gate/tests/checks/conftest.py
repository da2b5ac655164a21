"""Migrated databases of the sample backend, one of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gate.facts import throwaway
from gate.facts.catalog import digest, snapshot
from gate.facts.part_journals import PartJournals
from gate.facts.subject import Subject
from gate.facts.worlds import RepositoryCopy
from gate.registry import Kind, Registry, registry
from gate.tests.worlds.subjects import WORLDS, subject


@pytest.fixture(scope="session")
def checks() -> Registry:
    return registry(Kind.CHECK).load("gate.checks")


@pytest.fixture(scope="session")
def sqlite_world() -> Iterator[str]:
    with throwaway.on_sqlite() as database:
        database.execute((WORLDS / "sqlite.sql").read_text(encoding="utf-8"))
        yield database.url


@pytest.fixture(scope="session")
def postgres_world(postgres_url: str) -> Iterator[str]:
    with throwaway.on_postgres(postgres_url) as database:
        for script in ("baseline.sql", "migration.sql"):
            database.execute((WORLDS / script).read_text(encoding="utf-8"))
        yield database.url


@pytest.fixture(scope="session")
def sample_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = RepositoryCopy(path=tmp_path_factory.mktemp("repository"))
    repository.git("init", "--quiet", "--initial-branch", "main")
    for path in sorted((WORLDS / "sample_backend").glob("*.py")):
        repository.write(f"sample_backend/{path.name}", path.read_bytes())
    repository.write("pyproject.toml", '[project]\nname = "sample-backend"\ndependencies = ["starlette>=1"]\n')
    repository.write("requirements.txt", "starlette==1.10.0\n")
    repository.commit("the release before")
    repository.git("tag", "released")
    repository.write("README.md", "# A sample\n")
    repository.commit("the release")
    return repository.path


@pytest.fixture
def sample(request: pytest.FixtureRequest, tmp_path: Path, sample_repository: Path) -> Callable[[str], Subject]:
    """The sample backend on a migrated database of the kind that is asked for."""

    def on(backend: str) -> Subject:
        url = request.getfixturevalue(f"{backend}_world")
        journals = PartJournals.sound(tmp_path / "parts", digest(snapshot(url, "public"))).named
        return replace(subject(tmp_path, database_url=url, repository=sample_repository), journals=journals)

    return on
