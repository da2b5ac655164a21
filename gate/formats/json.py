"""JSON for programs, as `result.schema.json` beside this file describes it.

`schema_version` changes when a reader of the earlier version would misread the new one; new keys alone do not change it.
"""

from __future__ import annotations

from collections import Counter

from gate.model import Status
from gate.result import Result
from gate.text import as_json

__all__ = ["SCHEMA_VERSION", "render"]

SCHEMA_VERSION = 1


def render(result: Result) -> str:
    """One JSON object and a line end; outcomes in the order of their ids."""
    counts = Counter(outcome.status for outcome in result.outcomes)
    document = {
        "schema_version": SCHEMA_VERSION,
        "verdict": result.verdict.as_json(),
        "release": dict(result.release),
        "counts": {str(status): counts[status] for status in Status},
        "outcomes": [outcome.as_json() for outcome in sorted(result.outcomes, key=lambda outcome: outcome.id)],
    }
    if result.difference is not None:
        document["difference"] = result.difference.as_json()
    return as_json(document, indent=2) + "\n"
