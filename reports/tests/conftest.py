"""Recordings that the tests share: read once, changed in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gate.journal import Recording, conclude
from gate.model import Outcome
from reports.build import build
from reports.document import Block, Document, DocumentName
from reports.tests import runs
from reports.view import RunView


@pytest.fixture(scope="session")
def full() -> Recording:
    """A whole run in which everything passed."""
    return runs.full()


@pytest.fixture(scope="session")
def bare(full: Recording) -> Recording:
    """A journal that names its release and holds nothing else."""
    return replace(full, outcomes=(), facts={}, parts=(), release={}, lines=1)


@pytest.fixture
def documents_of() -> Callable[[Recording], dict[DocumentName, Document]]:
    def make(recording: Recording) -> dict[DocumentName, Document]:
        verdict = conclude(recording, runs.policy(), runs.TODAY)
        return {document.name: document for document in build(recording, verdict, runs.policy())}

    return make


@pytest.fixture
def section_of(
    documents_of: Callable[[Recording], dict[DocumentName, Document]],
) -> Callable[[Recording, str], tuple[Block, ...]]:
    """The blocks of one section, by its id, wherever it stands."""

    def make(recording: Recording, name: str) -> tuple[Block, ...]:
        return next(
            section.blocks for document in documents_of(recording).values() for section in document.sections if section.id == name
        )

    return make


@pytest.fixture
def view_of() -> Callable[[Recording], RunView]:
    return lambda recording: RunView.of(recording, conclude(recording, runs.policy(), runs.TODAY), runs.policy())


@pytest.fixture
def changed(full: Recording) -> Callable[..., Recording]:
    """The full run with some outcomes changed by id (None takes one out) and some facts set."""

    def make(outcomes: dict[str, Outcome | None] | None = None, facts: dict[str, object] | None = None) -> Recording:
        found = outcomes or {}
        kept = [item for item in full.outcomes if item.id not in found]
        return replace(
            full,
            outcomes=(*kept, *(item for item in found.values() if item is not None)),
            facts={**full.facts, **(facts or {})},
        )

    return make


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    runs.write_run(tmp_path / "run")
    return tmp_path / "run"
