"""What comes from a journal is text: it breaks no table, becomes no markup, hides nothing and leaks nothing."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from gate.journal import Recording, conclude, read
from gate.model import Evidence, Outcome, Status
from reports.build import build, render, render_run
from reports.document import Document, DocumentName
from reports.tests import runs
from reports.tests.reading import cells_of, parse

Documents = Callable[[Recording], dict[DocumentName, Document]]

OWN_HTML = re.compile(r'<a id="[a-z-]+">|</a>|<a id="[a-z-]+"></a>|<details><summary>[^<>]*</summary>|</details>')

HOSTILE = {
    "script": "<script>alert(1)</script><b>b</b><!-- never closed",
    "attribute": """\"><img src=x onerror=alert(1)> ' onmouseover='alert(1)' x=\"""",
    "closing": "</td></tr></table></details></svg></style></main><script>alert(2)</script>",
    "template": "{{ 7*7 }}{% raw %} &lt;script&gt; &#60;script&#62; &amp;",
    "table": "a | b || c \\| d ends with \\",
    "backticks": "`one` ``two`` ```three``` ✅ pass ✔ ☑",
    "lines": "first\r\n| x | y |\n| --- | --- |\n\n# heading\n- [x] ticked\n1. one",
    "link": "[click](javascript:alert(1)) ![pixel](http://evil.example/x.png) <http://evil.example> www.evil.example "
    "**bold** _it_ ~~gone~~",
    "invisible": "bell\x07 null\x00 escape\x1b[31m delete\x7f c1\x9b "
    "\u202eevil\u202c \u2066isolate\u2069 \u200f مرحبا שלום \ud800 half",
    "long": "A" * 60_000 + "|" * 40_000,
}


def everywhere(text: str) -> Recording:
    """A run that says `text` wherever a journal can say anything."""
    full = runs.full()

    def outcome(item: Outcome) -> Outcome:
        return replace(item, title=text, reason=text, evidence=(Evidence(label=f"x{text}", value=text, unit=text),))

    step = {"name": text, "status": text, "duration_s": 1, "detail": text}
    facts: dict[str, Any] = {
        "environment": dict.fromkeys(("python", "platform", "golive_version", "commit"), text)
        | {"database": {"backend": text, "origin": text, "server_version": text}},
        "package": [{"path": f"{text} .sql", "sha256": text, "bytes": 3, "lines": 1}],
        "plan": {text: text},
        "migration": {"statements": [{"statement": text, "duration_s": 1}], "notices": [text]},
        "smoke.steps": [step | {"name": "send"}, step],
        "scenario.steps": {
            "scenario.scan-connects": [{"keyword": text, "text": text, "status": text, "duration_s": 0.1}],
        },
        "load.summary": {
            "requests": 3, "failures": 0, "rps": 1.0, "latency_ms": {text: 3.0}, "duration_s": 2,
            "endpoints": [{"name": text, "p95_ms": 3}],
        },
        "load.series": [{"t_s": 0, "rps": 1, "failures": 0, "p95_ms": 1}],
        "watch.checkpoints": [
            {"minute": 5, "signals": [{"id": text, "value": 1, "unit": text, "level": text, "limit": {text: text}}]},
        ],
        "watch.series": {text: [[0, 1], [1, 2]]},
        "rollback.steps": [step],
        "rollback.commands": [text],
        "rollback.platforms": {text: {"name": text, "list": text, "rollback": text, "check": text, "note": text}},
        "target": {"url": text, "evolution": text},
        "not_applicable": [{"id": text, "reason": text}],
    }  # fmt: skip
    return replace(
        full,
        # Enough to fill every kind of place; the rest is planned and not measured.
        outcomes=tuple(map(outcome, full.outcomes[::3])),
        facts=facts,
        release=dict.fromkeys(("name", "version", "commit", "previous"), text) | {"contacts": {text: text}},
        parts=tuple(replace(part, name=text) for part in full.parts),
        damage=(text,),
    )


@functools.cache
def rendered(text: str) -> Mapping[DocumentName, str]:
    recording = everywhere(text)
    verdict = conclude(recording, runs.policy(), runs.TODAY)
    return {document.name: render(document) for document in build(recording, verdict, runs.policy())}


@pytest.fixture(params=sorted(HOSTILE))
def hostile(request: pytest.FixtureRequest) -> Mapping[DocumentName, str]:
    return rendered(HOSTILE[request.param])


def test_the_page_has_only_the_elements_that_it_has_for_harmless_content(hostile: Mapping[DocumentName, str]) -> None:
    page = parse(hostile[DocumentName.REPORT])
    assert page.faults == []
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "iframe", "object", "embed", "form", "base", "video"}
    for tag, attrs in page.tags:
        assert not [name for name in attrs if name.startswith("on") or name in {"src", "action", "formaction", "style"}], (
            tag,
            attrs,
        )
        href = attrs.get("href") or ""
        if tag in {"a", "use", "link"}:
            assert re.fullmatch(r"#[\w-]+|[\w.]+\.(md|html)(#[\w-]+)?|data:,", href), href
    assert not re.search(r"(?:^|[^.\w])(?:url\(|@import)", hostile[DocumentName.REPORT])


def test_the_page_is_as_many_rows_and_columns_as_for_harmless_content(hostile: Mapping[DocumentName, str]) -> None:
    harmless = parse(rendered("plain")[DocumentName.REPORT])
    page = parse(hostile[DocumentName.REPORT])

    def shape(found: Any) -> dict[str, int]:
        names = [tag for tag, _ in found.tags if tag in {"tr", "th", "table", "li", "section", "details", "figure"}]
        return {name: names.count(name) for name in set(names)}

    assert shape(page) == shape(harmless)


def test_markdown_reads_as_text_with_whole_tables(hostile: Mapping[DocumentName, str]) -> None:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for name, text in hostile.items():
        if name is DocumentName.REPORT:
            continue
        # A piece is enough where one text fills megabytes.
        flat = [item for token in parser.parse(text[:60_000].rpartition("\n")[0]) for item in (token, *(token.children or ()))]
        for token in flat:
            assert token.type not in {"image", "s_open", "em_open"}, (name, token)
            if token.type in {"html_block", "html_inline"}:
                for line in token.content.strip().splitlines():
                    assert re.fullmatch(
                        r'<a id="[a-z-]+">|</a>|<a id="[a-z-]+"></a>|<details><summary>[^<>]*</summary>|</details>', line
                    ), line
            if token.type == "link_open":
                assert re.fullmatch(r"[\w.]+\.(md|html)(#[\w-]+)?", str(token.attrs["href"])), token.attrs
        columns = 0
        for line in text.splitlines():
            if not line.startswith("|"):
                columns = 0
                continue
            columns = columns or len(cells_of(line))
            assert len(cells_of(line)) == columns, (name, line[:300])


def test_markdown_has_as_many_headings_and_boxes_as_for_harmless_content(hostile: Mapping[DocumentName, str]) -> None:
    harmless = rendered("plain")
    for name, text in hostile.items():
        if name is DocumentName.REPORT:
            continue
        for mark in ("^#+ ", r"^- \[[ x]\] ", r"^\|", "^<details>"):
            assert len(re.findall(mark, text, re.MULTILINE)) == len(re.findall(mark, harmless[name], re.MULTILINE)), (name, mark)


def test_nothing_invisible_or_endless_is_left(hostile: Mapping[DocumentName, str]) -> None:
    for name, text in hostile.items():
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text), name
        text.encode()
        assert len(text) < 3_000_000
        assert "A" * 25_000 not in text


def test_a_long_text_is_cut_and_says_so(documents_of: Documents) -> None:
    text = render(documents_of(everywhere("A" * 100_000))[DocumentName.GATE])
    assert "characters in the journal" in text


def test_many_short_words_in_100_kb_are_cut_before_they_are_masked(
    changed: Callable[..., Recording], documents_of: Documents
) -> None:
    recording = changed({"smoke.send": runs.outcome("smoke.send", Status.FAIL, reason="word-" * 20_000)})
    text = render(documents_of(recording)[DocumentName.EVOLUTION])
    assert "100,000 characters in the journal" not in text
    text = render(documents_of(recording)[DocumentName.GATE])
    assert re.search(r"cut: 100,\d{3} characters in the journal", text)


def test_a_recorded_tick_does_not_look_like_a_result(changed: Callable[..., Recording], documents_of: Documents) -> None:
    recording = changed({"smoke.send": runs.outcome("smoke.send", Status.FAIL, reason="✅ pass")})
    text = render(documents_of(recording)[DocumentName.GATE])
    line = next(line for line in text.splitlines() if line.startswith("| `smoke.send` | Send"))
    assert "✅" not in line
    assert "(tick) pass" in line


def test_secrets_and_phones_are_masked_even_when_the_journal_was_written_without_a_masker(documents_of: Documents) -> None:
    canary = "hunter2-canary-9871"
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlY2FuYXJ5"
    text = f"password={canary} Authorization: Bearer {token} postgresql://app:{canary}@db/x phone 5511987654321"
    for name, document in documents_of(everywhere(text)).items():
        rendered = render(document)
        for secret in (canary, token, "5511987654321", "551198765"):
            assert secret not in rendered, (name, secret)
        assert "[MASKED]" in rendered or "&#91;MASKED&#93;" in rendered


def test_a_secret_behind_a_control_character_or_at_the_cut_is_masked(documents_of: Documents) -> None:
    canary = "hunter2-canary-9871"
    texts = (
        f"pass\u200bword=x {'y ' * 1_180} password={canary}",
        f"{'y' * 1_190} password={canary} {'z ' * 900}",
        f"api_key:{canary}" + "z" * 9_000,
    )
    for text in texts:
        written = render(documents_of(everywhere(text))[DocumentName.DEPLOYMENT])
        assert "characters in the journal" in written
        assert "hunter2" not in written


def test_values_known_to_be_secret_are_masked(run_dir: Path) -> None:
    from gate.masking import Masker

    paths = render_run(run_dir, runs.policy(), runs.TODAY, masker=Masker(["Evolution WhatsApp integration"]))
    for path in paths:
        assert "Evolution WhatsApp integration" not in path.read_text(encoding="utf-8")


def test_a_hostile_journal_goes_through_disk(tmp_path: Path) -> None:
    text = "<script>x</script>\u202e|\n`"
    path = runs.write_run(tmp_path, change=lambda item: replace(item, reason=text), release={"name": text})
    for written in render_run(path.parent, runs.policy(), runs.TODAY):
        assert "<script>" not in written.read_text(encoding="utf-8")


@pytest.mark.parametrize("release", ["text", 5, None, ["name"], {"name": {"a": 1}, "contacts": [1], "version": True}])
def test_a_release_record_of_another_shape_is_not_measured(release: object, documents_of: Documents) -> None:
    recording = replace(runs.full(), release=release)  # type: ignore[arg-type]
    text = render(documents_of(recording)[DocumentName.EXECUTIVE])
    assert "| Release | not measured |" in text
    assert "Contacts: ◻️ not measured" in text


@pytest.mark.parametrize(
    "value", [None, 5, "text", [], {}, [1], [[]], {"a": 1}, [{}], [{"minute": "x"}], float("nan"), 10**400, True]
)
def test_no_fact_of_any_shape_breaks_a_document_or_passes(value: object) -> None:
    full = runs.full()
    recording = replace(full, facts=dict.fromkeys(full.facts, value))
    verdict = conclude(recording, runs.policy(), runs.TODAY)
    texts = {document.name: render(document) for document in build(recording, verdict, runs.policy())}
    assert parse(texts[DocumentName.REPORT]).faults == []
    assert "not measured" in texts[DocumentName.MONITORING]


def test_the_journal_on_disk_may_hold_numbers_that_are_none(tmp_path: Path) -> None:
    path = runs.write_run(tmp_path, more_facts={"load.summary": {"requests": float("nan"), "failures": float("inf")}})
    recording = read(path)
    verdict = conclude(recording, runs.policy(), runs.TODAY)
    text = next(render(item) for item in build(recording, verdict, runs.policy()) if item.name is DocumentName.ORCHESTRATION)
    assert "unreadable fact load.summary: requests is out of range" in text
