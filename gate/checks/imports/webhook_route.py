"""The webhook route imports, and is mounted.

Why: it is the one way in for everything that customers write; a route that imports and is not mounted answers 404 to Evolution,
for hours.
Fix: mount the router in the application, and make `webhook-route` importable under the name in the reason: move what connects,
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

ROLE = "webhook-route"


@check(severity=Severity.CRITICAL, order=40, tags={"seed"})
def run(modules: Modules) -> Iterator[Evidence]:
    yield from judge_route(modules, ROLE)


break_route(run, ROLE)


@run.breaks
def opens_a_socket(tree: SourceTree) -> None:
    tree.append(ROLE, "import socket; _left_open = socket.create_server(('127.0.0.1', 0))")
