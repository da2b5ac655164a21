"""There is a unit to work with.

Why: a database error that shows as an empty list looks like a fresh installation.
Fix: create a unit with `POST /admin/units`, or name one that exists; an empty list with units in the database is a defect.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.model import Evidence
from gate.registry import probe
from harness.smoke.walk import Walk


@probe(order=30)
def run(walk: Walk) -> Iterator[Evidence]:
    answer = walk.ask("GET", "/admin/units")
    yield from answer.evidence()
    units = answer.body
    if not isinstance(units, list) or not all(isinstance(unit, dict) and unit.get("id") for unit in units):
        raise Failure(f"GET /admin/units did not answer an array of units, {answer.request}")
    if not units:
        raise Failure("GET /admin/units is empty: there is no unit to work with; create one")
    wanted = walk.unit_wanted
    found = [unit for unit in units if not wanted or wanted in (unit["id"], unit.get("slug"), unit.get("name"))]
    if not found:
        raise Failure(f"no unit is named {wanted!r}; there are {len(units)}")
    walk.unit = str(found[0]["id"])
    yield Evidence(label="units", value=len(units))
    yield Evidence(label="unit", value=walk.unit)
