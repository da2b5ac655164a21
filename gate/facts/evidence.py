"""What the other parts of a go-live recorded: their journals, and what these must be bound to.

A journal counts when it is whole, ended, complete, of this commit and of this schema, and fresh. Everything else was seen once,
of something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gate import journal
from gate.errors import GateError, JournalError
from gate.facts.git import git
from gate.facts.subject import Subject
from gate.journal import Recording

__all__ = ["FAMILIES", "SCHEMA_FACT", "WITHOUT_SCHEMA", "PartRecords", "read"]

# Which ids each part answers.
FAMILIES = {"scenarios": "scenario", "smoke": "smoke", "load": "load", "watch": "watch", "proof": "proof"}
# Each of its backends has a database of its own, so the release's is not in it.
WITHOUT_SCHEMA = frozenset({"proof"})
SCHEMA_FACT = "schema_digest"
FILE = "journal.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecords:
    """`recordings` by part, `errors` says why there is none of a part; `asked` are those that the release should have named.

    commit, committed_at: of what is being released; empty where there is no repository. schema_digest: of its database;
    schema_error says why there is none. pinned: the ids that each part must have
    executed; None where only the journal says what was planned. may_skip: patterns of ids that need not apply.
    """

    asked: frozenset[str]
    recordings: Mapping[str, Recording] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    pinned: Mapping[str, frozenset[str]] | None = None
    may_skip: tuple[str, ...] = ()
    commit: str = ""
    committed_at: datetime | None = None
    schema_digest: str = ""
    schema_error: str = ""
    max_age_hours: float = 24.0
    now: datetime

    def of(self, part: str) -> Recording:
        """Raises GateError when that part has no journal, or it cannot be read."""
        if part in self.errors:
            raise GateError(self.errors[part])
        try:
            return self.recordings[part]
        except KeyError:
            raise GateError(f"no journal of {part} was given; name it (evidence.{part})") from None


def read(subject: Subject) -> PartRecords:
    """Reads each journal once. Never raises for a journal: its own check says what is wrong with it."""
    journals = subject.journals
    now = datetime.now(UTC)
    if journals is None:
        return PartRecords(asked=frozenset(), now=now)
    recordings: dict[str, Recording] = {}
    errors: dict[str, str] = {}
    known: dict[Path, Recording] = {}
    for part, place in journals.paths.items():
        path = place / FILE if place.is_dir() else place
        try:
            if path not in known:
                known[path] = journal.read(path)
            recordings[part] = known[path]
        except JournalError as error:
            errors[part] = str(error)
    commit, committed_at = journals.commit, journals.committed_at
    if not commit and subject.repository is not None:
        commit, committed_at = _head(subject.repository)
    schema_digest, schema_error = _schema(subject) if recordings.keys() - WITHOUT_SCHEMA else ("", "")
    return PartRecords(
        asked=frozenset(FAMILIES) if journals.asked is None else journals.asked,
        recordings=recordings,
        errors=errors,
        pinned=journals.pinned() if journals.pinned is not None else None,
        may_skip=journals.may_skip,
        commit=commit,
        committed_at=committed_at,
        schema_digest=schema_digest,
        schema_error=schema_error,
        max_age_hours=journals.max_age_hours,
        now=now,
    )


def _schema(subject: Subject) -> tuple[str, str]:
    """A look of its own, so that a database that cannot be read hides nothing else that is wrong with a journal."""
    from gate.facts.catalog import digest, snapshot

    if not subject.database_url:
        return "", "no database was given, so no journal can be bound to its schema"
    try:
        return digest(snapshot(subject.database_url, subject.schema.schema)), ""
    except GateError as error:
        return "", str(error)


def _head(repository: Path) -> tuple[str, datetime | None]:
    try:
        commit, _, moment = git(repository, "log", "-1", "--no-show-signature", "--format=%H %cI").decode().strip().partition(" ")
        return commit, datetime.fromisoformat(moment)
    except (GateError, ValueError):
        return "", None
