"""Nothing that was put in to look for a fault is released.

Why: a debugger that waits for its person stops the service; a debug mode shows the inside to everybody; an unverified certificate
lets anybody read along.
Fix: take out what the reason names; what must differ from place to place comes from the settings.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.facts.left_in_code import LeftInCode
from gate.facts.tree import SourceTree
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.MAJOR, order=49)
def run(left_in_code: LeftInCode) -> Iterator[Evidence]:
    found = left_in_code.debugging
    if found:
        raise Failure("; ".join(map(str, found[:3])) + (f"; and {len(found) - 3} more" if len(found) > 3 else ""))
    yield Evidence(label="source files looked through", value=left_in_code.files)


@run.breaks
def a_breakpoint(tree: SourceTree) -> None:
    tree.append("webhook-helper", "def _look():\n    breakpoint()")


@run.breaks
def served_in_debug_mode(tree: SourceTree) -> None:
    tree.append("messages-route", "def _served(FastAPI):\n    return FastAPI(debug=True)")


@run.breaks
def certificates_not_verified(tree: SourceTree) -> None:
    tree.append("evolution-provider", "def _client(httpx):\n    return httpx.Client(verify=False)")
