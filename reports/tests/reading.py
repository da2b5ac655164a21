"""Reads what the renderers wrote, as a browser and a Markdown reader would, with parsers that know nothing of the renderers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

__all__ = ["Page", "cells_of", "parse"]

_VOID = {"meta", "link", "br", "input", "img", "hr"}


@dataclass
class Page(HTMLParser):
    """A parsed page: every start tag with its attributes, the table rows with their mark and text, and what is not balanced."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    rows: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []
        self._row: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "tr":
            self._row = (found.get("data-mark") or "", [])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")
        if tag == "tr" and self._row is not None:
            self.rows.append((self._row[0], " ".join("".join(self._row[1]).split())))
            self._row = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._row is not None:
            self._row[1].append(f"{data} ")


def parse(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    page.faults += [f"<{tag}> stays open" for tag in page._open]
    return page


def cells_of(line: str) -> list[str]:
    """The cells of one Markdown table line; an escaped pipe does not divide."""
    return re.split(r"(?<!\\)\|", line.strip().strip("|"))
