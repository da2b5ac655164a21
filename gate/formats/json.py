"""JSON for programs, as `result.schema.json` beside this file describes it.

`schema_version` changes when a reader of the earlier version would misread the new one; new keys alone do not change it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from gate.model import Outcome, Status, Verdict

__all__ = ["SCHEMA_VERSION", "render"]

SCHEMA_VERSION = 1


def render(outcomes: Sequence[Outcome], verdict: Verdict) -> str:
    """One JSON object and a line end; outcomes in the order of their ids."""
    counts = Counter(outcome.status for outcome in outcomes)
    document = {
        "schema_version": SCHEMA_VERSION,
        "verdict": verdict.as_json(),
        "counts": {str(status): counts[status] for status in Status},
        "outcomes": [outcome.as_json() for outcome in sorted(outcomes, key=lambda outcome: outcome.id)],
    }
    # ASCII: a reader in whatever encoding gets the same text, and lone surrogates survive.
    return json.dumps(document, indent=2, allow_nan=False) + "\n"
