"""Rows and words that several sections use: a claim with its sources, a fact that is not there, a number with its unit."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable

from reports.document import Badge, Code, Content, Mark, Paragraph, Row
from reports.view import Answer, Group, Missing

_LONGEST_WORD = 120

__all__ = ["answer_row", "claim", "ids", "not_measured", "number", "quoted", "seconds", "size", "source", "unreadable"]


def source(fact: str) -> str:
    """The name of a fact as a source of a claim."""
    return f"fact:{fact}"


def claim(what: Content, group: Group, *extra: Content) -> Row:
    """`what` | extra cells | mark | how many of how many, and what the worst says | ids."""
    words = " – ".join(filter(None, (group.summary, group.worst)))
    return Row(cells=(what, *extra, (group.badge,), (words,), ids(group.ids)), sources=group.ids, mark=group.mark)


def answer_row(answer: Answer, *, titled: bool = True) -> Row:
    """id | title | mark | what was seen | seconds."""
    took = seconds(answer.outcome.duration_s) if answer.outcome is not None else "–"
    cells: list[Content] = [(Code(text=answer.id),)]
    if titled:
        cells.append((answer.title or "–",))
    cells += [(Badge(mark=answer.mark),), (answer.detail,), (took,)]
    return Row(cells=tuple(cells), sources=(answer.id,), mark=answer.mark)


def not_measured(missing: Missing, columns: int, *, what: str = "") -> Row:
    """A row that says that a fact is not there, in as many cells as the table has columns."""
    first: Content = (what or str(missing),)
    middle: Content = (Badge(mark=Mark.NOT_MEASURED), f" {missing}" if missing.why else "")
    return Row(
        cells=(first, middle, *(("–",) for _ in range(columns - 2))), sources=(source(missing.name),), mark=Mark.NOT_MEASURED
    )


def unreadable(missing: Missing, what: str) -> Paragraph:
    """The paragraph that stands where a table or chart of a fact would be."""
    return Paragraph(
        content=(f"{what}: ", Badge(mark=Mark.NOT_MEASURED), str(missing).removeprefix("not measured")),
        sources=(source(missing.name),),
        mark=Mark.NOT_MEASURED,
    )


def ids(names: Iterable[str], *, most: int = 3) -> Content:
    """Ids as code; more than a few as their families with how many of each."""
    names = list(names)
    if len(names) > most:
        families = Counter(name.split(".")[0] for name in names)
        names = [f"{family}.* ({count})" for family, count in families.items()]
    content: list[str | Code] = []
    for name in names:
        content += [" ", Code(text=name)]
    return tuple(content[1:]) or ("–",)


def number(value: float | None, unit: str = "") -> str:
    if value is None:
        return "not measured"
    words = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3g}" if abs(value) < 100 else f"{value:,.1f}"
    return f"{words} {unit}" if unit else words


def seconds(value: float | None) -> str:
    """`12 ms`, `1.23 s`, `2 min 5 s`, `not measured`."""
    if value is None:
        return "not measured"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 100:
        return f"{value:.2f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def size(value: int) -> str:
    return f"{value / 1024:,.1f} KiB" if value >= 1024 else f"{value} B"


def quoted(word: str, fallback: str) -> str:
    """A word of the journal as one word of a shell command; `fallback` when there is none."""
    return shlex.quote(" ".join(word.split())[:_LONGEST_WORD]) if word.strip() else fallback
