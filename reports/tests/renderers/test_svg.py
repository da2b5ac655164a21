from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from reports.document import Bar, BarChart, Chart, Figures, Limit, Line, LineChart, Mark, Span, Timeline
from reports.renderers.svg import draw, ticks


def chart(points: list[tuple[float, float]], *, limits: tuple[Limit, ...] = (), **changes: Any) -> LineChart:
    settings: dict[str, Any] = {"title": "t", "description": "d", "x_label": "minute", "y_label": "ms"} | changes
    step = settings.pop("step", False)
    return LineChart(lines=(Line(name="l", points=tuple(points), step=step),), limits=limits, **settings)


def drawn(item: Chart) -> ET.Element:
    return ET.fromstring(draw(item, "c"))


def texts(root: ET.Element, kind: str) -> list[str]:
    return [item.text or "" for item in root.iter("text") if item.get("class") == kind]


@pytest.mark.parametrize(
    ("low", "high", "whole", "found"),
    [
        (0, 60, False, [0, 20, 40, 60]),
        (0, 1, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 1, True, [0, 1]),
        (0, 0.003, False, [0, 0.001, 0.002, 0.003]),
        (-3, 4, False, [-4, -2, 0, 2, 4]),
        (5, 5, False, [5, 6, 7, 8, 9, 10]),
        (0, 0, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 1e14, False, [0, 2e13, 4e13, 6e13, 8e13, 1e14]),
    ],
)
def test_ticks_are_round_and_enclose_the_range(low: float, high: float, whole: bool, found: list[float]) -> None:
    assert ticks(low, high, whole=whole) == found


def test_axes_are_labelled_with_their_units() -> None:
    root = drawn(chart([(0, 1), (60, 4)]))
    assert texts(root, "axis-label") == ["ms", "minute"]
    assert texts(root, "tick") == ["0", "1", "2", "3", "4", "0", "10", "20", "30", "40", "50", "60"]


def test_limits_are_lines_with_labels() -> None:
    limits = (Limit(label="ok 5", value=5), Limit(label="critical 15", value=15, mark=Mark.FAIL), Limit(label="far", value=900))
    root = drawn(chart([(0, 1), (60, 2)], limits=limits))
    assert texts(root, "limit-label") == ["limit ok 5", "limit critical 15"]
    assert [item.get("class") for item in root.iter("line") if "limit" in (item.get("class") or "")] == [
        "limit warn",
        "limit bad",
    ]


def test_every_point_lies_inside_the_picture() -> None:
    for points in ([(0.0, 0.0)], [(5.0, -3.0), (6.0, 1e12)], [(0.0, 100.0), (1.0, 100.0)], [(i, i % 7) for i in range(5_000)]):
        for y_label in ("%", "count", "s"):
            root = drawn(chart([(float(x), float(y)) for x, y in points], y_label=y_label, limits=(Limit(label="l", value=100),)))
            for circle in root.iter("circle"):
                assert 0 <= float(circle.get("cx", "-1")) <= 440
                assert 0 <= float(circle.get("cy", "-1")) <= 220


def test_a_count_is_drawn_in_steps_and_a_measure_as_a_line() -> None:
    stepped = next(drawn(chart([(0, 1), (1, 2)], step=True)).iter("path")).get("d", "")
    straight = next(drawn(chart([(0, 1), (1, 2)], x_label="seconds")).iter("path")).get("d", "")
    assert "H" in stepped
    assert "L" not in stepped
    assert "L" in straight


def test_a_spike_survives_the_thinning_of_many_points() -> None:
    points = [(float(minute), 1.0) for minute in range(10_000)]
    points[7_777] = (7_777.0, 500.0)
    root = drawn(chart(points, x_label="seconds"))
    path = next(root.iter("path")).get("d", "")
    assert path.count("L") <= 450
    spike = min(float(point.split(",")[1]) for point in path[1:].split("L"))
    assert spike < 60


def test_percent_never_climbs_past_a_hundred() -> None:
    root = drawn(chart([(0, 100), (60, 100)], y_label="%", limits=(Limit(label="100 %", value=100),)))
    assert "100" in texts(root, "tick")
    assert "150" not in texts(root, "tick")


def test_labels_never_become_markup() -> None:
    root = drawn(chart([(0, 1)], title="<script>", description="</svg>", limits=(Limit(label="<b>" * 50, value=1),)))
    assert {item.tag for item in root.iter()} <= {"svg", "title", "desc", "line", "text", "circle"}
    (label,) = texts(root, "limit-label")
    assert len(label) < 60


def test_bars_carry_their_values() -> None:
    bars = (
        Bar(label="p50", value=812.4),
        Bar(label="a label far too long for the space", value=0),
        Bar(label="p99", value=12_345.6),
    )
    root = drawn(BarChart(title="t", description="d", unit="ms", bars=bars))
    assert texts(root, "value") == ["812.4 ms", "0 ms", "1.235e+04 ms"]
    widths = [float(item.get("width", "0")) for item in root.iter("rect")]
    assert widths[1] < widths[0] < widths[2]


def test_a_timeline_says_what_never_ended() -> None:
    spans = (
        Span(label="gate", start_s=0, end_s=4, mark=Mark.PASS),
        Span(label="a very long name of a part", start_s=4, end_s=None, mark=Mark.NOT_MEASURED),
    )
    timeline = Timeline(title="t", description="d", spans=spans)
    root = drawn(timeline)
    assert texts(root, "value") == ["4.0 s", "no end"]
    assert [item.get("class") for item in root.iter("rect")] == ["span m-pass", "span m-not-measured"]
    assert [row.cells[2] for row in timeline.table().rows] == [("4.0",), ("never ended",)]


@pytest.mark.parametrize(("value", "label"), [(12_000_000.0, "15M"), (45_000.0, "40k")])
def test_large_numbers_are_short(value: float, label: str) -> None:
    assert label in texts(drawn(chart([(0, 0), (500, value)])), "tick")


def test_the_table_of_a_long_line_is_thinned_and_keeps_its_end() -> None:
    table = chart([(float(x), 1.0) for x in range(1_000)]).table()
    assert len(table.rows) <= 42
    assert table.rows[-1].cells[0] == ("999",)
    assert table.caption == "t (every 25. point)"
    assert len(chart([(0, 1), (1, 2)]).table().rows) == 2


def test_lines_of_other_points_leave_gaps_in_the_table() -> None:
    both = LineChart(
        title="t", description="d", x_label="s", y_label="ms",
        lines=(Line(name="a", points=((0, 1),)), Line(name="b", points=((1, 2),))),
    )  # fmt: skip
    assert [row.cells[1] for row in both.table().rows] == [("1",), ("–",)]


def test_figures_without_a_chart_are_refused() -> None:
    with pytest.raises(ValueError, match="without a chart"):
        Figures(charts=())
