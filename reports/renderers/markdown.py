"""A document as Markdown (GitHub's dialect).

What comes from a journal is text and stays text: every character that Markdown or HTML could read as structure is written as an
entity, which Markdown never reads as structure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gate.masking import Masker
from reports.document import (
    Badge,
    Block,
    Checklist,
    Code,
    CodeBlock,
    Content,
    Document,
    Figures,
    Heading,
    Hero,
    Inline,
    LineChart,
    ListBlock,
    Mark,
    Notice,
    Paragraph,
    SignatureBlock,
    Table,
    prepared,
)

__all__ = ["escape", "render"]

_SHAPES = {
    Mark.PASS: "✅",
    Mark.SKIP: "➖",
    Mark.WARN: "⚠️",
    Mark.INCONCLUSIVE: "❔",
    Mark.ERROR: "⛔",
    Mark.NOT_MEASURED: "◻️",
    Mark.FAIL: "❌",
}
_MOST_POINTS = 8
_DECISIONS = {"GO": "🟢", "NO-GO": "🔴", "HOLD": "🟡"}
_ENTITIES = {ord(character): f"&#{ord(character)};" for character in "\\`*[]|~!"} | {
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord("&"): "&amp;",
}
# An underscore inside a word is no emphasis, so names stay readable.
_EDGE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_AUTOLINK = re.compile(r"(://|\bwww\.|@)", re.IGNORECASE)
_BLOCK_START = re.compile(r"^(\s*)(#|[-+=]|\d{1,9}[.)])")


def render(document: Document, *, masker: Masker | None = None) -> str:
    """The whole file, ending in one line end. Masks and cleans every text before it writes it."""
    document = prepared(document, masker if masker is not None else Masker())
    lines = [f"# {escape(document.title)}", "", escape(document.subtitle), ""]
    for section in document.sections:
        if not isinstance(section.blocks[0] if section.blocks else None, Hero):
            lines += [f'<a id="{section.id}"></a>', "", f"## {escape(section.title)}", ""]
        for block in section.blocks:
            lines += [*_block(block), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip("\n") + "\n"


def escape(text: str) -> str:
    """One line of plain text that Markdown shows as it is, also inside a table."""
    text = " ".join(text.split()).translate(_ENTITIES)
    text = _EDGE_UNDERSCORE.sub("&#95;", text)
    return _AUTOLINK.sub(lambda found: "".join(f"&#{ord(item)};" if item in ":.@" else item for item in found[0]), text)


def _inline(item: Inline) -> str:
    if isinstance(item, str):
        # Spaces at the ends separate it from its neighbours.
        left, right = item[:1].isspace(), item[-1:].isspace()
        return f"{' ' if left else ''}{escape(item)}{' ' if right and item.strip() else ''}"
    if isinstance(item, Code):
        text = " ".join(item.text.split())
        if re.search(r"[`|\\<>&]", text) or not text:
            return escape(text)
        return f"`{text}`"
    if isinstance(item, Badge):
        return f"{_SHAPES[item.mark]} {escape(item.word)}"
    return f"[{escape(item.text)}]({item.target})"


def _content(content: Content) -> str:
    return "".join(map(_inline, content)).strip()


def _line(content: Content) -> str:
    """Content at the beginning of a line, where `#` or `1.` would begin a block."""
    return _BLOCK_START.sub(lambda found: f"{found[1]}{''.join(f'&#{ord(item)};' for item in found[2])}", _content(content))


def _block(block: Block) -> Iterator[str]:
    match block:
        case Heading(text=text):
            yield f"### {escape(text)}"
        case Paragraph(content=content):
            yield _line(content)
        case ListBlock(items=items, ordered=ordered):
            for number, item in enumerate(items, start=1):
                yield f"{f'{number}.' if ordered else '-'} {_line(item)}"
        case CodeBlock(text=text, language=language):
            longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
            fence = "`" * max(3, longest + 1)
            yield f"{fence}{language}"
            yield text
            yield fence
        case Table():
            yield from _table(block)
        case Checklist(title=title, items=entries):
            yield f"**{escape(title)}**"
            yield ""
            for entry in entries:
                yield f"- [{'x' if entry.ticked else ' '}] {escape(entry.text)} – {_content(entry.proof)}"
        case Notice(mark=mark, title=title, items=items):
            yield "> [!CAUTION]"
            yield f"> **{_SHAPES[mark]} {escape(title)}**"
            yield ">"
            for item in items:
                yield f"> - {_line(item)}"
        case SignatureBlock(fields=fields):
            yield "| Field | To be filled in by hand |"
            yield "| --- | --- |"
            for name in fields:
                yield f"| {escape(name)} | {'&#95;' * 32} |"
        case Hero():
            yield from _hero(block)
        case Figures(charts=charts):
            for chart in charts:
                yield f"**{escape(chart.title)}** – {escape(chart.description)}"
                yield ""
                yield from _rows(chart.table(_MOST_POINTS) if isinstance(chart, LineChart) else chart.table())
                yield ""


def _table(table: Table) -> Iterator[str]:
    yield f"**{escape(table.caption)}**"
    yield ""
    if table.collapsed:
        yield f"<details><summary>{escape(table.caption)}</summary>"
        yield ""
    yield from _rows(table)
    if table.collapsed:
        yield ""
        yield "</details>"


def _rows(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(map(escape, table.columns))} |"
    yield f"|{' --- |' * len(table.columns)}"
    for row in table.rows:
        yield f"| {' | '.join(_content(cell) or ' ' for cell in row.cells)} |"


def _hero(hero: Hero) -> Iterator[str]:
    yield f"## {_DECISIONS[hero.decision.value]} {hero.decision.value}"
    yield ""
    yield f"**{escape(hero.sentence)}**"
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    for name, value in hero.facts:
        yield f"| {escape(name)} | {escape(value)} |"
    yield f"| Checks | {', '.join(f'{count} {mark.value}' for mark, count in hero.counts)} |"
    if hero.obstacles:
        yield ""
        yield f"**{escape(hero.obstacles_title)}**"
        yield ""
        for item in hero.obstacles:
            yield f"- {_line(item)}"
