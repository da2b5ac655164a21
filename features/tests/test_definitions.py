"""Steps as they are written, run by pytest-bdd in a process of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from features.definitions import given, then
from features.expressions import StepError

pytest_plugins = ["pytester"]

HEAD = """
import asyncio
from features.steps import given, when, then, parameter_type
import pytest
from pytest_bdd import scenarios

scenarios("some.feature")
seen = []

@pytest.fixture
def unit():
    return "the unit"
"""


@pytest.fixture
def attempt(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))

    def attempt(steps: str, *lines: str) -> pytest.RunResult:
        text = "\n".join(f"    {line}" for line in lines)
        Path("some.feature").write_text(f"Feature: Some\n  Scenario: One\n{text}\n", encoding="utf-8")
        Path("test_some.py").write_text(HEAD + steps, encoding="utf-8")
        return pytester.runpytest_subprocess(
            *("-c", os.devnull, "--rootdir", str(pytester.path), "-W", "error", "-p", "no:cacheprovider"),
            *("--disable-plugin-autoload", "-p", "pytest_bdd.plugin", "-q"),
        )

    return attempt


def test_values_come_first_and_fixtures_follow_in_both_languages(attempt) -> None:  # type: ignore[no-untyped-def]
    steps = """
@when("the phone {phone} receives {string} within {duration}", "o telefone {telefone} recebe {string} em {duração}")
def _(phone, text, within_s, unit):
    seen.append((phone, text, within_s, unit))

@then("so it was")
def _():
    assert seen == [("5511987654321", "Oi", 60.0, "the unit")] * 2
"""
    result = attempt(
        steps,
        'When the phone (11) 98765-4321 receives "Oi" within 1 minute',
        'When o telefone (11) 98765-4321 recebe "Oi" em 60 segundos',
        "Then so it was",
    )
    result.assert_outcomes(passed=1)


def test_an_async_step_is_awaited_and_its_value_becomes_the_fixture(attempt) -> None:  # type: ignore[no-untyped-def]
    steps = """
@given("a queue", target_fixture="queue")
async def _():
    return asyncio.Queue()

@when("somebody speaks")
async def _(queue):
    await asyncio.sleep(0)
    await queue.put("hello")

@then("it is heard")
async def _(queue):
    assert await asyncio.wait_for(queue.get(), 5) == "hello"

@then("it is not true")
async def _():
    raise AssertionError("it was awaited")
"""
    attempt(steps, "Given a queue", "When somebody speaks", "Then it is heard").assert_outcomes(passed=1)
    result = attempt(steps, "Given a queue", "Then it is not true")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*it was awaited*"])


@pytest.mark.parametrize(("says", "passed"), [("False", 0), ("True", 1), ("None", 1), ("0 == 1", 0), ("print", 0), ("0", 0)])
def test_a_then_that_returns_anything_but_true_fails(attempt, says: str, passed: int) -> None:  # type: ignore[no-untyped-def]
    for prefix in ("", "async "):
        result = attempt(f'@then("it is so")\n{prefix}def _(): return {says}\n', "Then it is so")
        result.assert_outcomes(passed=passed, failed=1 - passed)


def test_a_step_that_yields_cleans_up_after_the_scenario(attempt) -> None:  # type: ignore[no-untyped-def]
    steps = """
@given("a thing", target_fixture="thing")
def _():
    yield "thing"
    print("CLEANED", seen)

@then("it is used")
def _(thing):
    seen.append(thing)
"""
    result = attempt(steps, "Given a thing", "Then it is used")
    result.assert_outcomes(passed=1)


def test_tables_and_texts_are_typed(attempt) -> None:  # type: ignore[no-untyped-def]
    steps = """
@given("these customers")
def _(datatable):
    seen.extend(datatable.records(name="", phone="phone"))

@then("the text is")
def _(docstring):
    assert docstring == "two\\nlines"
    assert seen == [{"name": "Ana", "phone": "5511987654321"}]
"""
    result = attempt(
        steps,
        "Given these customers",
        "  | name | phone |",
        "  | Ana | 11 98765-4321 |",
        "Then the text is",
        '  """',
        "  two",
        "  lines",
        '  """',
    )
    result.assert_outcomes(passed=1)


def test_a_project_may_add_kinds_of_value(attempt) -> None:  # type: ignore[no-untyped-def]
    steps = """
parameter_type(name="colour", regexp="red|green", transform=str.upper)

@then("the light is {colour}")
def _(colour):
    assert colour == "RED"
"""
    attempt(steps, "Then the light is red").assert_outcomes(passed=1)


def test_a_step_that_could_not_work_is_refused_where_it_is_written() -> None:
    with pytest.raises(StepError, match="has 1 values and the function takes 0"):
        then("the answer is {int}")(lambda: None)
    with pytest.raises(StepError, match="unlike many values"):
        then("the answer is {int}", "a resposta é")(lambda status: None)
    with pytest.raises(StepError, match="give it the step's text"):
        then("")(lambda: None)
    with pytest.raises(StepError, match="cannot say no"):

        @then("it yields")
        def yields():  # type: ignore[no-untyped-def]
            yield

    with pytest.raises(StepError, match="not supported"):

        @given("it yields, async")
        async def yields_async():  # type: ignore[no-untyped-def]
            yield
