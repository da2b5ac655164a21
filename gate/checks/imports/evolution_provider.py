"""The Evolution provider imports.

Why: it is the only way to WhatsApp; one that connects while it is imported takes the start of the application down with the
provider.
Fix: make `evolution-provider` importable under the name in the reason: move what connects, starts or writes into the
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

ROLE = "evolution-provider"


@check(severity=Severity.CRITICAL, order=45, tags={"seed"})
def run(modules: Modules) -> Iterator[Evidence]:
    yield from judge_import(modules, ROLE)


break_import(run, ROLE)


@run.breaks
def opens_a_database(tree: SourceTree) -> None:
    tree.append(ROLE, "import sqlite3; _left_open = sqlite3.connect(':memory:')")
