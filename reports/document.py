"""What a document is made of: frozen records of content that say nothing about how it will look.

A claim carries its sources, the ids of outcomes and the names of facts (`fact:load.summary`) that it traces to, and a `Mark`
that was computed from them. Renderers turn a `Document` into text; `prepared` is the last net before they do.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, ClassVar, TypeVar

from gate.masking import Masker
from gate.model import Decision, Status

__all__ = [
    "Badge",
    "Bar",
    "BarChart",
    "Block",
    "Checklist",
    "ChecklistItem",
    "Code",
    "CodeBlock",
    "Content",
    "Document",
    "DocumentName",
    "Figures",
    "Heading",
    "Hero",
    "Inline",
    "Limit",
    "Line",
    "LineChart",
    "Link",
    "ListBlock",
    "Mark",
    "Notice",
    "Paragraph",
    "Row",
    "Section",
    "SignatureBlock",
    "Span",
    "Table",
    "Timeline",
    "clean",
    "prepared",
    "rows_of",
]

LONGEST_TEXT = 1_200
LONGEST_CODE = 4_000

# Controls without a glyph, marks that reorder or hide text, tags, lone surrogates: what makes a line read other than it is.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
# Only a badge may look like a badge: a recorded text with a tick of its own must not read as a result.
_SHAPES_OF_RESULTS = str.maketrans(dict.fromkeys("✅✓✔☑🗹🟢", "(tick)") | dict.fromkeys("❌✗✘☒🔴", "(cross)"))
_LINE_ENDS = re.compile("\r\n|[\r\x85\u2028\u2029]")
_TARGET = re.compile(r"(?=.)([A-Za-z0-9][A-Za-z0-9._-]*)?(#[a-z0-9-]+)?")


class DocumentName(StrEnum):
    """The documents of one run; the value is the file's stem."""

    REPORT = "report"
    EXECUTIVE = "GOLIVE_EXECUTIVE_SUMMARY"
    DEPLOYMENT = "GOLIVE_DEPLOYMENT_GUIDE"
    MONITORING = "GOLIVE_MONITORING_RUNBOOK"
    ORCHESTRATION = "GOLIVE_ORCHESTRATION_REPORT"
    GATE = "RELEASE_GATE_RESULTS"
    EVOLUTION = "EVOLUTION_INTEGRATION_SUMMARY"

    @property
    def file(self) -> str:
        return f"{self.value}.html" if self is DocumentName.REPORT else f"{self.value}.md"


class Mark(StrEnum):
    """How a claim stands, from best to worst: the six words of an outcome, and that there is none."""

    PASS = "pass"  # noqa: S105
    SKIP = "skip"
    WARN = "warn"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    NOT_MEASURED = "not measured"
    FAIL = "fail"

    @property
    def rank(self) -> int:
        return list(Mark).index(self)

    @classmethod
    def of(cls, status: Status) -> Mark:
        return cls(status.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A word of a machine: an id, a command, a path."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """A mark as a shape and a word; `text` stands in for the word ("9/9 passed")."""

    kind: ClassVar[str] = "badge"
    mark: Mark
    text: str = ""

    @property
    def word(self) -> str:
        return self.text or self.mark.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """To a document beside this one, or to a section of one (`report.html#rollback`). Raises ValueError for any other target."""

    kind: ClassVar[str] = "link"
    text: str
    target: str

    def __post_init__(self) -> None:
        if not _TARGET.fullmatch(self.target):
            raise ValueError(f"{self.target!r} is neither a document beside this one nor a section of one")


Inline = str | Code | Badge | Link
Content = tuple[Inline, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    kind: ClassVar[str] = "paragraph"
    content: Content
    sources: tuple[str, ...] = ()
    mark: Mark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBlock:
    kind: ClassVar[str] = "list"
    items: tuple[Content, ...]
    ordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeBlock:
    """Commands for a person to run, or output as it was recorded."""

    kind: ClassVar[str] = "code_block"
    text: str
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table. With `sources` it is a claim and carries the mark that they add up to."""

    cells: tuple[Content, ...]
    sources: tuple[str, ...] = ()
    mark: Mark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The first cell of a row heads it. `filterable` offers to show the rows of one mark only."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    filterable: bool = False
    collapsed: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"table {self.caption!r}: a row of {len(row.cells)} cells under {len(self.columns)} columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistItem:
    """Ticked where its mark is PASS; `mark` is None for what only a person can confirm."""

    text: str
    proof: Content
    sources: tuple[str, ...] = ()
    mark: Mark | None = None

    @property
    def ticked(self) -> bool:
        return self.mark is Mark.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    kind: ClassVar[str] = "checklist"
    title: str
    items: tuple[ChecklistItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that must not be overlooked; the mark gives its shape and colour."""

    kind: ClassVar[str] = "notice"
    mark: Mark
    title: str
    items: tuple[Content, ...]
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureBlock:
    """Lines that a person fills in by hand; never filled by a machine."""

    kind: ClassVar[str] = "signature"
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hero:
    """The first thing that is read: the decision, of what, and what stands in its way."""

    kind: ClassVar[str] = "hero"
    decision: Decision
    sentence: str
    facts: tuple[tuple[str, str], ...]
    counts: tuple[tuple[Mark, int], ...]
    obstacles_title: str
    obstacles: tuple[Content, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit in the unit of the y axis; `mark` is what a value beyond it stands for."""

    label: str
    value: float
    mark: Mark = Mark.WARN


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points (x, y) in order of x; `step` for counts, which jump."""

    name: str
    points: tuple[tuple[float, float], ...]
    step: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    kind: ClassVar[str] = "line_chart"
    title: str
    description: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    limits: tuple[Limit, ...] = ()
    whole: bool = False

    def table(self, most: int = 40) -> Table:
        """The same numbers for who cannot see the picture; about `most` rows, evenly thinned, always with the last."""
        xs = sorted({x for line in self.lines for x, _ in line.points})
        stride = max(1, -(-len(xs) // most))
        chosen = xs[::stride]
        if xs and chosen[-1] != xs[-1]:
            chosen.append(xs[-1])
        values = [dict(line.points) for line in self.lines]
        return Table(
            caption=self.title + (f" (every {stride}. point)" if stride > 1 else ""),
            columns=(self.x_label, *(f"{line.name} [{self.y_label}]" for line in self.lines)),
            rows=tuple(
                Row(cells=((f"{x:g}",), *((f"{column[x]:g}" if x in column else "–",) for column in values))) for x in chosen
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    label: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    kind: ClassVar[str] = "bar_chart"
    title: str
    description: str
    unit: str
    bars: tuple[Bar, ...]

    def table(self) -> Table:
        return Table(
            caption=self.title,
            columns=("what", self.unit),
            rows=tuple(Row(cells=((bar.label,), (f"{bar.value:g}",))) for bar in self.bars),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From `start_s` to `end_s`, seconds after the run began; `end_s` is None for what never ended."""

    label: str
    start_s: float
    end_s: float | None
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    kind: ClassVar[str] = "timeline"
    title: str
    description: str
    spans: tuple[Span, ...]

    def table(self) -> Table:
        return Table(
            caption=self.title,
            columns=("part", "began after [s]", "took [s]"),
            rows=tuple(
                Row(
                    cells=(
                        (span.label,),
                        (f"{span.start_s:.1f}",),
                        ("never ended" if span.end_s is None else f"{span.end_s - span.start_s:.1f}",),
                    )
                )
                for span in self.spans
            ),
        )


Chart = LineChart | BarChart | Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Charts side by side. Raises ValueError for none: an empty series is said in words, never drawn."""

    kind: ClassVar[str] = "figures"
    charts: tuple[Chart, ...]

    def __post_init__(self) -> None:
        if not self.charts:
            raise ValueError("figures without a chart")


Block = Heading | Paragraph | ListBlock | CodeBlock | Table | Checklist | Notice | SignatureBlock | Hero | Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    name: DocumentName
    title: str
    subtitle: str
    decision: Decision
    recorded_at: datetime | None
    sections: tuple[Section, ...]


def rows_of(document: Document) -> Iterator[Row | ChecklistItem | Paragraph]:
    """Every claim of a document: rows, checklist items and paragraphs that carry sources."""
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Table):
                yield from (row for row in block.rows if row.sources)
            elif isinstance(block, Checklist):
                yield from (item for item in block.items if item.sources)
            elif isinstance(block, Paragraph) and block.sources:
                yield block


def clean(text: str, *, masker: Masker, longest: int) -> str:
    """The text as it may be shown: one kind of line end, no control or reordering character, no shape of a result,
    masked, and cut at `longest`.
    """
    text = _UNSAFE.sub("\ufffd", _LINE_ENDS.sub("\n", text)).translate(_SHAPES_OF_RESULTS)
    total = len(text)
    if total > 2 * longest:
        # Before masking, whose time grows with the square of a text; at a space, since half a secret no longer looks like one.
        text = text[: 2 * longest].rsplit(None, 1)[0]
    text = str(masker.value(text))
    if total > longest and len(text) > longest:
        return f"{text[:longest]} … (cut: {total:,} characters in the journal)"
    return text if total <= 2 * longest else f"{text} … (cut: {total:,} characters in the journal)"


def prepared(document: Document, masker: Masker) -> Document:
    """The document with every text in it cleaned and masked."""
    # The same ids and reasons stand in many places; each is masked once.
    text = functools.cache(functools.partial(clean, masker=masker, longest=LONGEST_TEXT))
    code = functools.cache(functools.partial(clean, masker=masker, longest=LONGEST_CODE))
    return _mapped(document, text, code)


_T = TypeVar("_T")


def _mapped(value: _T, text: Callable[[str], str], code: Callable[[str], str]) -> _T:
    result: Any = value
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        result = text(value)
    elif isinstance(value, tuple):
        result = tuple(_mapped(item, text, code) for item in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = code if isinstance(value, CodeBlock) else text
        changes = {field.name: _mapped(getattr(value, field.name), inner, code) for field in dataclasses.fields(value)}
        result = dataclasses.replace(value, **changes)
    return result  # type: ignore[no-any-return]
