"""Charts as SVG: small, crisp, coloured by the page's style sheet, with a title and a description for who cannot see them.

Built as an element tree, so a label can never become markup.
"""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

from reports.document import BarChart, Chart, LineChart, Mark, Timeline

__all__ = ["draw", "ticks"]

_WIDTH, _HEIGHT = 440, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 26, 34
_MINUTE_STEPS = (1, 2, 5, 10, 15, 20, 30, 60)


def draw(chart: Chart, name: str) -> str:
    """One `<svg>` element; `name` begins the ids in it and must be its own in the page."""
    match chart:
        case LineChart():
            root = _lines(chart, name)
        case BarChart():
            root = _bars(chart, name)
        case Timeline():
            root = _timeline(chart, name)
    return ET.tostring(root, encoding="unicode")


def ticks(low: float, high: float, *, most: int = 5, whole: bool = False) -> list[float]:
    """At most about `most` round numbers from at or below `low` to at or above `high`; `whole` for what is counted."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((factor * power for factor in (1, 2, 2.5, 5) if factor * power >= raw), 10 * power)
    step = max(step, 1.0) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def _canvas(chart: Chart, name: str, height: float) -> ET.Element:
    root = ET.Element(
        "svg",
        {
            "viewBox": f"0 0 {_WIDTH} {height:g}",
            "role": "img",
            "class": "chart",
            "aria-labelledby": f"{name}-title {name}-desc",
        },
    )
    ET.SubElement(root, "title", {"id": f"{name}-title"}).text = chart.title
    ET.SubElement(root, "desc", {"id": f"{name}-desc"}).text = chart.description
    return root


def _text(parent: ET.Element, x: float, y: float, text: str, *, kind: str = "tick", anchor: str = "start") -> None:
    ET.SubElement(parent, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": kind, "text-anchor": anchor}).text = text


def _rule(parent: ET.Element, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
    ET.SubElement(parent, "line", {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}", "class": kind})


def _label(value: float) -> str:
    if abs(value) >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}"


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _x_ticks(low: float, high: float, *, minutes: bool) -> list[float]:
    if minutes and high - low <= 240:
        step = next((item for item in _MINUTE_STEPS if (high - low) / item <= 6), 60)
        return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [value for value in ticks(low, high) if low <= value <= high]


def _lines(chart: LineChart, name: str) -> ET.Element:
    root = _canvas(chart, name, _HEIGHT)
    xs = [x for line in chart.lines for x, _ in line.points]
    ys = [y for line in chart.lines for _, y in line.points]
    top = max([*ys, 0.0])
    # The first limit is always in sight; a further one only while it does not flatten the line.
    limits = [item for index, item in enumerate(chart.limits) if index == 0 or item.value <= 3 * max(top, chart.limits[0].value)]
    ceiling = max([top, *(item.value * 1.08 for item in limits)]) or 1.0
    if chart.y_label == "%" and top <= 100:
        ceiling = min(ceiling, 100.0)
    y_ticks = ticks(min([*ys, 0.0]), ceiling, most=4, whole=chart.whole)
    x_low, x_high = min([*xs, 0.0]) if chart.x_label == "minute" else min(xs), max(xs)
    x_high = x_high if x_high > x_low else x_low + 1
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def at_x(value: float) -> float:
        return _LEFT + (value - x_low) / (x_high - x_low) * (right - _LEFT)

    def at_y(value: float) -> float:
        return bottom - (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (bottom - _TOP)

    for value in y_ticks:
        _rule(root, _LEFT, at_y(value), right, at_y(value), "axis" if value == 0 else "grid")
        _text(root, _LEFT - 6, at_y(value) + 3.5, _label(value), anchor="end")
    for value in _x_ticks(x_low, x_high, minutes=chart.x_label == "minute"):
        _rule(root, at_x(value), bottom, at_x(value), bottom + 4, "axis")
        _text(root, at_x(value), bottom + 15, _label(value), anchor="middle")
    _text(root, 4, 14, chart.y_label, kind="axis-label")
    _text(root, right, _HEIGHT - 4, chart.x_label, kind="axis-label", anchor="end")
    for number, line in enumerate(chart.lines):
        points = _thinned(line.points)
        kind = f"series s{number % 4 + 1}"
        if len(points) == 1:
            ET.SubElement(
                root,
                "circle",
                {
                    "cx": f"{at_x(points[0][0]):.1f}",
                    "cy": f"{at_y(points[0][1]):.1f}",
                    "r": "3",
                    "class": f"dot s{number % 4 + 1}",
                },
            )
            continue
        path = [f"M{at_x(points[0][0]):.1f},{at_y(points[0][1]):.1f}"]
        for x, y in points[1:]:
            path.append(f"H{at_x(x):.1f}V{at_y(y):.1f}" if line.step else f"L{at_x(x):.1f},{at_y(y):.1f}")
        ET.SubElement(root, "path", {"d": "".join(path), "class": kind})
        x, y = points[-1]
        ET.SubElement(
            root, "circle", {"cx": f"{at_x(x):.1f}", "cy": f"{at_y(y):.1f}", "r": "3", "class": f"dot s{number % 4 + 1}"}
        )
    for item in limits:
        _rule(root, _LEFT, at_y(item.value), right, at_y(item.value), f"limit {'bad' if item.mark is Mark.FAIL else 'warn'}")
        _text(root, right - 2, at_y(item.value) - 4, f"limit {_short(item.label, 40)}", kind="limit-label", anchor="end")
    return root


def _thinned(points: tuple[tuple[float, float], ...], most: int = 400) -> list[tuple[float, float]]:
    """At most about `most` points; of each bucket the lowest and the highest stay, so a spike is never lost."""
    if len(points) <= most:
        return list(points)
    width = math.ceil(len(points) / (most // 2))
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), width):
        bucket = points[start : start + width]
        kept += sorted({min(bucket, key=lambda point: point[1]), max(bucket, key=lambda point: point[1])})
    return kept


def _bars(chart: BarChart, name: str) -> ET.Element:
    longest = max(len(bar.label) for bar in chart.bars)
    left = min(190, max(48, 14 + 6.2 * min(longest, 28)))
    row, right = 26, _WIDTH - 74
    height = 24 + row * len(chart.bars) + 8
    root = _canvas(chart, name, height)
    scale = max(*(bar.value for bar in chart.bars), 0.0) or 1.0
    _text(root, 4, 14, chart.unit, kind="axis-label")
    _rule(root, left, 22, left, height - 6, "axis")
    for index, bar in enumerate(chart.bars):
        y = 24 + index * row
        _text(root, left - 8, y + row / 2 + 3.5, _short(bar.label, 28), anchor="end")
        width = max(0.0, bar.value) / scale * (right - left)
        ET.SubElement(
            root,
            "rect",
            {
                "x": f"{left:.1f}",
                "y": f"{y + 4}",
                "width": f"{max(width, 1):.1f}",
                "height": f"{row - 8}",
                "rx": "2",
                "class": "bar",
            },
        )
        _text(root, left + width + 6, y + row / 2 + 3.5, f"{bar.value:,.4g} {chart.unit}", kind="value")
    return root


def _timeline(chart: Timeline, name: str) -> ET.Element:
    row, left, right = 24, 92, _WIDTH - 62
    height = 12 + row * len(chart.spans) + _BOTTOM
    root = _canvas(chart, name, height)
    end = max(max(span.start_s, span.end_s or 0.0) for span in chart.spans) or 1.0
    bottom = height - _BOTTOM
    for value in ticks(0, end):
        if value <= end:
            x = left + value / end * (right - left)
            _rule(root, x, 8, x, bottom, "grid")
            _text(root, x, bottom + 15, _label(value), anchor="middle")
    _text(root, right, height - 4, "seconds since the run began", kind="axis-label", anchor="end")
    for index, span in enumerate(chart.spans):
        y = 10 + index * row
        stop = end if span.end_s is None else span.end_s
        x, width = left + span.start_s / end * (right - left), (stop - span.start_s) / end * (right - left)
        _text(root, left - 8, y + row / 2 + 3, _short(span.label, 13), anchor="end")
        ET.SubElement(
            root,
            "rect",
            {"x": f"{x:.1f}", "y": f"{y + 3}", "width": f"{max(width, 2):.1f}", "height": f"{row - 8}", "rx": "2",
             "class": f"span m-{span.mark.name.lower().replace('_', '-')}"},
        )  # fmt: skip
        words = "no end" if span.end_s is None else f"{stop - span.start_s:.1f} s"
        _text(root, x + max(width, 2) + 5, y + row / 2 + 3, words, kind="value")
    return root
