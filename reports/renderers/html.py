"""A document as one self-contained HTML page: no script, no request, readable without style.

Every text passes through jinja2's autoescape; the charts come as SVG from `reports.renderers.svg`, which builds an element tree.
"""

from __future__ import annotations

import functools
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from gate.masking import Masker
from reports.document import Chart, Content, Document, Mark, prepared
from reports.renderers import svg

__all__ = ["render"]


def render(document: Document, *, masker: Masker | None = None) -> str:
    """The whole page. Masks and cleans every text before it writes it."""
    document = prepared(document, masker if masker is not None else Masker())
    return _template().render(document=document, marks=list(Mark), present=_present)


@functools.cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"kind": _kind, "slug": _slug, "draw": _draw, "plain": _plain}
    return environment.get_template("report.html.j2")


def _kind(item: Any) -> str:
    return str(getattr(item, "kind", "text"))


def _slug(mark: Mark | None) -> str:
    return "" if mark is None else mark.value.replace(" ", "-")


def _draw(chart: Chart, name: str) -> Markup:
    return Markup(svg.draw(chart, name))  # noqa: S704 – an element tree that escaped its texts itself


def _plain(content: Content) -> str:
    return "".join(item if isinstance(item, str) else getattr(item, "word", "") or getattr(item, "text", "") for item in content)


def _present(rows: Any) -> list[Mark]:
    """The marks that occur in a table, worst first, to offer a filter for each."""
    found = {row.mark for row in rows if row.mark is not None}
    return [mark for mark in reversed(Mark) if mark in found]
