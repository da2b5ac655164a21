"""Scenarios that nothing runs are found by asking pytest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gate.errors import GateError
from gate.facts import features
from gate.facts.expected import load
from gate.facts.subject import Subject

pytestmark = pytest.mark.process

FEATURE = '''
Funcionalidade: pedidos

  Cenário: Um pedido é pago
    Dado um texto
      """
      Scenario: not one, because it is quoted
      """

  Esquema do Cenário: Outro
'''


def test_scenarios_without_tests_are_unbound(tmp_path: Path) -> None:
    (tmp_path / "a.feature").write_text(FEATURE, encoding="utf-8")
    found = features.read(Subject(schema=load("seed"), features=tmp_path))
    assert [(item.name, item.line) for item in found.written] == [("Um pedido é pago", 4), ("Outro", 10)]
    assert found.unbound == found.written
    assert found.collected == 0


def test_tests_that_cannot_be_collected_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.feature").write_text(FEATURE, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_broken.py").write_text("import nothing_of_that_name\n")
    subject = Subject(schema=load("seed"), features=tmp_path, scenario_tests=(str(tmp_path),),
                      scenario_environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})  # fmt: skip
    with pytest.raises(GateError, match="pytest cannot collect the scenarios"):
        features.read(subject)
    with pytest.raises(GateError, match="no folder with scenarios was given"):
        features.read(replace(subject, features=None))
