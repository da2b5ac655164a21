"""The messages route imports, and is mounted.

Why: agents send through it; a route that imports and is not mounted is found out by the first of them.
Fix: mount the router in the application, and make `messages-route` importable under the name in the reason: move what connects,
starts or writes into the application's start.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.checks.imports import break_route
from gate.facts.imports import judge_route
from gate.facts.modules import Modules
from gate.facts.tree import SourceTree
from gate.model import Evidence, Severity
from gate.registry import check

ROLE = "messages-route"


@check(severity=Severity.CRITICAL, order=41, tags={"seed"})
def run(modules: Modules) -> Iterator[Evidence]:
    yield from judge_route(modules, ROLE)


break_route(run, ROLE)


@run.breaks
def starts_a_thread(tree: SourceTree) -> None:
    tree.append(ROLE, "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()")
