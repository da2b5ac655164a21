from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from gate.journal import Recording
from reports.document import Block, Figures, Mark, Table, Timeline

SectionOf = Callable[[Recording, str], tuple[Block, ...]]


def test_each_part_is_on_the_timeline_with_what_it_answered(full: Recording, section_of: SectionOf) -> None:
    figures, table = section_of(full, "run")
    assert isinstance(figures, Figures)
    assert isinstance(table, Table)
    (timeline,) = figures.charts
    assert isinstance(timeline, Timeline)
    assert [(span.label, span.mark) for span in timeline.spans] == [(part.name, Mark.PASS) for part in full.parts]
    assert [row.cells[0][0] for row in table.rows] == [part.name for part in full.parts]
    assert table.rows[0].cells[2] == ("2.10 s",)


def test_a_part_that_never_ended_is_an_error(full: Recording, section_of: SectionOf) -> None:
    parts = (*full.parts[:-1], replace(full.parts[-1], ended_at=None))
    _, table = section_of(replace(full, parts=parts), "run")
    assert isinstance(table, Table)
    assert table.rows[-1].mark is Mark.ERROR
    assert table.rows[-1].cells[2] == ("never ended",)


def test_a_part_that_had_nothing_to_answer_is_not_measured(full: Recording, section_of: SectionOf) -> None:
    _, table = section_of(replace(full, parts=(replace(full.parts[0], expected=()),)), "run")
    assert isinstance(table, Table)
    assert table.rows[0].mark is Mark.NOT_MEASURED


def test_times_without_a_zone_are_not_drawn_beside_times_with_one(full: Recording, section_of: SectionOf) -> None:
    began = datetime(2026, 11, 22, 14, 0)  # noqa: DTZ001 – the case itself
    (table,) = section_of(replace(full, parts=(replace(full.parts[0], began_at=began), *full.parts[1:])), "run")
    assert isinstance(table, Table)
    assert table.rows[0].cells[2] == ("not measured",)


def test_a_clock_that_went_back_gives_no_negative_time(full: Recording, section_of: SectionOf) -> None:
    part = replace(full.parts[0], ended_at=full.parts[0].began_at - timedelta(seconds=5))
    figures, table = section_of(replace(full, parts=(part,)), "run")
    assert isinstance(figures, Figures)
    assert isinstance(table, Table)
    assert table.rows[0].cells[2] == ("0 ms",)
