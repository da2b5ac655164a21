"""The handler of inbound messages imports.

Why: it stores what customers write; when it cannot be imported, or does something by being imported, the first webhook shows
it.
Fix: make `message-handler` importable under the name in the reason: move what connects, starts or writes into the application's
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

ROLE = "message-handler"


@check(severity=Severity.MAJOR, order=42, tags={"seed"})
def run(modules: Modules) -> Iterator[Evidence]:
    yield from judge_import(modules, ROLE)


break_import(run, ROLE)


@run.breaks
def writes_a_file(tree: SourceTree) -> None:
    tree.append(ROLE, "import tempfile; _left_open = tempfile.TemporaryFile()")
