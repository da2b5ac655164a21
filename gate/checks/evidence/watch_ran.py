"""The first hour was watched to its end, on this commit and this schema, and all was well.

Why: an hour that was watched on an older build, or that is still to come, is no hour of this release.
Fix: run `golive watch --out DIR`, or a rehearsal, and name its journal in evidence.watch of golive.toml.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.facts import evidence_verdict
from gate.facts.evidence import PartRecords
from gate.facts.part_journals import PartJournals
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=94)
def run(journals: PartRecords) -> Iterator[Evidence]:
    yield from evidence_verdict.judge_part(journals, "watch")


@run.breaks
def a_signal_that_failed(part_journals: PartJournals) -> None:
    part_journals.fail("watch")


@run.breaks
def an_hour_that_is_to_come(part_journals: PartJournals) -> None:
    part_journals.write("watch", hours_ago=-10)


@run.breaks
def from_before_the_commit(part_journals: PartJournals) -> None:
    part_journals.write("watch", hours_ago=200)
