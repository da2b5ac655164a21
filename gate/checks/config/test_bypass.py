"""No test bypass is on, and none was left in the code.

Why: a header or a switch that spares the tests their login spares everybody theirs, once it is released.
Fix: unset ENABLE_TEST_BYPASS, and take out what the reason names; tests log in as everybody does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gate.errors import Failure, Inconclusive
from gate.facts.code import Code
from gate.facts.environment import Environment
from gate.facts.tree import SourceTree
from gate.facts.worlds import Deployment
from gate.model import Evidence, Severity
from gate.registry import check

_NAME = re.compile(
    r"BYPASS|(?:SKIP|DISABLE|NO)_(?:AUTH|LOGIN|SIGNATURE|VERIFICATION)|CHAFF|(?:^|_)TEST_?MODE$|^TESTING$"
    r"|^USE_(?:MOCK|FAKE|STUB|IN_?MEMORY)|^(?:APP_|FLASK_|DJANGO_)?DEBUG$",
    re.IGNORECASE,
)
_OFF = {"", "0", "false", "no", "off"}


@check(severity=Severity.CRITICAL, order=71)
def run(environment: Environment, code: Code) -> Iterator[Evidence]:
    unseen = sorted(name for name in environment.elsewhere if _NAME.search(name))
    on = [name for name, value in sorted(environment.values.items()) if _NAME.search(name) and value.strip().lower() not in _OFF]
    if on:
        raise Failure(f"{', '.join(on)} is on, expected unset or false")
    if code.bypasses:
        more = f"; and {len(code.bypasses) - 3} more" if len(code.bypasses) > 3 else ""
        raise Failure("; ".join(str(bypass) for bypass in code.bypasses[:3]) + more)
    if unseen:
        raise Inconclusive(f"the values of {', '.join(unseen)} are set elsewhere and were not seen; give the file with them")
    yield Evidence(label="settings looked at", value=len(environment.values))
    yield Evidence(label="source files looked through", value=code.files)
    yield Evidence(label="lines", value=code.lines)


@run.breaks
def switched_on(deployment: Deployment) -> None:
    deployment.values["ENABLE_TEST_BYPASS"] = "true"


@run.breaks
def a_header_in_the_code(tree: SourceTree) -> None:
    tree.append("messages-route", "def _is_a_test(request):\n    return request.headers.get('x-test-bypass') == '1'")


@run.breaks
def a_test_mode_in_the_code(tree: SourceTree) -> None:
    tree.append("evolution-provider", "import sys\n\n\nif 'pytest' in sys.modules:\n    SENDS = False")
