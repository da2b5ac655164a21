"""The smoke test ran to its last step, on this commit and this schema, and passed.

Why: a smoke test of yesterday's build says that yesterday's build worked.
Fix: run `golive smoke --out DIR` against what is released, and name its journal in evidence.smoke of golive.toml.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.facts import evidence_verdict
from gate.facts.evidence import PartRecords
from gate.facts.part_journals import PartJournals
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=92)
def run(journals: PartRecords) -> Iterator[Evidence]:
    yield from evidence_verdict.judge_part(journals, "smoke")


@run.breaks
def a_step_that_failed(part_journals: PartJournals) -> None:
    part_journals.fail("smoke")


@run.breaks
def on_another_schema(part_journals: PartJournals) -> None:
    part_journals.write("smoke", schema_digest="f00d" * 16)
