from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gate.journal import Recording
from gate.model import Status
from reports.build import render
from reports.document import Document, DocumentName
from reports.tests import runs
from reports.tests.reading import Page, parse

Documents = Callable[[Recording], dict[DocumentName, Document]]


def page_of(recording: Recording, documents_of: Documents) -> tuple[str, Page]:
    html = render(documents_of(recording)[DocumentName.REPORT])
    return html, parse(html)


def attributes(page: Page, tag: str) -> list[dict[str, str | None]]:
    return [attrs for name, attrs in page.tags if name == tag]


def test_the_page_asks_nothing_of_anyone(full: Recording, documents_of: Documents) -> None:
    html, page = page_of(full, documents_of)
    assert page.faults == []
    assert not [tag for tag, _ in page.tags if tag in {"script", "img", "iframe"}]
    assert [attrs["href"] for attrs in attributes(page, "link")] == ["data:,"]
    assert "@import" not in html
    assert "url(" not in html
    policy = next(attrs["content"] for attrs in attributes(page, "meta") if attrs.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_every_id_is_its_own_and_every_reference_has_one(full: Recording, documents_of: Documents) -> None:
    _, page = page_of(full, documents_of)
    ids = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    for _, attrs in page.tags:
        for name in ("aria-labelledby", "href"):
            value = attrs.get(name) or ""
            targets = value.split() if name == "aria-labelledby" else [value[1:]] if value.startswith("#") else []
            assert set(targets) <= set(ids), attrs


def test_tables_have_captions_headers_and_scopes(full: Recording, documents_of: Documents) -> None:
    _, page = page_of(full, documents_of)
    assert len(attributes(page, "caption")) == len(attributes(page, "table")) > 30
    assert {attrs.get("scope") for attrs in attributes(page, "th")} == {"col", "row"}
    assert len([attrs for attrs in attributes(page, "th") if attrs.get("scope") == "row"]) >= 200


def test_charts_have_a_name_a_description_and_a_table(full: Recording, documents_of: Documents) -> None:
    html, page = page_of(full, documents_of)
    charts = [attrs for attrs in attributes(page, "svg") if attrs.get("class") == "chart"]
    assert len(charts) == len(attributes(page, "figure")) == 5 + len(runs.SIGNALS) + 1
    assert all(attrs["role"] == "img" and attrs["aria-labelledby"] for attrs in charts)
    figures = re.findall(r"<figure>.*?</figure>", html, re.DOTALL)
    assert all("<title " in figure and "<desc " in figure and "<table" in figure for figure in figures)


def test_a_person_finds_the_way_by_keyboard(full: Recording, documents_of: Documents) -> None:
    _, page = page_of(full, documents_of)
    assert page.tags[[tag for tag, _ in page.tags].index("body") + 1] == ("a", {"class": "skip-link", "href": "#content"})
    assert attributes(page, "nav") == [{"aria-label": "Sections"}]
    assert len(attributes(page, "main")) == len(attributes(page, "h1")) == 1
    assert attributes(page, "html") == [{"lang": "en"}]
    scrolling = [attrs for attrs in attributes(page, "div") if attrs.get("class") == "scroll"]
    assert all(attrs.get("tabindex") == "0" and attrs.get("aria-label") for attrs in scrolling)


def test_checks_can_be_filtered_by_each_status_that_occurs(changed: Callable[..., Recording], documents_of: Documents) -> None:
    recording = changed({"smoke.send": runs.outcome("smoke.send", Status.FAIL), "load.failures": None})
    html, page = page_of(recording, documents_of)
    radios = [attrs["value"] for attrs in attributes(page, "input")]
    assert radios == ["all", "fail", "not-measured", "pass"]
    for value in radios[1:]:
        assert f'.filtered:has(input[value="{value}"]:checked) tbody tr:not([data-mark="{value}"]) {{ display: none; }}' in html


def test_a_status_is_a_word_and_a_shape_too(full: Recording, documents_of: Documents) -> None:
    html, _ = page_of(full, documents_of)
    badges = re.findall(r'<span class="badge m-([\w-]+)">(.*?)</bdi>', html)
    assert badges
    for mark, inner in badges:
        assert f'<use href="#i-{mark}"/>' in inner
        assert re.search(r"<bdi>[^<]+$", inner)


def test_it_prints_and_has_a_dark_side(full: Recording, documents_of: Documents) -> None:
    html, _ = page_of(full, documents_of)
    for rule in ("@media print", "@media (prefers-color-scheme: dark)", "@media (prefers-reduced-motion: reduce)", "@page"):
        assert rule in html


def test_the_sign_off_is_left_to_a_person(full: Recording, documents_of: Documents) -> None:
    html, _ = page_of(full, documents_of)
    signature = re.search(r'<dl class="signature">.*?</dl>', html, re.DOTALL)
    assert signature is not None
    assert re.findall(r"<dd>(.*?)</dd>", signature[0]) == ['<span class="sr">to be filled in by hand</span>'] * 4


def test_an_empty_series_is_said_and_not_drawn(changed: Callable[..., Recording], documents_of: Documents) -> None:
    facts: dict[str, Any] = {"load.series": [], "watch.series": {}, "load.summary": {"requests": 0, "failures": 0}}
    _, page = page_of(changed(facts=facts), documents_of)
    assert len(attributes(page, "figure")) == 1
    assert "Load over time: not measured (unreadable fact load.series: no points)" in " ".join(page.text.split())
    assert "Signals over time: not measured (unreadable fact watch.series: no signals)" in " ".join(page.text.split())
