"""The reader of webhook bodies imports.

Why: every event passes through it; an import that only works in a developer's folder breaks all of them at once.
Fix: make `webhook-helper` importable under the name in the reason: move what connects, starts or writes into the application's
start.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.checks.imports import break_import
from gate.facts.imports import judge_import
from gate.facts.modules import Modules
from gate.facts.tree import SourceTree
from gate.model import Evidence, Severity
from gate.registry import check

ROLE = "webhook-helper"


@check(severity=Severity.MAJOR, order=43, tags={"seed"})
def run(modules: Modules) -> Iterator[Evidence]:
    yield from judge_import(modules, ROLE)


break_import(run, ROLE)


@run.breaks
def changes_the_environment(tree: SourceTree) -> None:
    tree.append(ROLE, "import os; os.environ['TZ'] = 'UTC'")
