"""Markdown for GitHub's step summary, or a comment on a pull request: verdict, what changed, then every answer, worst first.

A step may write one mebibyte; GitHub drops the whole summary when it is more. So rows are counted in bytes, the rest is left out,
and a last line says how many.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from gate.model import Decision
from gate.result import Answer, Result, Standing, documentation_of
from gate.text import printable, shortened

__all__ = ["LIMIT_BYTES", "SMALLEST_BYTES", "render", "within"]

LIMIT_BYTES = 1024 * 1024
# Room for the verdict and the line that says what was cut.
SMALLEST_BYTES = 16 * 1024
_RESERVE_BYTES = 300
_LONGEST = 1_000
_SIGNS = {Decision.GO: "✅", Decision.NO_GO: "❌", Decision.HOLD: "✋"}
_HEADINGS = {
    Standing.BLOCKING: "Blocking",
    Standing.UNANSWERED: "Unanswered",
    Standing.WAIVED: "Waived",
    Standing.NOTED: "Noted",
    Standing.PASSED: "Passed",
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~$^:/.-])")


def render(result: Result) -> str:
    return within(result, LIMIT_BYTES)


def within(result: Result, limit: int) -> str:
    """At most `limit` bytes of UTF-8, of which there must be `SMALLEST_BYTES`: the verdict is always there."""
    head = "\n".join(_head(result)) + "\n"
    room = limit - len(head.encode()) - _RESERVE_BYTES
    body: list[str] = []
    left_out = 0
    for block in _rows(result):
        size = len(block.encode())
        if left_out or size > room:
            left_out += block.startswith("| ")
        else:
            body.append(block)
            room -= size
    note = (
        f"\n**{left_out} more are left out here**, all less bad than those above; the journal has every one.\n"
        if left_out
        else ""
    )
    return head + "".join(body) + note


def _head(result: Result) -> Iterator[str]:
    verdict = result.verdict
    yield f"## {_SIGNS[verdict.decision]} {verdict.decision}"
    yield ""
    yield _cell(result.headline()) + f" \\(exit status {verdict.exit_status}\\)"
    release = " ".join(str(result.release.get(key, "")) for key in ("name", "version", "commit")).strip()
    if release:
        yield f"\nRelease: {_cell(release)}"
    if result.difference is not None:
        yield f"\n{_cell(result.difference.headline())}"


def _rows(result: Result) -> Iterator[str]:
    """Headings and rows; a row begins with `| ` and is one answer."""
    standing = None
    for answer in result.answers():
        if answer.standing is not standing:
            standing = answer.standing
            yield f"\n### {_HEADINGS[standing]}\n\n|what|severity|why|\n|---|---|---|\n"
        yield _row(answer)


def _row(answer: Answer) -> str:
    change = f" <b>{answer.delta.change}</b>" if answer.delta else ""
    fix = documentation_of(answer.id).get("Fix", "") if answer.standing.stops else ""
    why = _cell(answer.why) + (f"<br><i>Fix:</i> {_cell(fix)}" if fix else "")
    return f"| {_cell(answer.id)}{change} | {answer.severity} | {why} |\n"


def _cell(text: str) -> str:
    """One line in which nothing is markup: no table cell, link, mention, image or tag of somebody else's making."""
    escaped = _MARKDOWN.sub(r"\\\1", html.escape(shortened(printable(text), _LONGEST), quote=False))
    # A backslash does not keep a name from being called; a comment between the sign and the name does.
    return escaped.replace("@", "@<!-- -->")
