"""The scenarios were seen to fail: every planted bug was killed and every right backend passed, on this commit.

Why: scenarios that pass whatever the backend does are as green as scenarios that look; only planted bugs tell them apart.
Fix: run `golive prove --out DIR` on what is released, and give DIR to `golive rehearse --proof`, or name it in evidence.proof.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.facts import evidence_verdict
from gate.facts.evidence import PartRecords
from gate.facts.part_journals import PartJournals
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=96)
def run(journals: PartRecords) -> Iterator[Evidence]:
    yield from evidence_verdict.judge_part(journals, "proof")


@run.breaks
def a_bug_that_survived(part_journals: PartJournals) -> None:
    part_journals.fail("proof")


@run.breaks
def of_bugs_that_nobody_knows(part_journals: PartJournals) -> None:
    part_journals.answer("proof", "proof.chaff.nobody-knows-this-one")


@run.breaks
def of_another_commit(part_journals: PartJournals) -> None:
    part_journals.write("proof", commit="f00d" * 10)
