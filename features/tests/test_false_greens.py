"""What plain pytest-bdd lets pass: each is shown to pass there, and to be refused by the lint and by pytest with our plugin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from features.lint import lint_paths

pytest_plugins = ["pytester"]

STEPS = """
from pytest_bdd import given, parsers, scenario, scenarios, then, when

@given("a unit")
def _():
    pass

@when("it writes")
def _():
    pass

@then("it is so")
def _():
    assert True is not False

"""
BIND = 'scenarios("features")\n'
SOUND = "Feature: Sound\n  Scenario: Sound\n    Given a unit\n    When it writes\n    Then it is so\n"


def feature(*lines: str, head: str = "Feature: Some") -> str:
    return "\n".join([head, *(f"  {line}" for line in lines), ""])


def scenario(*steps: str, name: str = "One") -> list[str]:
    return [f"Scenario: {name}", *(f"  {step}" for step in steps)]


def then(body: str, text: str = "it is shown") -> str:
    return f'@then("{text}")\ndef _():\n' + "".join(f"    {line}\n" for line in body.splitlines())


SHOWN = feature(*scenario("Given a unit", "Then it is shown"))

# By name: the rule that finds it, the text of the feature, and what is added to the steps.
FALSE_GREENS: Mapping[str, tuple[str, str, str]] = {
    "an async step that nobody awaits": (
        "async-step",
        SHOWN,
        '@then("it is shown")\nasync def _():\n    assert False\n',
    ),
    "a coroutine that a step calls and nobody awaits": (
        "async-step",
        SHOWN,
        "async def look():\n    assert False\n\n" + then("look()"),
    ),
    "two steps that match": (
        "ambiguous-step",
        SHOWN,
        then("assert False") + '@then(parsers.parse("it is {how}"))\ndef _(how):\n    assert how\n',
    ),
    "two steps of one text": ("ambiguous-step", SHOWN, then("assert False") + then("assert __name__")),
    "a scenario without steps": ("empty-scenario", feature("Scenario: One"), ""),
    "a scenario without a Then": ("no-then", feature(*scenario("Given a unit", "When it writes")), ""),
    "a Then in the background alone": (
        "no-then",
        feature("Background:", "  Given a unit", "  Then it is so", *scenario("When it writes")),
        "",
    ),
    "two scenarios of one name": (
        "duplicate-name",
        feature(*scenario("Given a unit", "Then it is broken"), *scenario("Given a unit", "Then it is so")),
        then("assert False", "it is broken"),
    ),
    "two scenarios of one name in two rules": (
        "duplicate-name",
        feature(
            *("Rule: A", *scenario("Given a unit", "Then it is broken")), *("Rule: B", *scenario("Given a unit", "Then it is so"))
        ),
        then("assert False", "it is broken"),
    ),
    "an outline without examples": (
        "no-examples",
        feature("Scenario Outline: One", "  Given a unit", "  Then it is so"),
        "",
    ),
    "an outline whose examples have no row": (
        "no-examples",
        feature("Scenario Outline: One", "  Given a unit", "  Then it is <how>", "  Examples:", "    | how |"),
        '@then(parsers.parse("it is {how}"))\ndef _(how):\n    assert how != "so"\n',
    ),
    "an outline with a column that no step uses": (
        "no-examples",
        feature("Scenario Outline: One", "  Given a unit", "  Then it is so", "  Examples:", "    | how |", "    | bad |"),
        "",
    ),
    "a Then that looks at nothing": ("then-without-assertion", SHOWN, then("pass")),
    "a Then that prints": ("then-without-assertion", SHOWN, then('print("looks good")')),
    "a Then that returns what it should assert": ("then-without-assertion", SHOWN, then("return 1 == 2")),
    "a Then that compares and drops the result": ("then-without-assertion", SHOWN, then("1 == 2\nassert __name__")),
    "a Then that asserts what is always true": ("then-without-assertion", SHOWN, then("assert True")),
    "a Then that catches its own assertion": (
        "then-without-assertion",
        SHOWN,
        then("try:\n    assert 1 == 2\nexcept Exception:\n    pass"),
    ),
    "a Then that suppresses its own assertion": (
        "then-without-assertion",
        SHOWN,
        then("import contextlib\nwith contextlib.suppress(AssertionError):\n    assert 1 == 2"),
    ),
    "a Then whose assertion nobody calls": ("then-without-assertion", SHOWN, then("def look():\n    assert 1 == 2")),
    "a Then that asserts a generator": ("then-without-assertion", SHOWN, then("assert (one == 2 for one in [1])")),
    "a Then that asserts after its return": ("then-without-assertion", SHOWN, then("len([])\nreturn\nassert 1 == 2")),
    "a coroutine inside a step that nobody awaits": (
        "async-step",
        SHOWN,
        then("async def look():\n    assert 1 == 2\nlook()\nassert __name__"),
    ),
    "a background without steps": (
        "empty-scenario",
        feature("Background:", *scenario("Given a unit", "Then it is so")),
        "",
    ),
    "a rule without scenarios": ("empty-scenario", SOUND + "\n  Rule: Nothing\n", ""),
    "two scenarios whose names differ in case and blanks": (
        "duplicate-name",
        feature(*scenario("Given a unit", "Then it is so"), *scenario("Given a unit", "Then it is so", name="one")),
        "",
    ),
    "an outline with two columns of one name": (
        "no-examples",
        feature("Scenario Outline: One", "  Then it is <how>", "  Examples:", "    | how | how |", "    | broken | so |"),
        then("assert False", "it is broken"),
    ),
    "a step after a tab": (
        "swallowed-line",
        feature(*scenario("Given\tit is broken", "Given a unit", "Then it is so")),
        "",
    ),
    "an unknown step after a no-break space": (
        "swallowed-line",
        feature(*scenario("Given\u00a0nobody knows this", "Given a unit", "Then it is so")),
        "",
    ),
    "a scenario tagged to be skipped": (
        "hidden-scenario",
        feature("@skip", *scenario("Given a unit", "Then it is broken")),
        then("assert False", "it is broken"),
    ),
    "a scenario that is commented out": (
        "hidden-scenario",
        SOUND + "\n  # Scenario: Two\n  #   Given a unit\n  #   Then it is broken\n",
        "",
    ),
    "a Then that is commented out": (
        "hidden-scenario",
        feature(*scenario("Given a unit", "Then it is so", "# And it is broken")),
        then("assert False", "it is broken"),
    ),
    "Portuguese keywords without their language": (
        "swallowed-line",
        feature("Cenário: Um", "  Dado a unit", "  Então it is broken", *scenario("Given a unit", "Then it is so")),
        then("assert False", "it is broken"),
    ),
    "a misspelt keyword before the first scenario": (
        "swallowed-line",
        feature("Scenrio: Two", "  Given a unit", "  Then it is broken", *scenario("Given a unit", "Then it is so")),
        then("assert False", "it is broken"),
    ),
    "a misspelt first step": (
        "swallowed-line",
        feature(*scenario("Thenn it is broken", "Given a unit", "Then it is so")),
        then("assert False", "it is broken"),
    ),
    "a table that no step looks at": (
        "table-not-taken",
        feature(*scenario("Given a unit", "Then it is so", "  | status | broken |")),
        "",
    ),
    "a text that no step looks at": (
        "table-not-taken",
        feature(*scenario("Given a unit", "Then it is so", '  """', "  broken", '  """')),
        "",
    ),
    "a tag that is misspelt": ("unknown-tag", feature("@critcal", *scenario("Given a unit", "Then it is so")), ""),
}


def lay_out(folder: Path, text: str, steps: str, bind: str = BIND) -> None:
    (folder / "features").mkdir()
    (folder / "features" / "some.feature").write_text(text, encoding="utf-8")
    (folder / "test_some.py").write_text(STEPS + steps + bind, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n  critical\n", encoding="utf-8")


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """pytest without our plugin, except as it is named."""
    return pytester.runpytest_inprocess(
        *("--disable-plugin-autoload", "-p", "pytest_bdd.plugin", "-p", "no:cacheprovider", "-W", "default", *options)
    )


@pytest.fixture(autouse=True)
def _packages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def _refused(pytester: pytest.Pytester, rule: str) -> None:
    assert rule in {finding.rule for finding in lint_paths([pytester.path]).findings}
    with_plugin = run(pytester, "-p", "features.plugin")
    assert with_plugin.ret == pytest.ExitCode.USAGE_ERROR, with_plugin.stdout.str()
    assert f": {rule}: " in with_plugin.stderr.str()


@pytest.mark.parametrize("name", FALSE_GREENS)
def test_what_pytest_bdd_lets_pass_is_refused(pytester: pytest.Pytester, name: str) -> None:
    rule, text, steps = FALSE_GREENS[name]
    lay_out(pytester.path, text, steps)
    assert run(pytester).ret == pytest.ExitCode.OK
    _refused(pytester, rule)


def test_what_is_sound_is_let_pass(pytester: pytest.Pytester) -> None:
    lay_out(pytester.path, SOUND, "")
    assert lint_paths([pytester.path]).findings == ()
    run(pytester, "-p", "features.plugin").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "path",
    [
        "features/other.Feature",
        "features/.hidden/other.feature",
        "features/other.feature.txt",
        "features/other.features",
        "features/other.feature (1)",
        "features/other.gherkin",
    ],
)
def test_a_file_that_nobody_binds_is_refused(pytester: pytest.Pytester, path: str) -> None:
    lay_out(pytester.path, SOUND, "")
    other = pytester.path / path
    other.parent.mkdir(exist_ok=True)
    other.write_text(SOUND, encoding="utf-8")
    assert run(pytester).ret == pytest.ExitCode.OK
    _refused(pytester, "unbound-file")


def test_a_folder_called_as_a_file_and_a_link_that_leads_back_are_refused(pytester: pytest.Pytester) -> None:
    lay_out(pytester.path, SOUND, "")
    link = pytester.path / "features" / "again"
    link.symlink_to(".")
    assert [(item.rule, item.path) for item in lint_paths([pytester.path]).findings] == [("unreadable", link)]
    link.rename(pytester.path / "features" / "again.feature")
    _refused(pytester, "unreadable")


def test_a_scenario_that_no_decorator_names_is_refused(pytester: pytest.Pytester) -> None:
    text = feature(*scenario("Given a unit", "Then it is so"), *scenario("Given a unit", "Then it is so", name="Two"))
    lay_out(pytester.path, text, "", '@scenario("features/some.feature", "One")\ndef test_one():\n    pass\n')
    assert run(pytester).ret == pytest.ExitCode.OK
    _refused(pytester, "unbound-file")


def test_two_tests_of_one_function_name_leave_a_scenario_unbound(pytester: pytest.Pytester) -> None:
    text = feature(*scenario("Given a unit", "Then it is broken"), *scenario("Given a unit", "Then it is so", name="Two"))
    bind = "".join(f'@scenario("features/some.feature", "{name}")\ndef test_it():\n    pass\n' for name in ("One", "Two"))
    lay_out(pytester.path, text, then("assert False", "it is broken"), bind)
    assert run(pytester).ret == pytest.ExitCode.OK
    refused = run(pytester, "-p", "features.plugin")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    assert "no test executes the scenario 'One'" in refused.stderr.str()


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (SOUND.encode("utf-16"), "encoding"),
        (b"\xef\xbb\xbf" + SOUND.encode(), "encoding"),
        ("Feature: Ligação\n".encode("latin-1"), "encoding"),
        (b"", "empty-file"),
        (b"Feature: Some\n", "empty-file"),
        (b"Feature: Some\n  Background:\n    Given a unit\n", "empty-file"),
        (b"Feature: Some\n  Scenario: One\n    Given a unit\n    Then it is so\n    Nonsense\n", "not-gherkin"),
        (b"# language: xx\nFeature: Some\n", "not-gherkin"),
        (b"Feature: Some\n  Scenario: One\n    Given a unit\n      | a | b |\n      | 1 |\n    Then it is so\n", "not-gherkin"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(pytester: pytest.Pytester, data: bytes, rule: str) -> None:
    lay_out(pytester.path, SOUND, "")
    (pytester.path / "features" / "other.feature").write_bytes(data)
    assert rule in {finding.rule for finding in lint_paths([pytester.path]).findings}
    refused = run(pytester, "-p", "features.plugin")
    assert refused.ret not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


def test_the_lint_at_collection_can_be_turned_off(pytester: pytest.Pytester) -> None:
    lay_out(pytester.path, feature("Scenario: One"), "")
    assert run(pytester, "-p", "features.plugin", "-o", "golive_lint=false").ret == pytest.ExitCode.OK


def test_part_of_a_module_may_be_run_alone(pytester: pytest.Pytester) -> None:
    text = feature(*scenario("Given a unit", "Then it is so"), *scenario("Given a unit", "Then it is so", name="Two"))
    lay_out(pytester.path, text, "")
    run(pytester, "-p", "features.plugin", "test_some.py::test_one").assert_outcomes(passed=1)
    run(pytester, "-p", "features.plugin", "-k", "two").assert_outcomes(passed=1, deselected=1)


def test_a_step_may_take_the_place_of_a_wider_one(pytester: pytest.Pytester) -> None:
    lay_out(pytester.path, SOUND, "")
    pytester.makeconftest(STEPS)
    assert {finding.rule for finding in lint_paths([pytester.path]).findings} <= {"unused-step"}
    run(pytester, "-p", "features.plugin").assert_outcomes(passed=1)
