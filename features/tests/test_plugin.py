"""What the plugin makes of a scenario: never a pass for anything that was not looked at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from features.lint import lint_paths
from gate import journal as journals
from gate.journal import Journal, Recording
from gate.model import Outcome, Status

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.process

PASSWORD = "correct-horse-battery"
BOUND = Path(__file__).parents[1] / "test_scenarios.py"

STEPS = """
import pytest
from pytest_bdd import given, parsers, then
from features.expectations import Mismatch, same
from gate.errors import Inconclusive, NotApplicable

@given("a backend")
def _(): pass

@given("somebody who is signed in")
def _(super_admin): pass

@then("it works")
def _(evidence): evidence("looked at", same("times", expected=3, seen=len("abc")) or 3, "times")

@then(parsers.parse("it works for {name}"))
def _(evidence, name):
    assert name
    evidence("looked at", name)

@then("it looks fine")
def _(): assert __name__

@then("it answers otherwise")
def _(): raise Mismatch("GET /status of 5511987654321", expected=200, seen=500, request_id="r-1")

@then("it cannot be seen")
def _(): raise Inconclusive("no traffic")

@then("it does not apply")
def _(): raise NotApplicable("no campaigns here")

@then("it asks for what is not there")
def _(no_such_fixture): assert __name__

@then("it forgets to await")
def _(evidence):
    evidence("looked at", 1)
    getattr(Later(), "look")()

class Later:
    async def look(self):
        raise AssertionError("it was awaited")

@then("it is skipped")
def _(): pytest.skip("not today")

@then("the step is broken")
def _(evidence): evidence("looked at", 1); raise KeyError("missing")

@then("it works until the end")
def _(evidence, breaks_at_the_end):
    assert __name__
    evidence("looked at", 1)

@pytest.fixture
def breaks_at_the_end():
    yield
    raise RuntimeError("cannot clean up")
"""


def scenario(slug: str, *steps: str, tags: str = "@seed") -> str:
    lines = "\n".join(f"    {step}" for step in ("Given a backend", *steps))
    return f"\n  @id:{slug} {tags}\n  Scenario: The scenario {slug}\n{lines}\n"


class Bench:
    """Runs feature files with the steps above, in a process of their own."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pytester = pytester
        self.folder = pytester.mkdir("scenarios")
        pytester.makepyfile(bench_steps=STEPS)
        monkeypatch.setenv("GOLIVE_ADMIN_EMAIL", "admin@example.com")
        monkeypatch.setenv("GOLIVE_ADMIN_PASSWORD", PASSWORD)

    def write(self, *scenarios: str, path: str = "some.feature", feature: str = "Feature: Some") -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(feature + "\n" + "".join(scenarios))

    def run(self, *more: str, target: str = "http://127.0.0.1:9") -> tuple[pytest.RunResult, Recording]:
        path = self._pytester.path / "journal.jsonl"
        path.unlink(missing_ok=True)
        Journal.create(path, release={"name": "bench"})
        result = self._pytester.runpytest_subprocess(
            *(str(BOUND), "-c", os.devnull, "--rootdir", str(self.folder), "-p", "bench_steps", "-W", "error"),
            *("--disable-plugin-autoload", "-p", "pytest_bdd.plugin", "-p", "features.plugin", "-p", "no:cacheprovider"),
            *("--golive-target", target, "--golive-journal", str(path), "--golive-features", str(self.folder)),
            *more,
        )
        return result, journals.read(path)


@pytest.fixture(autouse=True)
def _packages_are_found(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(BOUND.parents[1]), str(pytester.path))))


@pytest.fixture
def bench(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(pytester, monkeypatch)


def _by_id(recording: Recording) -> dict[str, Outcome]:
    return {outcome.id: outcome for outcome in recording.outcomes}


def test_each_way_to_end_has_its_status(bench: Bench) -> None:
    bench.write(
        scenario("good", "Then it works", tags="@critical"),
        scenario("silent", "Then it looks fine"),
        scenario("wrong", "Then it answers otherwise", "And it works"),
        scenario("unseen", "Then it cannot be seen"),
        scenario("elsewhere", "Then it does not apply"),
        scenario("skipped", "Then it is skipped"),
        scenario("broken", "Then the step is broken"),
        scenario("asking", "Then it asks for what is not there"),
        scenario("forgetful", "Then it forgets to await", "And it works"),
        scenario("unclean", "Then it works until the end"),
        scenario("unreachable", "And somebody who is signed in", "Then it works"),
    )
    result, recording = bench.run()
    found = _by_id(recording)
    assert {item.removeprefix("scenario."): str(outcome.status) for item, outcome in found.items()} == {
        "good": "pass",
        "silent": "error",
        "wrong": "fail",
        "unseen": "inconclusive",
        "elsewhere": "skip",
        "skipped": "inconclusive",
        "broken": "error",
        "asking": "error",
        "forgetful": "error",
        "unclean": "error",
        "unreachable": "error",
    }
    reasons = {item.removeprefix("scenario."): outcome.reason for item, outcome in found.items()}
    assert reasons["wrong"] == "Then it answers otherwise: GET /status of ****4321: expected 200, saw 500 (request r-1)"
    assert "none gathered evidence" in reasons["silent"]
    assert reasons["skipped"] == "Then it is skipped: skipped (not today)"
    assert "KeyError" in reasons["broken"]
    assert "asks for 'no_such_fixture': no value of its text, no fixture" in reasons["asking"]
    assert "Later.look was called and not awaited" in reasons["forgetful"]
    assert reasons["unclean"].startswith("after the last step: the step itself broke: RuntimeError: cannot clean up (bench_steps")
    assert "cannot be reached" in reasons["unreachable"]
    assert [str(item) for item in found["scenario.good"].evidence] == ["looked at: 3 times"]
    assert found["scenario.good"].title == "The scenario good"
    assert str(found["scenario.good"].severity) == "critical"
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "5511987654321" not in result.stdout.str()
    assert PASSWORD not in result.stdout.str()


def test_the_steps_of_every_scenario_are_recorded(bench: Bench) -> None:
    bench.write(scenario("wrong", "Then it answers otherwise", "And it works"))
    _, recording = bench.run()
    [given, then, never] = recording.facts["scenario.steps"]["scenario.wrong"]
    assert (given["keyword"], given["text"], given["status"]) == ("Given", "a backend", "passed")
    assert (then["status"], never["status"]) == ("failed", "not run")
    assert then["duration_s"] > 0
    assert never["duration_s"] == 0


def test_each_row_of_an_outline_answers_for_itself(bench: Bench) -> None:
    outline = """
  @id:rows @seed
  Scenario Outline: It works for many
    Given a backend
    Then it works for <name>

    Examples:
      | name |
      | Ana  |
      | Bob  |
"""
    bench.write(outline)
    result, recording = bench.run()
    assert [str(_by_id(recording)[f"scenario.rows-{row}"].evidence[0].value) for row in (1, 2)] == ["Ana", "Bob"]
    assert result.ret == 0


def test_a_scenario_is_selected_by_its_tags(bench: Bench) -> None:
    bench.write(scenario("one", "Then it works", tags="@seed @smoke"), scenario("two", "Then it works"))
    result, recording = bench.run("--golive-tag", "smoke")
    assert set(_by_id(recording)) == {"scenario.one"}
    assert result.ret == 0


def test_an_unknown_tag_is_refused_with_the_nearest_one(bench: Bench) -> None:
    bench.write(scenario("one", "Then it works"))
    result, recording = bench.run("--golive-tag", "sed")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "did you mean @seed?" in result.stderr.str()
    assert recording.outcomes == ()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (scenario("one", "Then nobody wrote this step"), "nobody defined it"),
        (scenario("one", "Then it works", tags="@sed"), "did you mean @seed?"),
        (scenario("one"), "has no Then"),
        (scenario("one", "Then it works") * 2, "is also the id of"),
        ("\n  Scenario: Nameless\n    Then it works\n", "has 0 @id: tags"),
        ("\n  @id:Big\n  Scenario: Big\n    Then it works\n", "is no id"),
        ("\n  @id:a\n  Scenario: Same\n    Then it works\n  @id:b\n  Scenario: Same\n    Then it works\n", "names are unique"),
        ("", "there is no scenario at all"),
    ],
)
def test_an_unsound_feature_file_runs_nothing(bench: Bench, written: str, said: str) -> None:
    bench.write(written)
    result, recording = bench.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in result.stderr.str() + result.stdout.str()
    assert recording.outcomes == ()


def test_an_unsound_feature_file_is_named_by_workers_as_well(bench: Bench) -> None:
    bench.write(scenario("one"))
    result, recording = bench.run("-p", "xdist", "-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "has no Then" in result.stdout.str()
    assert recording.outcomes == ()


@pytest.mark.parametrize("path", [".hidden/stray.feature", "stray.Feature"])
def test_a_feature_file_that_no_test_binds_is_an_error_that_names_it(bench: Bench, path: str) -> None:
    bench.write(scenario("one", "Then it works"))
    bench.write(scenario("stray", "Then it works"), path=path)
    result, recording = bench.run()
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    assert Path(path).name in result.stdout.str() + result.stderr.str()
    assert recording.outcomes == ()


def test_credentials_come_from_the_environment_and_their_absence_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write(scenario("one", "Then it works"))
    monkeypatch.delenv("GOLIVE_ADMIN_PASSWORD")
    result, _ = bench.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "GOLIVE_ADMIN_PASSWORD" in result.stderr.str()


def test_without_a_target_nothing_is_collected_and_no_fixture_exists(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_something(tenants): pass")
    result = pytester.runpytest_subprocess(
        *("-p", "features.plugin", "-c", os.devnull, "--rootdir", str(BOUND.parents[1]), "--noconftest"),
        *(str(BOUND.parent), str(pytester.path), "--ignore", str(BOUND.parent / "tests")),
    )
    assert "collected 1 item" in result.stdout.str()
    assert "fixture 'tenants' not found" in result.stdout.str()


def test_scenarios_that_are_asked_for_by_name_say_what_they_need(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess(str(BOUND), "-p", "features.plugin")
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    assert "give --golive-target URL" in result.stdout.str()


def test_the_plugin_may_be_named_twice(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["features.plugin"]')
    pytester.makepyfile("def test_something(): pass")
    result = pytester.runpytest_subprocess("-p", "features.plugin")
    assert result.ret == 0


@pytest.mark.parametrize("place", ["steps/own.py", "area/steps/own.py", "own_steps.py", "conftest.py", "steps/deep/own.py"])
def test_steps_are_loaded_from_wherever_the_lint_finds_them(bench: Bench, place: str) -> None:
    path = bench.folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name("beside_it.py").write_text("EXPECTED = 3\n")
    path.write_text(
        "from features.steps import then\nfrom beside_it import EXPECTED\n\n"
        "@then('three are {int}')\ndef _(number, evidence):\n    evidence('number', number)\n    assert number == EXPECTED\n"
    )
    bench.write(scenario("good", "Then three are 3"), scenario("bad", "Then three are 4"))
    assert {item.rule for item in lint_paths([bench.folder]).findings} <= {"undefined-step"}
    _, recording = bench.run()
    assert {name: outcome.status for name, outcome in _by_id(recording).items()} == {
        "scenario.good": Status.PASS,
        "scenario.bad": Status.FAIL,
    }


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("raise SystemExit(0)", "own.py: its steps cannot be loaded: SystemExit: 0"),
        ("import nothing_of_this_name", "own.py: its steps cannot be loaded: ModuleNotFoundError"),
        ("from features.steps import then\ndef broken(:", "own.py:2: no Python"),
    ],
)
def test_steps_that_cannot_be_loaded_are_named(bench: Bench, steps: str, said: str) -> None:
    (bench.folder / "steps").mkdir()
    (bench.folder / "steps" / "own.py").write_text(steps)
    bench.write(scenario("good", "Then it works"))
    result, recording = bench.run()
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    assert said in result.stderr.str()
    assert recording.outcomes == ()


def test_workers_share_the_scenarios_and_their_answers_meet_in_one_journal(bench: Bench) -> None:
    bench.write(
        scenario("one", "Then it works"), scenario("two", "Then it works"), scenario("wrong", "Then it answers otherwise")
    )
    result, recording = bench.run("-p", "xdist", "-n", "2")
    statuses = {item: outcome.status for item, outcome in _by_id(recording).items()}
    assert statuses == {"scenario.one": Status.PASS, "scenario.two": Status.PASS, "scenario.wrong": Status.FAIL}
    assert set(recording.facts["scenario.steps"]) == set(statuses)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
