"""The official language service of Cucumber, which its extension for VS Code runs, knows every step of the library.

It reads Python files by itself. `tox -e editor` has it installed; elsewhere these tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.catalogue import catalogue, render
from features.expressions import parameter_types
from features.lint import look
from harness.tests.npm import install

pytestmark = pytest.mark.process

FEATURES = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("language_service.mjs")
# Read now: tests see no setting of whoever runs them.
_REQUIRED = os.environ.get("GOLIVE_REQUIRE_EDITOR") == "1"
_FOLDER = os.environ.get("GOLIVE_LANGUAGE_SERVICE", "")
PACKAGE = "@cucumber/language-service@1.7.0"

PORTUGUESE = """# language: pt
Funcionalidade: Escrever
  Cenário: Escrever
    Dado uma unidade conectada ao WhatsApp
    """

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the service is installed: `GOLIVE_LANGUAGE_SERVICE`, or a new one when the editor is required."""
    if _FOLDER:
        return Path(_FOLDER)
    if not _REQUIRED:
        pytest.skip("GOLIVE_LANGUAGE_SERVICE names no folder with the service; GOLIVE_REQUIRE_EDITOR=1 has it installed")
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.fail("node and npm are needed, and one of them is not installed")
    return install(PACKAGE, tmp_path_factory.mktemp("editor"))


@pytest.fixture(scope="module")
def ask(folder: Path) -> Ask:
    """Asks the language service about some files of steps and some features."""
    assert (folder / "node_modules" / "@cucumber" / "language-service").is_dir()

    def ask(*features: Path, sources: list[Path] | None = None, kinds: list[dict[str, str]] | None = None) -> dict[str, Any]:
        files = [FEATURES / "expressions.py", *sorted((FEATURES / "steps").glob("*.py"))] if sources is None else sources
        question = {
            "sources": [str(path) for path in files],
            "parameterTypes": kinds or [],
            "features": [str(path) for path in features],
            "typed": PORTUGUESE + "Quando o cliente escreve",
            "at": {"text": PORTUGUESE, "line": 3},
        }
        done = subprocess.run(
            ["node", str(SCRIPT), str(folder)],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return ask


def test_it_knows_every_step_of_the_library_in_both_languages(ask: Ask) -> None:
    answer = ask()
    ours = {step.text for step in look([FEATURES]).library.steps}
    assert answer["errors"] == []
    assert {item["source"] for item in answer["expressions"]} == ours
    assert set(answer["parameterTypes"]) >= {name for name in parameter_types() if "test" not in name}


def test_it_knows_every_step_of_every_scenario_and_no_other(ask: Ask, tmp_path: Path) -> None:
    features = sorted(FEATURES.rglob("*.feature"))
    unknown = tmp_path / "unknown.feature"
    unknown.write_text("Feature: Some\n  Scenario: One\n    Given nobody wrote this step\n", encoding="utf-8")
    diagnostics = ask(*features, unknown)["diagnostics"]
    [message] = diagnostics.pop(str(unknown))
    assert "nobody wrote this step" in message
    assert {path: found for path, found in diagnostics.items() if found} == {}
    assert len(diagnostics) >= 7


def test_it_completes_a_step_and_leads_to_its_function(ask: Ask) -> None:
    answer = ask()
    assert any(label.startswith("o cliente escreve um texto") for label in answer["proposals"])
    [place] = answer["leadsTo"]
    assert place.endswith("/features/steps/onboarding.py")


def test_the_editor_settings_are_enough_without_the_file_of_parameter_types(ask: Ask) -> None:
    settings = json.loads(render(catalogue(), "vscode", FEATURES.parent))
    kinds = [item for item in settings["cucumber.parameterTypes"] if "test" not in item["name"]]
    answer = ask(sources=sorted((FEATURES / "steps").glob("*.py")), kinds=kinds)
    assert answer["errors"] == []
    assert {item["source"] for item in answer["expressions"]} == {item["source"] for item in ask()["expressions"]}


def test_what_the_lint_calls_unreadable_it_does_not_know(ask: Ask, tmp_path: Path) -> None:
    steps = tmp_path / "steps.py"
    steps.write_text(
        'from features.steps import given\n\n@given("a shop (new)")\ndef _(): pass\n\n@given("a shop")\ndef _(): pass\n',
        encoding="utf-8",
    )
    feature = tmp_path / "shop.feature"
    feature.write_text("Feature: Shop\n  Scenario: One\n    Given a shop (new)\n    And a shop\n", encoding="utf-8")
    [message] = ask(feature, sources=[steps])["diagnostics"][str(feature)]
    assert "a shop (new)" in message
