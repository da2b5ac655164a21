"""The code takes the database that it was given, or none.

Why: a test mode, a default or an error that goes to an embedded database in silence loses every message, and looks green.
Fix: let the start fail with one clear line where no database is given or it does not answer.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.facts.left_in_code import LeftInCode
from gate.facts.tree import SourceTree
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=50)
def run(left_in_code: LeftInCode) -> Iterator[Evidence]:
    found = left_in_code.swaps
    if found:
        raise Failure("; ".join(map(str, found[:3])) + (f"; and {len(found) - 3} more" if len(found) > 3 else ""))
    yield Evidence(label="source files looked through", value=left_in_code.files)


@run.breaks
def in_a_test_mode(tree: SourceTree) -> None:
    tree.append(
        "message-handler",
        "def _url(os, url):\n    if os.environ.get('NODE_ENV') == 'test':\n        url = 'sqlite://'\n    return url",
    )


@run.breaks
def where_none_was_given(tree: SourceTree) -> None:
    tree.append("message-handler", "def _url(os):\n    return os.environ.get('DATABASE_URL', 'sqlite:///app.db')")


@run.breaks
def when_the_first_cannot_be_had(tree: SourceTree) -> None:
    tree.append(
        "message-handler",
        "def _open(connect, url):\n    try:\n        return connect(url)\n    except OSError:\n        return connect('sqlite:')",
    )
