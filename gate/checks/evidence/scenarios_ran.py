"""The scenarios ran, all of them, on this commit and this schema, and passed.

Why: a suite that ran no test, ran half of them, or ran on the commit before, ends just as green as one that ran them all.
Fix: run `golive e2e --out DIR` on what is released, and name its journal in evidence.scenarios of golive.toml.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.facts import evidence_verdict
from gate.facts.evidence import PartRecords
from gate.facts.part_journals import PartJournals
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=91)
def run(journals: PartRecords) -> Iterator[Evidence]:
    yield from evidence_verdict.judge_part(journals, "scenarios")


@run.breaks
def one_that_failed(part_journals: PartJournals) -> None:
    part_journals.fail("scenarios")


@run.breaks
def of_another_commit(part_journals: PartJournals) -> None:
    part_journals.write("scenarios", commit="f00d" * 10)


@run.breaks
def one_that_nobody_pinned(part_journals: PartJournals) -> None:
    part_journals.answer("scenarios", "scenario.nobody-knows-this-one")


@run.breaks
def of_the_shipped_reference(part_journals: PartJournals) -> None:
    part_journals.write("scenarios", release={"reference": True})
