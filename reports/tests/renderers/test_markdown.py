from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from gate.model import Decision
from reports.document import (
    Badge,
    Block,
    Code,
    CodeBlock,
    Document,
    DocumentName,
    Link,
    ListBlock,
    Mark,
    Paragraph,
    Row,
    Section,
    SignatureBlock,
    Table,
)  # fmt: skip
from reports.renderers.markdown import escape, render


def document(*blocks: Block) -> Document:
    return Document(
        name=DocumentName.GATE,
        title="Title",
        subtitle="Subtitle",
        decision=Decision.HOLD,
        recorded_at=None,
        sections=(Section(id="one", title="One", blocks=blocks),),
    )


@pytest.mark.parametrize(
    "text",
    [
        "a | b",
        "`x`",
        "*a* **b**",
        "_a_ __b__",
        "[a](b)",
        "![a](b)",
        "<b>",
        "&amp;",
        "a\\",
        "\\|",
        "~~a~~",
        "http://a.b www.c.d a@b.c",
    ],
)
def test_escaped_text_reads_back_as_it_was(text: str) -> None:
    (paragraph,) = [
        token for token in MarkdownIt("commonmark").enable("strikethrough").parse(escape(text)) if token.type == "inline"
    ]
    assert paragraph.children is not None
    assert {token.type for token in paragraph.children} <= {"text", "text_special"}
    assert "".join(token.content for token in paragraph.children) == text


def test_names_with_underscores_stay_readable() -> None:
    assert escape("unit_whatsapp_connections") == "unit_whatsapp_connections"
    assert escape("_edge_ and __init__") == "&#95;edge&#95; and &#95;&#95;init&#95;&#95;"


def test_lines_become_spaces() -> None:
    assert escape("one\n\ttwo\r\n three") == "one two three"


@pytest.mark.parametrize("text", ["# a", "- a", "+ a", "1. a", "12) a", "=== a", "> a"])
def test_a_paragraph_or_item_cannot_begin_a_block(text: str) -> None:
    rendered = render(document(Paragraph(content=(text,)), ListBlock(items=((text,),), ordered=True)))
    kinds = [token.type for token in MarkdownIt().parse(rendered)]
    assert kinds.count("heading_open") == 2
    assert kinds.count("ordered_list_open") == 1
    assert kinds.count("bullet_list_open") == kinds.count("blockquote_open") == 0


def test_a_code_block_is_fenced_longer_than_what_it_holds() -> None:
    rendered = render(document(CodeBlock(text="```\n````\nx", language="bash")))
    assert "`````bash\n```\n````\nx\n`````" in rendered


def test_code_that_a_span_could_not_hold_is_plain_text() -> None:
    rendered = render(
        document(Paragraph(content=(Code(text="a|b"), " ", Code(text="`"), " ", Code(text="plain"), Code(text=""))))
    )
    assert "a&#124;b &#96; `plain`" in rendered


def test_badges_carry_a_shape_and_a_word() -> None:
    rendered = render(document(Paragraph(content=tuple(Badge(mark=mark) for mark in Mark))))
    for mark in Mark:
        assert f" {mark.value}" in rendered
    assert "9/9 fine" in render(document(Paragraph(content=(Badge(mark=Mark.PASS, text="9/9 fine"),))))


def test_links_lead_to_documents_beside_this_one_only() -> None:
    assert "[a](report.html#risks)" in render(document(Paragraph(content=(Link(text="a", target="report.html#risks"),))))
    for target in ("", "http://a.b", "javascript:x", "../up.md", "/abs", "a b", "#"):
        with pytest.raises(ValueError, match="neither"):
            Link(text="a", target=target)


def test_the_signature_is_left_empty() -> None:
    rendered = render(document(SignatureBlock(fields=("Approver", "Date"))))
    assert f"| Approver | {'&#95;' * 32} |" in rendered


def test_a_table_needs_as_many_cells_as_columns() -> None:
    with pytest.raises(ValueError, match="a row of 1 cells under 2 columns"):
        Table(caption="t", columns=("a", "b"), rows=(Row(cells=(("x",),)),))
