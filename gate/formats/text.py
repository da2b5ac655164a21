"""What the console says at the end of a run, as plain text: the summary, what changed, and the decision as the last line."""

from __future__ import annotations

from gate.console import difference_lines, summary_lines, verdict_lines
from gate.result import Result

__all__ = ["render"]


def render(result: Result) -> str:
    lines = [text for _, text in summary_lines(result.outcomes)]
    if result.difference is not None:
        lines += difference_lines(result.difference)
    # A lone surrogate, which `printable` shows as an escape, is all that UTF-8 could not hold.
    return "\n".join([*lines, *verdict_lines(result.verdict)]) + "\n"
