"""Checks that a release brings along: found by path, run like the shipped ones, and never able to take the place of one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate import own
from gate.errors import RegistryError, UsageError
from gate.model import Status
from gate.registry import Kind, Registry, registry
from gate.runner import Facts, run

CHECK = '''"""Nobody owes anything.

Why: debts grow.
Fix: pay them.
"""
from gate.errors import Failure
from gate.model import Evidence
from gate.registry import check


@check()
def run(subject):
    if subject:
        raise Failure("somebody owes")
    yield Evidence(label="debts", value=0)
'''


@pytest.fixture
def checks() -> Iterator[Registry]:
    """The one registry, as it was afterwards."""
    found = registry(Kind.CHECK).load("gate.checks")
    kept = dict(found._items)
    yield found
    found._items.clear()
    found._items.update(kept)
    for name in [name for name in sys.modules if name.startswith("golive_own.")]:
        del sys.modules[name]


def test_a_file_and_a_folder_are_found_and_run(tmp_path: Path, checks: Registry) -> None:
    (tmp_path / "billing").mkdir()
    (tmp_path / "billing" / "no_debts.py").write_text(CHECK)
    (tmp_path / "plain.py").write_text(CHECK)
    own.load(checks, [tmp_path])
    own.load(checks, [tmp_path])
    billing, plain = checks.get("billing.no-debts"), checks.get("own.plain")
    assert plain.title == "Nobody owes anything."
    assert [outcome.status for outcome in run([billing, plain], Facts({"subject": lambda: True}))] == [Status.FAIL] * 2
    assert [outcome.status for outcome in run([billing], Facts({"subject": lambda: False}))] == [Status.PASS]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("broken.py", "def (", "SyntaxError"),
        ("leaves.py", "raise SystemExit(0)", "SystemExit: 0"),
        ("empty.py", "", "holds no @check"),
        ("mute.py", CHECK.replace("Fix:", "Mend:"), "lacks Fix:"),
        ("Loud.py", CHECK, "in lower case"),
    ],
)
def test_a_file_that_is_no_check_is_one_line(tmp_path: Path, checks: Registry, name: str, text: str, complaint: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises((RegistryError, UsageError)) as refused:
        own.load(checks, [tmp_path / name])
    assert complaint in str(refused.value)


def test_none_that_is_shipped_can_be_replaced(tmp_path: Path, checks: Registry) -> None:
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "not_empty.py").write_text(CHECK)
    with pytest.raises(RegistryError, match="none may be replaced"):
        own.load(checks, [tmp_path])


def test_a_folder_without_a_check_and_a_path_to_nowhere_are_refused(tmp_path: Path, checks: Registry) -> None:
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(UsageError, match="holds no check|neither a file nor a folder"):
            own.load(checks, [path])
