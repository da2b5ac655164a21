"""Runbook of the first hour"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports import facts
from reports.claims import number, source, unreadable
from reports.document import Block, Code, CodeBlock, DocumentName, ListBlock, Paragraph, Row, Table
from reports.view import Missing, RunView

_CHECKPOINTS = (
    ("T+5", "health"),
    ("T+10", "HTTP codes, authentication, webhooks, unknown instances, logs"),
    ("T+20", "messages, retries, queue, connections, database"),
    ("T+30", "inbound and outbound flow, latencies, 429"),
    ("T+60", "everything again, then GO, HOLD or NO-GO"),
)


@section(order=85, documents=(DocumentName.REPORT, DocumentName.MONITORING))
def build(view: RunView) -> Iterator[Block]:
    """What to do when, the limits that the watch went by, and when to stop."""
    yield CodeBlock(text='golive watch --target "$BASE_URL"', language="bash")
    yield Table(
        caption="Checkpoints",
        columns=("When", "Look at"),
        rows=tuple(Row(cells=((when,), (what,))) for when, what in _CHECKPOINTS),
    )
    yield ListBlock(
        items=(
            ("GO: every signal OK at T+60 and enough traffic seen.",),
            ("HOLD: one or two warnings, or too little seen. Look every 15 minutes for 2 hours.",),
            ("NO-GO: one critical signal, or three warnings. Roll back.",),
            ("A source that is missing, empty, stale or reset is an error, never a zero.",),
        )
    )
    found = view.fact("watch.checkpoints", facts.checkpoints)
    if isinstance(found, Missing):
        yield unreadable(found, "Limits that the watch went by")
    else:
        readings = {reading.id: reading for point in found for reading in point.signals}
        yield Table(
            caption="Limits that the watch went by",
            columns=("Signal", "Limit", "Last value"),
            rows=tuple(
                Row(
                    cells=(
                        (Code(text=name),),
                        (reading.limit or "not recorded",),
                        (number(reading.value, reading.unit),),
                    ),
                    sources=(source("watch.checkpoints"),),
                )
                for name, reading in readings.items()
            ),
        )
    target = view.fact("target", facts.target)
    if isinstance(target, Missing):
        yield unreadable(target, "What was watched")
    else:
        yield Paragraph(
            content=(
                "Watched in this run: ",
                Code(text=target.url or "not measured"),
                f", Evolution API: {target.evolution or 'not measured'}",
            ),
            sources=(source("target"),),
        )
