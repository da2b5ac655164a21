"""Every section, whatever it is about: well formed, pure, honest about what it does not know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gate.journal import Recording
from gate.registry import Item, Kind, registry
from reports.document import Block, CodeBlock, DocumentName, Figures, ListBlock, Mark, Paragraph, Table
from reports.tests import runs
from reports.view import RunView

SectionOf = Callable[[Recording, str], tuple[Block, ...]]
Changed = Callable[..., Recording]


def sections() -> list[Item]:
    return list(registry(Kind.SECTION).load("reports.sections"))


@pytest.mark.parametrize("item", sections(), ids=lambda item: item.id)
def test_a_section_is_named_placed_and_a_function_of_the_view_alone(item: Item) -> None:
    assert item.title
    assert not item.title.endswith(".")
    assert item.facts == ("view",)
    assert set(item.options["documents"]) <= set(DocumentName)
    assert item.options["documents"]


def test_no_two_sections_claim_one_place() -> None:
    orders = [item.order for item in sections()]
    assert len(orders) == len(set(orders))


@pytest.mark.parametrize("item", sections(), ids=lambda item: item.id)
def test_a_section_says_the_same_twice(item: Item, full: Recording, view_of: Callable[[Recording], RunView]) -> None:
    view = view_of(full)
    assert tuple(item(view)) == tuple(item(view)) != ()


def test_the_limits_of_a_signal_are_lines_in_its_chart(full: Recording, section_of: SectionOf) -> None:
    (figures,) = section_of(full, "signals-over-time")
    assert isinstance(figures, Figures)
    chart = next(chart for chart in figures.charts if chart.title == "HTTP 5xx answers")
    assert [(item.label, item.value) for item in getattr(chart, "limits", ())] == [("ok ≤ 5", 5), ("critical > 15", 15)]


def test_a_signal_without_points_is_said_in_words(changed: Changed, section_of: SectionOf) -> None:
    figures, paragraph = section_of(changed(facts={"watch.series": {"a": [[0, 1]], "b": []}}), "signals-over-time")
    assert isinstance(figures, Figures)
    assert isinstance(paragraph, Paragraph)
    assert (paragraph.content[0], paragraph.mark) == ("b: ", Mark.NOT_MEASURED)


def test_a_step_of_the_rollback_stands_as_its_outcome_does(changed: Changed, section_of: SectionOf) -> None:
    recording = changed({"rollback.nothing-lost": None})
    table = section_of(recording, "rollback")[1]
    assert isinstance(table, Table)
    assert [row.mark for row in table.rows] == [Mark.PASS, Mark.NOT_MEASURED]
    nothing = section_of(changed(facts={"rollback.steps": []}), "rollback")[1]
    assert isinstance(nothing, Paragraph)
    assert nothing.mark is Mark.NOT_MEASURED


def test_words_of_the_release_are_quoted_in_commands(full: Recording, section_of: SectionOf) -> None:
    release = {"version": "1; rm -rf /", "commit": "$(reboot)", "previous": "`id`\nx"}
    recording = replace(full, release=release, facts={})
    for name in ("deployment-steps", "rollback", "quick-reference"):
        commands = "\n".join(block.text for block in section_of(recording, name) if isinstance(block, CodeBlock))
        assert "'$(reboot)'" in commands
        assert commands.count("$(reboot)") == commands.count("'$(reboot)'")
        assert commands.count("`id`") == commands.count("'`id` x'")
        assert "v1; rm" not in commands.replace("'v1; rm -rf /'", "").replace("'failed-v1; rm -rf /'", "")


def test_a_release_without_words_leaves_places_to_fill_in(bare: Recording, section_of: SectionOf) -> None:
    commands = "\n".join(block.text for block in section_of(bare, "rollback") if isinstance(block, CodeBlock))
    assert 'git revert --no-edit "$PREVIOUS_COMMIT"..RELEASE_COMMIT' in commands
    assert "HEAD" not in commands
    assert "--force" not in commands


def test_the_package_shows_real_sizes_and_digests(full: Recording, section_of: SectionOf) -> None:
    _, table = section_of(full, "package")[:2]
    assert isinstance(table, Table)
    words = [[getattr(cell[0], "text", cell[0]) for cell in row.cells] for row in table.rows]
    assert words[0] == ["migrations/PRODUCTION_MIGRATION_GOLIVE.sql", "database migration", "312", "13.9 KiB", "ab" * 32]
    small: dict[str, Any] = {"package": [{"path": "a", "sha256": "b", "bytes": 12}], "migration": {"statements": []}}
    recording = replace(full, facts={**full.facts, **small})
    _, table, *_, last = section_of(recording, "package")
    assert isinstance(table, Table)
    assert [cell[0] for cell in table.rows[0].cells][1:4] == ["file", "not measured", "12 B"]
    assert isinstance(last, Paragraph)
    assert last.content == ("0 statements; time that they took: not measured",)


def test_the_load_says_what_it_has_and_no_more(changed: Changed, section_of: SectionOf) -> None:
    recording = changed(facts={"load.summary": {"requests": 100, "failures": 1}, "load.series": [{"t_s": 1, "rps": 5}]})
    *_, figures = section_of(recording, "load")
    assert isinstance(figures, Figures)
    assert [chart.title for chart in figures.charts] == ["Throughput"]


def test_every_list_of_the_verdict_is_there_or_said_to_be_empty(changed: Changed, section_of: SectionOf) -> None:
    from gate.model import Status

    recording = changed({"smoke.send": runs.outcome("smoke.send", Status.FAIL), "schema.campaigns": None})
    blocks = section_of(recording, "decision")
    captions = [block.caption for block in blocks if isinstance(block, Table)]
    assert captions == ["Blocking (1): each of these makes it NO-GO", "Unanswered (1): each of these keeps it from GO"]
    last = blocks[-1]
    assert isinstance(last, ListBlock)
    assert last.items == (("Waived: none",), ("Noted: none",))


def test_a_migration_of_empty_statements_is_not_timed(changed: Changed, section_of: SectionOf) -> None:
    blocks = section_of(changed(facts={"migration": {"statements": []}}), "deployment-steps")
    table = next(block for block in blocks if isinstance(block, Table) and block.caption == "Phase 1 in the rehearsal")
    assert table.rows[1].mark is Mark.NOT_MEASURED
