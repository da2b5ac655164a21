"""What the lint says, and in which forms."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from features.expressions import StepError
from features.gherkin_files import StepText
from features.lint import RULES, default_paths, lint_paths, snippet
from features.lint_formats import render
from harness.cli import app

STEPS = """
from features.steps import given, then, when

@given("a shop", "uma loja")
def _(): pass

@when("{phone} buys for {money}", "{telefone} compra por {dinheiro}")
def _(phone, amount): pass

@then("the shop sold for {money}", "a loja vendeu por {dinheiro}")
def _(amount, shop):
    assert shop.sold == amount
"""
SOUND = """Feature: Shopping
  @id:buy @critical
  Scenario: Buying
    Given a shop
    When (11) 98765-4321 buys for R$ 1.234,56
    Then the shop sold for R$ 1.234,56
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str = SOUND, steps: str = STEPS, name: str = "shop.feature") -> Path:
        (tmp_path / "steps").mkdir(exist_ok=True)
        (tmp_path / "steps" / "shop.py").write_text(steps, encoding="utf-8")
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return write


def _rules(folder: Path) -> dict[str, int]:
    return {finding.rule: finding.line for finding in lint_paths([folder]).findings}


def test_a_sound_folder_has_no_findings_and_says_what_was_looked_at(write: Write) -> None:
    report = lint_paths([write()])
    assert report.findings == ()
    assert (report.files, report.scenarios) == (1, 1)
    assert report.steps > 60


def test_an_undefined_step_comes_with_the_nearest_ones_and_a_ready_snippet(write: Write) -> None:
    folder = write(SOUND.replace("When (11) 98765-4321 buys for R$ 1.234,56", "When (11) 98765-4321 purchases for R$ 5 twice"))
    [undefined] = [finding for finding in lint_paths([folder]).findings if finding.rule == "undefined-step"]
    assert undefined.line == 5
    nearest, *rest = undefined.hint.splitlines()
    assert nearest == "nearest: {phone} buys for {money}"
    assert rest[-4] == "or define it in a file of the folder steps, after from features.steps import when:"
    code = "\n".join(rest[-3:])
    assert code.startswith('@when("{phone} purchases for {money} {times}")\ndef purchases_for')
    assert "(phone: str, money: Decimal, times: int) -> None:" in code
    compile(code, "snippet", "exec")


def test_at_most_three_steps_are_named_as_nearest(write: Write) -> None:
    folder = write(SOUND.replace("Given a shop", "Given a unit that is not connected to WhatsApp"))
    [undefined] = [finding for finding in lint_paths([folder]).findings if finding.rule == "undefined-step"]
    near = undefined.hint.partition("or define it")[0].splitlines()
    assert near[0] == "nearest: a unit that is connected to WhatsApp"
    assert len(near) == 3


def test_a_snippet_speaks_the_language_of_the_file_and_takes_what_stands_below() -> None:
    step = StepText(kind="then", keyword="Então", text='o cliente 1 vê "Olá" em 5 s', line=3, has_table=True, has_text=False)
    assert snippet(step.text, step, "pt").splitlines() == [
        '@then("o cliente {int} vê {string} em {duração}")',
        "def o_cliente_vê_em(number: int, text: str, seconds: float, datatable: Table, evidence: Observe) -> None:",
        '    raise NotImplementedError("say what must be seen")',
    ]


def test_a_step_of_another_kind_is_said_to_be_one(write: Write) -> None:
    folder = write(SOUND.replace("Given a shop", "Given a shop\n    And the shop sold for R$ 1"))
    [undefined] = [finding for finding in lint_paths([folder]).findings if finding.rule == "undefined-step"]
    assert "is no given, but a Then" in undefined.message


def test_steps_that_no_scenario_uses_are_named(write: Write) -> None:
    folder = write(steps=STEPS + '\n@given("a market")\ndef _(): pass\n')
    [unused] = lint_paths([folder]).findings
    assert (unused.rule, unused.path.name) == ("unused-step", "shop.py")
    assert "'a market'" in unused.message


def test_either_language_counts_as_use_and_both_match(write: Write) -> None:
    portuguese = """# language: pt
Funcionalidade: Comprar
  @id:comprar
  Cenário: Comprar
    Dado uma loja
    Quando (11) 98765-4321 compra por R$ 1.234,56
    Então a loja vendeu por R$ 1.234,56
"""
    assert lint_paths([write(portuguese)]).findings == ()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (STEPS.replace("{money}", "{monney}", 1), "did you mean {money}?"),
        (STEPS.replace("a shop", "a shop (new)"), "editors take it for a regular expression"),
        (STEPS + "def broken(:\n", "no Python"),
    ],
)
def test_what_is_wrong_with_a_file_of_steps_is_said(write: Write, steps: str, said: str) -> None:
    assert said in render(lint_paths([write(steps=steps)]), "text", Path.cwd())


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (SOUND + SOUND.partition("\n")[2], "duplicate-id"),
        (SOUND.replace("@id:buy ", ""), "id"),
        (SOUND.replace("@id:buy", "@id:Buy"), "id"),
        (SOUND.replace("@id:buy", "@id:buy @id:sell"), "id"),
        (SOUND.replace("Buying", ""), "no-name"),
        (SOUND.replace("@critical", "@critcal"), "unknown-tag"),
        (SOUND.replace("@critical", "@wip"), "hidden-scenario"),
        ("# idioma: pt\n" + SOUND, "swallowed-line"),
    ],
)
def test_each_rule_of_a_run_of_golive_is_checked(write: Write, text: str, rule: str) -> None:
    assert rule in _rules(write(text))


def test_a_folder_may_have_tags_of_its_own(write: Write) -> None:
    folder = write(SOUND.replace("@critical", "@vip"))
    assert "unknown-tag" in _rules(folder)
    (folder / "tags.txt").write_text("@vip  customers who pay\n", encoding="utf-8")
    # Vocabularies are read once by a process: this one has read that there was none.
    other = folder / "more"
    other.mkdir()
    (other / "tags.txt").write_text("@vip  customers who pay\n", encoding="utf-8")
    (other / "shop.feature").write_text(SOUND.replace("@critical", "@vip"), encoding="utf-8")
    assert "unknown-tag" not in _rules(other)


def test_one_feature_file_is_judged_with_the_steps_beside_it(write: Write) -> None:
    assert lint_paths([write() / "shop.feature"]).findings == ()


def test_nothing_to_look_at_is_a_usage_error_and_never_a_pass(tmp_path: Path) -> None:
    for arguments in ([str(tmp_path)], [str(tmp_path / "nowhere")]):
        result = CliRunner().invoke(app, ["lint", *arguments], standalone_mode=False)
        assert result.exception is not None
        assert type(result.exception).__name__ == "UsageError"


def test_the_exit_status_is_that_of_the_findings_in_every_format(write: Write) -> None:
    for text, status in ((SOUND, 0), (SOUND.replace("Then", "And"), 1)):
        folder = write(text)
        for form in ("text", "json", "sarif", "github"):
            result = CliRunner().invoke(app, ["lint", str(folder), "--format", form], standalone_mode=False)
            assert result.return_value == status


def test_every_format_names_rule_file_and_line(write: Write) -> None:
    folder = write(SOUND.replace("a shop", "a shop, 50%\n      | a |", 1)).resolve()
    report = lint_paths([folder])
    [finding] = [item for item in report.findings if item.rule == "undefined-step"]
    document = json.loads(render(report, "json", folder))
    assert {name: document["findings"][0][name] for name in ("rule", "path", "line")} == {
        "rule": "undefined-step",
        "path": "shop.feature",
        "line": 4,
    }
    sarif = json.loads(render(report, "sarif", folder))["runs"][0]
    [result] = [item for item in sarif["results"] if item["ruleId"] == "undefined-step"]
    assert sarif["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "undefined-step"
    location = result["locations"][0]["physicalLocation"]
    assert (location["artifactLocation"]["uri"], location["region"]["startLine"]) == ("shop.feature", 4)
    github = render(report, "github", folder).splitlines()[0]
    assert github.startswith("::error file=shop.feature,line=4,title=undefined-step::")
    assert "50%25" in github
    assert "%0A" in github
    assert f"shop.feature:4: undefined-step: {finding.message}" in render(report, "text", folder)


def test_every_rule_that_is_found_is_documented() -> None:
    source = (Path(__file__).parents[1] / "lint.py").read_text(encoding="utf-8")
    assert [rule for rule in RULES if source.count(f'"{rule}"') < 2 and rule not in READ] == []


READ = {"async-step", "then-without-assertion", "encoding", "not-gherkin"}

PORTUGUESE = """# language: pt
Funcionalidade: Comprar
  @id:comprar
  Cenário: Comprar
    Dado uma loja
    Quando (11) 98765-4321 compra por R$ 5
    Então a loja vendeu por R$ 5
"""


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (PORTUGUESE.partition("\n")[2], 1, "as # language: pt"),
        (PORTUGUESE.replace(": pt", ": pt-BR", 1), 1, "did you mean # language: pt?"),
        (PORTUGUESE.replace("# l", "# L", 1), 2, "as # language: pt"),
        (PORTUGUESE.replace("Cenário:", "Scenario:"), 4, "as # language: en"),
        (PORTUGUESE.replace("Cenário: ", "Cenário "), 4, "write a colon after the keyword"),
        (PORTUGUESE.replace("Então", "então"), 7, "keywords begin with a capital letter"),
        (PORTUGUESE.replace("Então", "Entõa"), 7, "did you mean Ent"),
        (unicodedata.normalize("NFD", PORTUGUESE), 4, "type the line anew"),
        (PORTUGUESE + PORTUGUESE.partition("\n")[2], 8, "a file has one feature"),
        (PORTUGUESE.replace("@id:comprar", "@id: comprar"), 3, "hold no blank: @id:some-words"),
        (PORTUGUESE.replace("  @id:comprar\n", "").replace("Dado", "@id:comprar\n    Dado"), 5, "whose tags stand above it"),
        (PORTUGUESE + "      | a | b |\n      | 1 |\n", 9, "as many cells as its first"),
        (PORTUGUESE + '      """\n      Olá\n', 10, 'close the text with """'),
        (PORTUGUESE.replace("uma loja", "uma\u00a0loja"), 5, "type it anew with plain signs: uma loja"),
        (PORTUGUESE.replace("uma loja", "uma loja."), 5, "type it anew with plain signs: uma loja"),
        (PORTUGUESE.replace("Dado", "E"), 5, "there is none: begin with Given"),
    ],
)
def test_the_usual_slips_are_told_with_what_to_do(write: Write, text: str, line: int, said: str) -> None:
    found = [item for item in lint_paths([write(text)]).findings if item.path.suffix == ".feature"]
    assert [item.line for item in found] == [line]
    assert said in found[0].hint


@pytest.mark.parametrize(
    "body",
    [
        "assert lambda: shop.sold == amount",
        "assert f'{shop.sold} is {amount}'",
        "assert shop.sold == amount or True",
        "assert amount == amount",
        "if False:\n    assert shop.sold == amount\nshop.close()",
        "try:\n    assert shop.sold == amount\nexcept AssertionError:\n    return",
        "try:\n    same('sold', expected=amount, seen=shop.sold)\nexcept Exception as error:\n    print(error)",
        "try:\n    assert shop.sold == amount\nfinally:\n    return",
        "with pytest.raises(AssertionError):\n    assert shop.sold == amount",
        "assert shop.sold == amount\nyield",
    ],
)
def test_a_then_that_cannot_say_no_is_found(write: Write, body: str) -> None:
    steps = STEPS.replace("assert shop.sold == amount", body.replace("\n", "\n    "))
    assert "then-without-assertion" in _rules(write(steps=steps))


@pytest.mark.parametrize(
    "body",
    [
        "def sold():\n    assert shop.sold == amount\nsold()",
        "try:\n    assert shop.sold == amount\nexcept AssertionError as error:\n    raise ValueError from error",
        "try:\n    assert shop.sold == amount\nexcept AssertionError:\n    return False",
        "if not shop:\n    return False\nassert shop.sold == amount",
        "eventually(lambda: shop.sold, amount, within_s=5, what='sold')",
    ],
)
def test_a_then_that_can_say_no_is_let_pass(write: Write, body: str) -> None:
    steps = STEPS.replace("assert shop.sold == amount", body.replace("\n", "\n    "))
    assert lint_paths([write(steps=steps)]).findings == ()


def test_what_an_unreadable_file_uses_is_not_known(write: Write) -> None:
    folder = write(PORTUGUESE.replace("Cenário: ", "Cenário "))
    assert [item.rule for item in lint_paths([folder]).findings] == ["not-gherkin"]


def test_rows_of_an_outline_have_ids_of_their_own(write: Write) -> None:
    outline = SOUND.replace("Scenario: Buying", "Scenario Outline: Selling").replace("a shop", "a <what>")
    text = outline + "    Examples:\n      | what |\n      | shop |\n" + SOUND.partition("\n")[2].replace(":buy", ":buy-1")
    assert _rules(write(text)) == {"duplicate-id": 11}


def test_a_vocabulary_that_is_not_utf_8_is_named(write: Write) -> None:
    folder = write() / "other"
    folder.mkdir()
    (folder / "tags.txt").write_bytes("@vip  só clientes".encode("latin-1"))
    (folder / "shop.feature").write_text(SOUND, encoding="utf-8")
    with pytest.raises(StepError, match=r"tags\.txt: the file is not UTF-8"):
        lint_paths([folder])


def test_the_features_folder_with_its_steps_is_the_default(tmp_path: Path) -> None:
    assert default_paths(tmp_path) == [tmp_path]
    (tmp_path / "features" / "steps").mkdir(parents=True)
    assert default_paths(tmp_path) == [tmp_path / "features"]


def test_the_built_in_scenarios_and_steps_are_sound() -> None:
    report = lint_paths([Path(__file__).parents[1]])
    assert [f"{item.path.name}:{item.line}: {item.rule}: {item.message}" for item in report.findings] == []
    assert report.scenarios >= 9
