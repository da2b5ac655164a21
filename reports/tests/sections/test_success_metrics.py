from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gate.journal import Recording
from gate.model import Status
from reports.document import Block, Mark, Row, Table
from reports.tests import runs

SectionOf = Callable[[Recording, str], tuple[Block, ...]]
Changed = Callable[..., Recording]


def metric(blocks: tuple[Block, ...], name: str) -> Row:
    return next(row for block in blocks if isinstance(block, Table) for row in block.rows if row.cells[0][0] == name)


def checkpoint(signal: str, value: float | None, unit: str) -> dict[str, Any]:
    return {"watch.checkpoints": [{"minute": 60, "signals": [{"id": signal, "value": value, "unit": unit, "level": "ok"}]}]}


@pytest.mark.parametrize(
    ("name", "signal", "value", "unit", "mark"),
    [
        ("Message failures", "message-failures", 0.99, "%", Mark.PASS),
        ("Message failures", "message-failures", 1.0, "%", Mark.FAIL),
        ("Message failures", "message-failures", 4.0, "%", Mark.FAIL),
        ("Message failures", "message-failures", 4.0, "", Mark.PASS),
        ("Message failures", "message-failures", None, "%", Mark.NOT_MEASURED),
        ("Status update, in the first hour", "status-latency", 4.9, "s", Mark.PASS),
        ("Status update, in the first hour", "status-latency", 5_100, "ms", Mark.FAIL),
        ("Uptime over the rehearsal", "uptime", 100, "%", Mark.PASS),
        ("Uptime over the rehearsal", "uptime", 99.9, "%", Mark.FAIL),
        ("Uptime over the rehearsal", "uptime", 0, "min", Mark.PASS),
    ],
)
def test_a_reading_is_compared_with_the_target_even_where_the_signal_passed(
    changed: Changed, section_of: SectionOf, name: str, signal: str, value: float | None, unit: str, mark: Mark
) -> None:
    row = metric(section_of(changed(facts=checkpoint(signal, value, unit)), "success-metrics"), name)
    assert row.mark is mark


def test_a_good_reading_does_not_mend_a_failed_signal(changed: Changed, section_of: SectionOf) -> None:
    recording = changed({"watch.uptime": runs.outcome("watch.uptime", Status.FAIL)})
    assert metric(section_of(recording, "success-metrics"), "Uptime over the rehearsal").mark is Mark.FAIL
    recording = changed({"watch.uptime": runs.outcome("watch.uptime", Status.FAIL)}, {"watch.checkpoints": []})
    row = metric(section_of(recording, "success-metrics"), "Uptime over the rehearsal")
    assert row.mark is Mark.FAIL
    assert row.cells[2] == ("0/1 pass, 1 fail",)


@pytest.mark.parametrize(
    ("requests", "failures", "mark", "words"),
    [
        (1_000, 9, Mark.PASS, "0.90% of 1,000 requests"),
        (1_000, 10, Mark.FAIL, "1.00% of 1,000 requests"),
        (0, 0, Mark.NOT_MEASURED, "not measured"),
    ],
)
def test_failed_requests_are_a_share_of_real_requests(
    changed: Changed, section_of: SectionOf, requests: int, failures: int, mark: Mark, words: str
) -> None:
    recording = changed(facts={"load.summary": {"requests": requests, "failures": failures}})
    row = metric(section_of(recording, "success-metrics"), "Failed requests under load")
    assert (row.mark, row.cells[2]) == (mark, (words,))
