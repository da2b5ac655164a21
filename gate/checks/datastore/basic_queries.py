"""What was written is read back, to the last character, and nothing else is.

Why: an encoding, an escape or a filter that goes wrong here loses customers' words in silence.
Fix: pass values as parameters, store texts as UTF-8, and let a look-up of an unknown key answer nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.facts.datastore import Datastore
from gate.facts.tree import SourceTree
from gate.model import Evidence
from gate.registry import check


@check(order=32, tags={"seed"})
def run(datastore: Datastore) -> Iterator[Evidence]:
    for written, found in datastore.echoes:
        if found != (written,):
            seen = ", ".join(repr(value) for value in found) or "nothing"
            raise Failure(f"{written!r} was written and {seen} read back, expected the same text once")
    if datastore.stray:
        raise Failure(f"a key that was never written has {len(datastore.stray)} value(s), expected none")
    if not datastore.echoes:
        raise Failure("no text was written and read back")
    yield Evidence(label="texts written and read back", value=len(datastore.echoes))


@run.breaks
def loses_what_is_not_ascii(tree: SourceTree) -> None:
    tree.wrap_datastore(
        "class Broken(_Stand):\n"
        "    def upsert(self, key, value):\n"
        "        self._store.upsert(key, value.encode('ascii', 'replace').decode())\n"
    )


@run.breaks
def answers_for_any_key(tree: SourceTree) -> None:
    tree.wrap_datastore(
        "class Broken(_Stand):\n    def read(self, key):\n        return self._store.read(key) or ['something']\n"
    )
