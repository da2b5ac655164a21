"""The load run ended, on this commit and this schema, and met its limits.

Why: a load run that still runs, or ran before the last change, has measured something else.
Fix: run `golive load --out DIR` against what is released, and name its journal in evidence.load of golive.toml.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.facts import evidence_verdict
from gate.facts.evidence import PartRecords
from gate.facts.part_journals import PartJournals
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=93)
def run(journals: PartRecords) -> Iterator[Evidence]:
    yield from evidence_verdict.judge_part(journals, "load")


@run.breaks
def a_limit_that_was_missed(part_journals: PartJournals) -> None:
    part_journals.fail("load")


@run.breaks
def too_old(part_journals: PartJournals) -> None:
    part_journals.write("load", hours_ago=100)
