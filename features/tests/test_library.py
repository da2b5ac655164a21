"""The step library as a whole."""

from __future__ import annotations

import importlib.util
import json
import re
import textwrap
from pathlib import Path

import pytest

from features.catalogue import catalogue, render
from features.lint import Library, lint_paths, look

FEATURES = Path(__file__).parents[1]
# One text that each kind of value takes.
EXAMPLES = {
    **dict.fromkeys(("phone", "telefone"), "(11) 98765-4321"),
    **dict.fromkeys(("duration", "duração"), "5 s"),
    **dict.fromkeys(("times", "vezes"), "8 times"),
    **dict.fromkeys(("money", "dinheiro"), "R$ 1,00"),
    **dict.fromkeys(("instance", "instância"), "unit_3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
    "jid": "5511987654321@s.whatsapp.net",
    "int": "3",
    "float": "1.5",
    "word": "something",
    "string": '"something"',
}


@pytest.fixture(scope="module")
def library() -> Library:
    return look([FEATURES]).library


def _example(text: str) -> str:
    for name, value in EXAMPLES.items():
        text = text.replace(f"{{{name}}}", value)
    return " ".join(word.split("/")[0] for word in text.split(" "))


def test_every_step_is_there_in_english_and_in_portuguese() -> None:
    assert [entry.texts for entry in catalogue() if len(entry.texts) != 2] == []


def test_no_text_of_a_step_is_also_another_step(library: Library) -> None:
    twice = {}
    for step in library.steps:
        found = {other.owner: other.text for other in library.find(_example(step.text)) if other.kind in ("", step.kind)}
        assert step.owner in found, f"{step.text!r} does not take {_example(step.text)!r}"
        if len(found) > 1:
            twice[step.text] = sorted(found.values())
    assert twice == {}


def test_every_step_is_used_by_a_scenario_and_the_catalogue_says_how_often() -> None:
    entries = catalogue()
    assert [entry.texts[0] for entry in entries if entry.uses == 0] == []
    assert sum(entry.uses for entry in entries) > 100


def test_the_catalogue_is_searched_by_all_words_in_either_language() -> None:
    assert [entry.area for entry in catalogue(words="leitura conectada")] == ["onboarding"]
    assert catalogue(words="scan completed") == catalogue(words="leitura conectada")
    assert catalogue(words="no such words") == []


def test_the_catalogue_tells_steps_of_a_folder_beside_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "shop.py").write_text(
        'from features.steps import given\n\n\n@given("a shop", "uma loja")\ndef _() -> None:\n    """A shop that <sells>."""\n',
        encoding="utf-8",
    )
    (tmp_path / "shop.feature").write_text("Feature: Shop\n  Scenario: One\n    Given a shop\n    And a shop\n", encoding="utf-8")
    [entry] = catalogue([tmp_path], "shop")
    assert (entry.kind, entry.texts, entry.uses, entry.documentation) == (
        "given",
        ("a shop", "uma loja"),
        2,
        "A shop that <sells>.",
    )
    page = render([entry], "html", tmp_path)
    assert "A shop that &lt;sells&gt;." in page
    assert "steps/shop.py:4" in page
    assert json.loads(render([entry], "json", tmp_path))[0]["path"] == "steps/shop.py"
    assert "Given a shop\n        uma loja\n          steps/shop.py:4, used 2 times" in render([entry], "text", tmp_path)


def test_scenarios_in_portuguese_are_read_in_portuguese() -> None:
    features = look([FEATURES / "pt"]).features
    assert len(features) >= 4
    assert {feature.language for feature in features} == {"pt"}


def test_the_examples_for_newcomers_are_sound_as_they_stand(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = {kind: textwrap.dedent(text) for kind, text in re.findall(r"```(gherkin|python)\n(.*?)```", guide, re.DOTALL)}
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "own.py").write_text(blocks["python"], encoding="utf-8")
    use = """
      @id:resposta
      Cenário: A resposta chega
        Dado uma unidade conectada ao WhatsApp
        Quando a unidade responde "Olá" ao telefone (11) 98765-4321
        Então o telefone (11) 98765-4321 recebe "Olá" em 5 s
    """
    (tmp_path / "own.feature").write_text(blocks["gherkin"].strip() + "\n" + use, encoding="utf-8")
    assert lint_paths([tmp_path]).findings == ()
    own = importlib.util.spec_from_file_location("steps_of_the_guide", tmp_path / "steps" / "own.py")
    assert own is not None
    assert own.loader is not None
    own.loader.exec_module(importlib.util.module_from_spec(own))
