"""The generated documents and journals hold no secret and no person's phone number.

Why: reports are mailed, attached to tickets and kept for years, by people who may not see either.
Fix: mask the value where it is written into the journal; revoke what was shown.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import NotApplicable
from gate.facts.planted import Planted
from gate.facts.secret_places import SecretScan
from gate.facts.secret_verdict import judge_scan
from gate.facts.worlds import DocumentFolder
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=84)
def run(document_scan: SecretScan | None) -> Iterator[Evidence]:
    if document_scan is None:
        raise NotApplicable("no generated document was named; name the folder of a run in golive.toml, release.documents")
    yield from judge_scan(document_scan)


@run.breaks
def a_secret_of_a_webhook(documents: DocumentFolder) -> None:
    documents.write("RELEASE_GATE_RESULTS.md", f"# Results\n\nThe webhook is {Planted().webhook_url()} and answers.\n")


@run.breaks
def the_phone_of_a_customer(documents: DocumentFolder) -> None:
    documents.write(
        "journal.jsonl", '{"id": "smoke.send", "evidence": [{"label": "to", "value": "' + Planted().phone() + '"}]}\n'
    )
