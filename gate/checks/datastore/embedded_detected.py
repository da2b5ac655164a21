"""The datastore is the one that the configuration names, and an embedded one knows that it is.

Why: a test mode that swaps the database in silence has made every other check look at the wrong one; and code that takes an
embedded database for a server waits for locks that are not there.
Fix: choose the datastore by DATABASE_URL alone, and let the store say `sqlite` or `postgresql` for what it opened.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.facts.datastore import Datastore
from gate.facts.tree import SourceTree
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=30, tags={"seed"})
def run(datastore: Datastore) -> Iterator[Evidence]:
    if datastore.declared != datastore.configured:
        raise Failure(f"the store says that it uses {datastore.declared}, expected {datastore.configured}, which its URL names")
    if not datastore.first:
        raise Failure(f"what the store wrote is not in the {datastore.configured} database that its URL names: it went elsewhere")
    yield Evidence(label="datastore", value=datastore.server)
    yield Evidence(label="embedded", value=datastore.embedded)


@run.breaks
def swapped_in_silence(tree: SourceTree) -> None:
    tree.wrap_datastore(
        "class Broken(_Stand):\n"
        "    def __init__(self, store, url):\n"
        "        super().__init__(store, url)\n"
        "        self._rows = {}\n"
        "    def upsert(self, key, value):\n"
        "        self._rows[key] = value\n"
        "    def read(self, key):\n"
        "        return [self._rows[key]] if key in self._rows else []\n"
    )


@run.breaks
def taken_for_another(tree: SourceTree) -> None:
    tree.wrap_datastore(
        "class Broken(_Stand):\n"
        "    @property\n"
        "    def backend(self):\n"
        "        return {'sqlite': 'postgresql', 'postgresql': 'sqlite'}[self._store.backend]\n"
    )
