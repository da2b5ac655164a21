"""An upsert updates: a second write of one key leaves one row with the second value, also when two write at once.

Why: an upsert that only inserts, or that looks before it writes, doubles contacts and messages as soon as two webhooks meet.
Fix: use INSERT … ON CONFLICT (…) DO UPDATE over a unique key; looking first and then inserting is not enough.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.facts.datastore import Datastore
from gate.facts.tree import SourceTree
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=31, tags={"seed"})
def run(datastore: Datastore) -> Iterator[Evidence]:
    if datastore.first != ("first",):
        raise Failure(f"after one write the key has {_rows(datastore.first)}, expected 1 row with the value written")
    if datastore.upsert_error:
        raise Failure(f"the second write of a key was refused, expected an update: {datastore.upsert_error}")
    if datastore.second != ("second",):
        raise Failure(f"after a second write the key has {_rows(datastore.second)}, expected 1 row with the second value")
    yield Evidence(label="rows after two writes of one key", value=len(datastore.second))
    if datastore.race is not None:
        if datastore.race.error:
            raise Failure(f"of two writers at once the second was refused, expected an update: {datastore.race.error}")
        if datastore.race.values != ("after",):
            raise Failure(f"two writers at once left {_rows(datastore.race.values)}, expected 1 row with the second one's value")
        yield Evidence(label="rows after two writers at once", value=len(datastore.race.values))


def _rows(values: tuple[str, ...]) -> str:
    if not values:
        return "no row"
    shown = ", ".join(repr(value) for value in values[:5])
    return f"{len(values)} row{'s' if len(values) > 1 else ''} ({shown})"


@run.breaks
def keeps_the_first(tree: SourceTree) -> None:
    tree.wrap_datastore(
        "class Broken(_Stand):\n"
        "    def upsert(self, key, value):\n"
        "        if not self._store.read(key):\n"
        "            self._store.upsert(key, value)\n"
    )


@run.breaks
def refuses_a_second_write(tree: SourceTree) -> None:
    tree.wrap_datastore(
        "class Broken(_Stand):\n"
        "    def upsert(self, key, value):\n"
        "        if self._store.read(key):\n"
        "            raise ValueError('duplicate key')\n"
        "        self._store.upsert(key, value)\n"
    )


@run.breaks
def writes_nothing(tree: SourceTree) -> None:
    tree.wrap_datastore("class Broken(_Stand):\n    def upsert(self, key, value):\n        pass\n")
