"""Findings that somebody answers for, each with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gate.errors import UsageError

__all__ = ["Allowance", "LintWaiver"]

SHORTEST_REASON = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """A secret that is none: found by a rule (or by any, `*`), in files of a pattern (`**` any folders), and where a digest is
    given of that value alone.

    Raises UsageError for one without a reason: nobody could tell later why it is there.
    """

    rule: str
    path: str
    reason: str
    digest: str = ""

    def __post_init__(self) -> None:
        if len(self.reason.strip()) < SHORTEST_REASON:
            raise UsageError(f"the allowance for {self.rule} in {self.path} gives no reason; say why it is no secret")
        if self.rule == "*" and self.path in ("*", "**", "**/*"):
            raise UsageError("an allowance for every rule in every file would be no scan at all; name the rule or the files")

    def covers(self, *, rule: str, path: str, digest: str) -> bool:
        return self.rule in ("*", rule) and self.digest in ("", digest) and _matches(self.path, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class LintWaiver:
    """A rule of the migration linter that does not apply, in every statement or in those that hold the text `about`.

    Raises UsageError for one without a reason.
    """

    rule: str
    reason: str
    about: str = ""

    def __post_init__(self) -> None:
        if len(self.reason.strip()) < SHORTEST_REASON:
            raise UsageError(f"the waiver for the linter's rule {self.rule} gives no reason; say why it does not apply")


def _matches(pattern: str, path: str) -> bool:
    """Python 3.13 has this as PurePath.full_match."""
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = [known.get(piece) or re.escape(piece) for piece in re.split(r"(\*\*/|\*\*|\*|\?)", pattern)]
    # A version in the history is told as commit:path.
    return re.fullmatch("(?:[0-9a-f]{7,40}:)?" + "".join(parts), path) is not None
