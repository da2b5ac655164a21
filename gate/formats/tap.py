"""TAP 14: a test point for each id and, last, one for the verdict.

`not ok` is what blocks or was not answered. What is waived or advisory is `not ok … # TODO`, which a reader does not count; what
may not apply is `# SKIP`. Every point that is not plainly ok brings its reason, evidence and fix as a YAML block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gate.model import Decision, Status
from gate.result import Answer, Result, Standing, documentation_of
from gate.text import as_json, printable, shortened

__all__ = ["render"]

_LONGEST = 4_000


def render(result: Result) -> str:
    answers = sorted(result.answers(), key=lambda answer: answer.id)
    lines = ["TAP version 14", f"1..{len(answers) + 1}"]
    for number, answer in enumerate(answers, start=1):
        lines += _point(number, answer)
    good = result.verdict.decision is Decision.GO
    lines.append(f"{'ok' if good else 'not ok'} {len(answers) + 1} - verdict {result.verdict.decision}")
    lines += _yaml(
        {
            "decision": str(result.verdict.decision),
            "exit_status": result.verdict.exit_status,
            "policy": result.verdict.policy,
            "message": result.headline(),
        }
        | ({"difference": result.difference.headline()} if result.difference else {})
    )
    return "\n".join(lines) + "\n"


def _point(number: int, answer: Answer) -> list[str]:
    status = answer.outcome.status if answer.outcome else None
    directive = ""
    good = not answer.standing.stops
    if status is Status.SKIP and good:
        directive = f" # SKIP {_line(answer.why)}"
    elif answer.standing is Standing.WAIVED or (answer.standing is Standing.NOTED and status not in (Status.PASS, Status.WARN)):
        good, directive = False, f" # TODO {_line(answer.why)}"
    # An id may be a pattern such as `schema.*`; `#` would begin a directive.
    point = f"{'ok' if good else 'not ok'} {number} - {_line(answer.id)}{directive}"
    if answer.standing is Standing.PASSED:
        return [point]
    details: dict[str, Any] = {"standing": str(answer.standing), "message": answer.why, "severity": str(answer.severity)}
    if answer.outcome is not None:
        details |= {
            "status": str(answer.outcome.status),
            "title": answer.title,
            "evidence": [str(item) for item in answer.outcome.evidence],
            "duration_ms": round(answer.outcome.duration_s * 1000, 3),
        }
    if answer.delta is not None:
        details["change"] = str(answer.delta.change)
    fix = documentation_of(answer.id).get("Fix", "")
    if fix:
        details["fix"] = fix
    return [point, *_yaml(details)]


def _yaml(content: Mapping[str, Any]) -> list[str]:
    """A YAML block whose values are JSON, which is YAML, in ASCII: no text of the world can leave its line."""
    return ["  ---", *(f"  {key}: {as_json(_short(value))}" for key, value in content.items()), "  ..."]


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return shortened(value, _LONGEST)
    if isinstance(value, list):
        return [_short(item) for item in value]
    return value


def _line(text: str) -> str:
    return shortened(printable(text), _LONGEST).replace("\\", "\\\\").replace("#", "\\#")
