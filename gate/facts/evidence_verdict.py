"""Judges the journal of one part: whole, ended, complete, passed, of this commit and schema, and fresh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from gate.errors import Failure, GateError, Inconclusive, NotApplicable
from gate.facts.evidence import FAMILIES, SCHEMA_FACT, WITHOUT_SCHEMA, PartRecords
from gate.journal import Recording
from gate.model import Evidence, Outcome, Status
from gate.policy import matches

__all__ = ["judge_part"]

# Clocks of two machines differ by less.
CLOCK_TOLERANCE = timedelta(minutes=5)
MOST_NAMED = 3


def judge_part(records: PartRecords, part: str) -> Iterator[Evidence]:
    """Raises Failure for what was seen to be wrong, Inconclusive for what was not seen, each in one sentence."""
    if part not in records.asked:
        raise NotApplicable(f"no journal of {part} is named: nothing but the gate itself is looked at here")
    recording = records.of(part)
    found = _worst(outcome for outcome in recording.outcomes if outcome.id.startswith(f"{FAMILIES[part]}."))
    _refuse_results(part, found, records.may_skip)
    _refuse_other_release(records, recording, part)
    _refuse_other_time(records, recording, found, part)
    _refuse_unfinished(recording, part)
    wanted = _wanted(records, recording, part)
    _refuse_incomplete(part, found, wanted)
    yield Evidence(label=f"{part} executed", value=len(found))
    yield Evidence(label=f"{part} pinned", value=len(wanted))
    yield Evidence(label="commit", value=records.commit[:12])
    if part not in WITHOUT_SCHEMA:
        yield Evidence(label="schema digest", value=str(recording.facts[SCHEMA_FACT])[:12])
    newest = max(outcome.observed_at for outcome in found.values())
    yield Evidence(label="age", value=round(max(0.0, (records.now - newest).total_seconds()) / 3600, 2), unit="h")


def _worst(outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for outcome in outcomes:
        known = found.get(outcome.id)
        if known is None or outcome.status.rank > known.status.rank:
            found[outcome.id] = outcome
    return found


def _refuse_results(part: str, found: Mapping[str, Outcome], may_skip: tuple[str, ...]) -> None:
    failed = sorted(item for item, outcome in found.items() if outcome.status is Status.FAIL)
    if failed:
        raise Failure(f"{len(failed)} of {len(found)} {part} failed: {_some(failed)}")
    unsure = sorted(
        item
        for item, outcome in found.items()
        if outcome.status in (Status.ERROR, Status.INCONCLUSIVE, Status.WARN)
        or (outcome.status is Status.SKIP and not any(matches(pattern, item) for pattern in may_skip))
    )
    if unsure:
        raise Inconclusive(f"{len(unsure)} of {len(found)} {part} did not pass: {_some(unsure)}")


def _refuse_other_release(records: PartRecords, recording: Recording, part: str) -> None:
    if recording.release.get("reference"):
        raise Failure(
            f"the journal of {part} is of the shipped reference backend; run it against what is released, with --target"
        )
    if not records.commit:
        raise Inconclusive("what is released has no commit, so no journal can be of it; release from a git repository")
    commit = str(recording.release.get("commit") or "")
    if not commit:
        raise Inconclusive(f"the journal of {part} names no commit")
    if commit != records.commit:
        raise Failure(f"the journal of {part} is of commit {commit[:12]}, expected {records.commit[:12]}")
    if recording.release.get("dirty"):
        raise Inconclusive(f"the journal of {part} is of a working tree with changes that are in no commit")
    if part in WITHOUT_SCHEMA:
        return
    written = recording.facts.get(SCHEMA_FACT)
    if not isinstance(written, str) or not written:
        raise Inconclusive(f"the journal of {part} names no schema digest; run it where golive.toml names the database")
    if records.schema_error:
        raise GateError(records.schema_error)
    if written != records.schema_digest:
        raise Failure(f"the journal of {part} is of schema {written[:12]}, expected {records.schema_digest[:12]}")


def _refuse_other_time(records: PartRecords, recording: Recording, found: Mapping[str, Outcome], part: str) -> None:
    moments = [outcome.observed_at for outcome in found.values()]
    began = min([*moments, *([recording.started_at] if recording.started_at is not None else [])], default=None)
    if began is None:
        return
    if records.committed_at is not None and began < records.committed_at:
        raise Failure(f"the journal of {part} began {began:%Y-%m-%d %H:%M}, before its commit was made")
    newest = max(moments, default=began)
    if newest > records.now + CLOCK_TOLERANCE:
        raise Failure(f"the journal of {part} is of {newest:%Y-%m-%d %H:%M}, which is to come")
    hours = (records.now - newest).total_seconds() / 3600
    if hours > records.max_age_hours:
        raise Failure(f"the journal of {part} is {hours:.1f} h old, expected at most {records.max_age_hours:g} h")


def _refuse_unfinished(recording: Recording, part: str) -> None:
    own = [item for item in recording.parts if item.name == part]
    if not own:
        raise Inconclusive(f"the journal has no part called {part}")
    if recording.damage:
        raise Inconclusive(f"the journal of {part} is not whole: {recording.damage[0]}")


def _wanted(records: PartRecords, recording: Recording, part: str) -> frozenset[str]:
    planned = frozenset(item for item in recording.planned if item.startswith(f"{FAMILIES[part]}."))
    return (records.pinned or {}).get(part, frozenset()) | planned


def _refuse_incomplete(part: str, found: Mapping[str, Outcome], wanted: frozenset[str]) -> None:
    if not found:
        raise Inconclusive(f"0 {part} were executed")
    if not wanted:
        raise Inconclusive(f"nothing says which {part} had to be executed")
    strange = sorted(found.keys() - wanted)
    if strange:
        raise Failure(f"{len(strange)} {part} were executed that nobody knows: {_some(strange)}")
    missing = sorted(wanted - found.keys())
    if missing:
        raise Inconclusive(f"{len(missing)} of {len(wanted)} {part} were not executed: {_some(missing)}")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
