"""The campaign service imports.

Why: it is imported late, by the first dispatch, so that a broken import passes every other test.
Fix: make `campaign-service` importable under the name in the reason: move what connects, starts or writes into the
application's start.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.checks.imports import break_import
from gate.facts.imports import judge_import
from gate.facts.modules import Modules
from gate.facts.tree import SourceTree
from gate.model import Evidence, Severity
from gate.registry import check

ROLE = "campaign-service"


@check(severity=Severity.MAJOR, order=44, tags={"seed"})
def run(modules: Modules) -> Iterator[Evidence]:
    yield from judge_import(modules, ROLE)


break_import(run, ROLE)


@run.breaks
def starts_a_process(tree: SourceTree) -> None:
    tree.append(ROLE, "import subprocess; subprocess.run(['true'], check=True)")
