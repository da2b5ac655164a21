"""Journals of the other parts as they should be, to be broken; a saboteur's world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gate.facts.evidence import FAMILIES, SCHEMA_FACT
from gate.facts.subject import Journals
from gate.journal import Journal
from gate.model import Evidence, Outcome, Status

__all__ = ["PartJournals"]

COMMIT = "c0ffee" * 6 + "c0de"
# Long before the journals, which are an hour old.
COMMITTED_HOURS_AGO = 150
FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PartJournals:
    """One journal for each part, below `path`; `named` is how a subject names them."""

    path: Path
    digest: str
    named: Journals

    @classmethod
    def sound(cls, path: Path, digest: str) -> PartJournals:
        """Whole, complete, passed, fresh, of one commit and of the schema with that digest."""
        pinned = {part: frozenset(_ids(part)) for part in FAMILIES}
        journals = cls(
            path=path,
            digest=digest,
            named=Journals(
                paths={part: path / part for part in FAMILIES},
                pinned=lambda: pinned,
                commit=COMMIT,
                committed_at=datetime.now(UTC) - timedelta(hours=COMMITTED_HOURS_AGO),
            ),
        )
        for part in FAMILIES:
            journals.write(part)
        return journals

    def write(
        self,
        part: str,
        *,
        commit: str = COMMIT,
        schema_digest: str = "",
        hours_ago: float = 1.0,
        answers: Mapping[str, Status] | None = None,
        release: Mapping[str, object] | None = None,
    ) -> Journal:
        """Replaces a part's journal by a whole one that says this."""
        at = datetime.now(UTC) - timedelta(hours=hours_ago)
        target = self.path / part / "journal.jsonl"
        target.unlink(missing_ok=True)
        journal = Journal.create(target, release={"commit": commit, **(release or {})}, now=lambda: at)
        journal.fact(SCHEMA_FACT, schema_digest or self.digest)
        found = answers if answers is not None else dict.fromkeys(_ids(part), Status.PASS)
        with journal.part(part, expected=_ids(part)):
            for item, status in found.items():
                journal.append(_outcome(item, status, at))
        return journal

    def fail(self, part: str) -> None:
        """One of its answers is a failure."""
        first, *others = _ids(part)
        self.write(part, answers={first: Status.FAIL, **dict.fromkeys(others, Status.PASS)})

    def answer(self, part: str, item: str) -> None:
        """One more answer than was planned."""
        self.write(part, answers=dict.fromkeys((*_ids(part), item), Status.PASS))


def _ids(part: str) -> list[str]:
    return [f"{FAMILIES[part]}.number-{number}" for number in range(1, FEWEST + 1)]


def _outcome(item: str, status: Status, at: datetime) -> Outcome:
    passed = status is Status.PASS
    return Outcome(
        id=item,
        status=status,
        reason="" if passed else "planted",
        evidence=(Evidence(label="planted", value=1),) if passed else (),
        observed_at=at,
    )
