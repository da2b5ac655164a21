"""The record of advisory checks: what each said, beside what was decided without it.

A check that is new runs in the shadow first. An alarm of it in a run that was GO without it is a false alarm, or a find; the
record shows how often that happens, before the check is made to decide.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gate.errors import JournalError
from gate.model import Decision, Outcome, Status, Verdict

__all__ = ["Seen", "append", "read", "summary"]

ALARMS = (Status.FAIL, Status.WARN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One answer of an advisory check, and the decision that was made without it."""

    id: str
    status: Status
    decision: Decision
    at: datetime


def append(path: Path, outcomes: Iterable[Outcome], verdict: Verdict) -> None:
    """Adds a line for each outcome, in one write. Raises JournalError when the file cannot be written."""
    lines = [
        json.dumps(
            {
                "id": outcome.id,
                "status": str(outcome.status),
                "decision": str(verdict.decision),
                "at": outcome.observed_at.isoformat(),
                "reason": outcome.reason,
            },
            ensure_ascii=False,
        )
        for outcome in outcomes
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
        try:
            os.write(descriptor, ("\n".join(lines) + "\n").encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise JournalError(f"{path}: the record of advisory checks cannot be written ({error.strerror})") from error


def read(path: Path) -> list[Seen]:
    """Raises JournalError naming a line that is no answer: a record that is edited by hand proves nothing."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise JournalError(f"{path}: the record of advisory checks cannot be read ({type(error).__name__})") from error
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            found.append(
                Seen(
                    id=entry["id"],
                    status=Status(entry["status"]),
                    decision=Decision(entry["decision"]),
                    at=datetime.fromisoformat(entry["at"]),
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(f"{path}, line {number}: is no answer of an advisory check; take the line away") from error
    return found


def summary(record: Sequence[Seen]) -> Iterator[str]:
    """A line for each check: how often it answered, alarmed, and alarmed where everything else was GO."""
    answered = Counter(seen.id for seen in record)
    alarmed = Counter(seen.id for seen in record if seen.status in ALARMS)
    alone = Counter(seen.id for seen in record if seen.status in ALARMS and seen.decision is Decision.GO)
    for check in sorted(answered):
        yield (
            f"advisory {check}: {alarmed[check]} alarms in {answered[check]} runs,"
            f" {alone[check]} of them where the release was GO without it"
        )
