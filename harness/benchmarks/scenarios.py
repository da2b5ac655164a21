"""Scenarios by themselves: `python -m harness.benchmarks.scenarios [lint|overhead …]` prints medians of five beside their aims.

Each figure is CPU seconds of a process from start to end, imports included; the wall seconds of the same runs stand beside it,
because on a shared machine CPU alone can be compared. A run that is not counted goes before. A median above its aim ends the
script with status 1.

lint       `golive lint` of 100 feature files, 400 scenarios, half of them in Portuguese, with the library
overhead   300 scenarios of 6 steps in pytest: with our steps, plugin and lint, as a multiple of pytest-bdd alone; the least of
           seven runs each, which alternate: what others do on the machine only ever adds
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

RUNS = 5
PAIRS = 7
LINT_AIM_S = 0.5
OVERHEAD_AIM = 1.10
_ROOT = Path(__file__).resolve().parents[2]

_ENGLISH = """Feature: File {number}

  Background:
    Given a unit that is connected to WhatsApp
    And a customer who has never written
"""
_PORTUGUESE = """# language: pt
Funcionalidade: Arquivo {number}

  Contexto:
    Dado uma unidade conectada ao WhatsApp
    E um cliente que nunca escreveu
"""
_ENGLISH_SCENARIO = """
  @id:bench-{number}-{row} @core
  Scenario: Scenario {row}
    When the provider delivers one message of the customer {row} times at once
    Then every delivery was accepted
    And the message is stored once
    When {row} minutes pass
    And the same message arrives again with another text and time
    Then the message is stored once
    And the stored text is that of the first delivery
"""
_PORTUGUESE_SCENARIO = """
  @id:bench-{number}-{row} @core
  Cenário: Cenário {row}
    Quando o provedor entrega uma mensagem do cliente {row} vezes ao mesmo tempo
    Então todas as entregas foram aceitas
    E a mensagem é guardada uma só vez
    Quando passam {row} minutos
    E a mesma mensagem chega de novo com outro texto e outra hora
    Então a mensagem é guardada uma só vez
    E o texto guardado é o da primeira entrega
"""
_STEPS = """
{imports}
from pytest_bdd import scenarios

scenarios("features")

@given("a shop", target_fixture="shop")
def _():
    return []

@given({stock})
def _({first}shop):
    shop.append({name})

@when({buy})
def _({second}shop):
    shop.append({name2})

@when("nothing else happens")
def _():
    pass

@then({holds})
def _({third}shop):
    assert len(shop) == {name3}

@then("it is a list")
def _(shop):
    assert isinstance(shop, list)
"""
_PLAIN = {
    "imports": "from pytest_bdd import given, parsers, then, when",
    "stock": "parsers.parse('the shop has {number:d} pieces')",
    "buy": "parsers.parse('somebody buys \"{what}\"')",
    "holds": "parsers.parse('it holds {number:d} things')",
    "first": "number, ",
    "name": "number",
    "second": "what, ",
    "name2": "what",
    "third": "number, ",
    "name3": "number",
}
_OURS = _PLAIN | {
    "imports": "from features.steps import given, then, when",
    "stock": '"the shop has {int} pieces"',
    "buy": '"somebody buys {string}"',
    "holds": '"it holds {int} things"',
}
_SHOP = """
  Scenario: Scenario {row}
    Given a shop
    And the shop has {row} pieces
    When somebody buys "number {row}"
    And nothing else happens
    Then it holds 2 things
    And it is a list
"""


def lint() -> bool:
    """Whether 100 files are judged in time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(100):
            head, body = (_ENGLISH, _ENGLISH_SCENARIO) if number % 2 else (_PORTUGUESE, _PORTUGUESE_SCENARIO)
            text = head.format(number=number) + "".join(body.format(number=number, row=row) for row in range(2, 6))
            (folder / f"file_{number}.feature").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "harness.cli", "lint", name]
        _process(command, folder)
        runs = [_process(command, folder) for _ in range(RUNS)]
    cpu, wall = (statistics.median(values) for values in zip(*runs, strict=True))
    return _say("lint of 100 files", cpu, "s CPU", f"{wall:.2f} s wall", LINT_AIM_S)


def overhead() -> bool:
    """Whether a run with our steps and lint costs no more than its share over pytest-bdd alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = _project(folder / "plain", _PLAIN, "-p", "no:features.plugin")
        ours = _project(folder / "ours", _OURS, "-p", "features.plugin")
        _process(*plain)
        _process(*ours)
        pairs = [(_process(*ours)[0], _process(*plain)[0]) for _ in range(PAIRS)]
    mine, theirs = (min(runs) for runs in zip(*pairs, strict=True))
    return _say("overhead over pytest-bdd", mine / theirs, "times", f"{mine:.2f} against {theirs:.2f} s CPU", OVERHEAD_AIM)


def _project(folder: Path, words: dict[str, str], *options: str) -> tuple[list[str], Path]:
    (folder / "features").mkdir(parents=True)
    (folder / "test_shop.py").write_text(_STEPS.format(**words), encoding="utf-8")
    for number in range(10):
        text = f"Feature: Shop {number}\n" + "".join(_SHOP.format(row=number * 30 + row) for row in range(30))
        (folder / "features" / f"shop_{number}.feature").write_text(text, encoding="utf-8")
    loaded = ("--disable-plugin-autoload", "-p", "pytest_bdd.plugin", *options, "-p", "no:cacheprovider", "-q")
    return [sys.executable, "-m", "pytest", *loaded], folder


def _process(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """CPU and wall seconds of a process. Raises CalledProcessError when it does not end well."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - began


def _say(what: str, figure: float, unit: str, beside: str, aim: float) -> bool:
    met = figure <= aim
    print(f"{what}: {figure:.2f} {unit} ({beside}), aim {aim:g}: {'met' if met else 'MISSED'}", flush=True)  # noqa: T201
    return met


BENCHMARKS: dict[str, Callable[[], bool]] = {"lint": lint, "overhead": overhead}


def main(names: Sequence[str]) -> int:
    """Runs the named benchmarks, all of them without names; 1 when one missed its aim, 2 for a name that is none."""
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        print(f"{', '.join(unknown)}: no such benchmark; there are {', '.join(BENCHMARKS)}", file=sys.stderr)  # noqa: T201
        return 2
    met = [BENCHMARKS[name]() for name in names or BENCHMARKS]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
