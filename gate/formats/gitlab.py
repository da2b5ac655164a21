"""GitLab's code quality report: an entry for each finding, and one of severity `blocker` for a verdict that is not GO.

An empty list is a GO without anything to say: the entry for the verdict tells that apart from a run that answered nothing.
"""

from __future__ import annotations

import hashlib
from typing import Any

from gate.model import Decision, Severity
from gate.result import Answer, Result, Standing
from gate.text import as_json, printable, shortened

__all__ = ["VERDICT_CHECK", "render"]

VERDICT_CHECK = "golive.verdict"
_LONGEST = 2_000
# The report needs a place for each finding; where a finding names none, it is about the release as a whole.
_NO_PLACE = {"path": "golive.toml", "lines": {"begin": 1}}
_SEVERITIES = {Severity.CRITICAL: "critical", Severity.MAJOR: "major", Severity.MINOR: "minor"}


def render(result: Result) -> str:
    """A JSON list and a line end, what stops the release first."""
    entries: list[dict[str, Any]] = []
    verdict = result.verdict
    if verdict.decision is not Decision.GO:
        entries.append(
            {
                "description": _text(f"{result.headline()} (exit status {verdict.exit_status})"),
                "check_name": VERDICT_CHECK,
                "fingerprint": hashlib.sha256(f"golive/1/verdict/{verdict.decision}".encode()).hexdigest()[:32],
                "severity": "blocker",
                "location": _NO_PLACE,
            }
        )
    entries += [_entry(answer) for answer in result.answers() if answer.standing is not Standing.PASSED]
    return as_json(entries, indent=2) + "\n"


def _entry(answer: Answer) -> dict[str, Any]:
    place = answer.place
    change = f" [{answer.delta.change}]" if answer.delta else ""
    return {
        "description": _text(f"{answer.id}: {answer.why}{change}"),
        "check_name": answer.id,
        "fingerprint": answer.fingerprint,
        # What does not stop the release must not look as if it did.
        "severity": _SEVERITIES[answer.severity] if answer.standing.stops else "info",
        "location": {"path": place.path, "lines": {"begin": place.line}} if place else _NO_PLACE,
    }


def _text(text: str) -> str:
    return shortened(printable(text), _LONGEST)
