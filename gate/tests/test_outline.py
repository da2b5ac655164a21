"""The outline of checks is what loading them finds, and what it cannot read plainly is loaded."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gate.errors import RegistryError
from gate.model import Severity
from gate.outline import outline
from gate.registry import Kind, registry

DOCUMENTED = '''"""A thing.

Why: reasons.
Fix: mend it.
"""

from gate.model import Evidence, Severity
from gate.registry import check

'''


def test_the_outline_of_the_shipped_checks_is_what_loading_them_finds() -> None:
    def bare(items: object) -> list[object]:
        return [replace(item, function=repr, saboteurs=[], paragraphs=dict(item.paragraphs)) for item in items]  # type: ignore[attr-defined]

    loaded = [item for item in registry(Kind.CHECK).load("gate.checks") if item.module.startswith("gate.checks.")]
    assert bare(outline("gate.checks")) == bare(loaded)


def package(directory: Path, monkeypatch: pytest.MonkeyPatch, name: str, **modules: str) -> str:
    folder = directory / name / "checks" / "shop"
    folder.mkdir(parents=True)
    for where in (folder.parent.parent, folder.parent, folder):
        (where / "__init__.py").touch()
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(directory))
    return f"{name}.checks"


def test_a_decorator_that_computes_something_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "def run(catalog):\n    yield Evidence(label='a', value=1)\n"
    text = f"{DOCUMENTED}ORDER = 3 + 4\n\n\n@check(order=ORDER, severity=Severity.MINOR)\n{body}"
    found = list(outline(package(tmp_path, monkeypatch, "outlined_a", computed=text)))
    assert [(item.id, item.order, item.severity, item.facts) for item in found] == [
        ("shop.computed", 7, Severity.MINOR, ("catalog",))
    ]


def test_a_check_that_was_only_outlined_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = DOCUMENTED + "@check(tags={'shop'})\ndef run(catalog):\n    yield Evidence(label='a', value=1)\n"
    (item,) = outline(package(tmp_path, monkeypatch, "outlined_b", plain=text))
    assert item.tags == {"shop"}
    with pytest.raises(RegistryError, match="only outlined"):
        item(4)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (DOCUMENTED + "def run():\n    pass\n", "holds no @check"),
        ("x = (", "cannot be read"),
        ('"""Undocumented."""\n@check()\ndef run():\n    pass\n', "lacks Why:, Fix:"),
    ],
)
def test_a_file_that_is_no_check_is_refused(text: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RegistryError, match=complaint):
        outline(package(tmp_path, monkeypatch, f"outlined_{abs(hash(text))}", broken=text))


@pytest.mark.process
def test_listing_the_checks_imports_none_of_them() -> None:
    code = (
        "import sys\nfrom harness.cli import app\n"
        "app.main(['gate', 'list'], standalone_mode=False)\n"
        "heavy = ('gate.facts.', 'gate.checks.', 'sqlalchemy', 'psycopg', 'httpx')\n"
        "print(sorted(name for name in sys.modules if name.startswith(heavy)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
