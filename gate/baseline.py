"""Finds and reads the run that another is compared with."""

from __future__ import annotations

from pathlib import Path

from gate.difference import Side
from gate.errors import JournalError, UsageError
from gate.journal import JOURNAL, Recording, conclude, read
from gate.model import Decision
from gate.policy import Policy

__all__ = ["identity_of", "last_go", "schema_digest", "side_of"]


def side_of(recording: Recording, decision: str = "") -> Side:
    """A recording as one side of a comparison. Raises JournalError for one that is damaged: what was cut would look fixed."""
    if recording.damage:
        raise JournalError(f"{recording.path}: not whole, so nothing can be compared with it: {recording.damage[0]}")
    release = recording.release
    commit = str(release.get("commit", ""))
    named = " ".join(str(release.get(key, "")) for key in ("name", "version")).strip()
    where = recording.path.parent.name if recording.path.name == JOURNAL else recording.path.name
    told = [text for text in (named, commit[:12]) if text]
    return Side(
        outcomes=recording.outcomes,
        name=where + (f" ({', '.join(told)})" if told else ""),
        decision=decision,
        identity=identity_of(recording),
    )


def identity_of(recording: Recording) -> tuple[str, ...]:
    """Commit and schema digest, where two runs of the same must answer the same; empty where the commit does not say it all."""
    commit = str(recording.release.get("commit", ""))
    return (commit, schema_digest(recording)) if commit and not recording.release.get("dirty") else ()


def schema_digest(recording: Recording) -> str:
    """The digest of the schema that a run saw; empty where it did not say."""
    found = recording.facts.get("schema_digest", "")
    return found if isinstance(found, str) else ""


def last_go(source: Path, policy: Policy) -> Side:
    """The run at `source`: a journal, the directory of a run, or a directory of runs, of which the newest GO is taken.

    Each is judged by `policy` as of the day on which it began. Raises UsageError when there is none, JournalError for one that is
    damaged.
    """
    if source.is_file():
        return _judged(source, policy)
    if (source / JOURNAL).is_file():
        return _judged(source / JOURNAL, policy)
    if not source.is_dir():
        raise UsageError(f"{source}: no such run")
    journals = sorted(source.glob(f"*/{JOURNAL}"))
    if not journals:
        raise UsageError(f"{source}: neither a run (it has no {JOURNAL}) nor a directory of runs")
    found = [recording for recording in map(read, journals) if recording.started_at is not None and not recording.damage]
    for recording in sorted(found, key=lambda item: str(item.started_at), reverse=True):
        assert recording.started_at is not None  # noqa: S101 – chosen for it
        if conclude(recording, policy, recording.started_at.date()).decision is Decision.GO:
            return side_of(recording, str(Decision.GO))
    raise UsageError(f"{source}: none of its {len(journals)} runs is a GO by the policy {policy.name}")


def _judged(path: Path, policy: Policy) -> Side:
    recording = read(path)
    if recording.started_at is None:
        return side_of(recording)
    return side_of(recording, str(conclude(recording, policy, recording.started_at.date()).decision))
