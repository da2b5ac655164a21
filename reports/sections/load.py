"""Load"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports import facts
from reports.claims import answer_row, number, seconds, source, unreadable
from reports.document import Bar, BarChart, Block, Chart, DocumentName, Figures, Line, LineChart, Row, Table
from reports.view import Missing, RunView


@section(order=80, documents=(DocumentName.REPORT, DocumentName.ORCHESTRATION))
def build(view: RunView) -> Iterator[Block]:
    """What the load run found, its numbers, and how they went over time."""
    yield Table(
        caption="Load, judged",
        columns=("Id", "Title", "Result", "What was seen", "Took"),
        rows=tuple(answer_row(answer) for answer in view.outcomes("load.*").answers),
    )
    summary = view.fact("load.summary", facts.load_summary)
    charts: list[Chart] = []
    if isinstance(summary, Missing):
        yield unreadable(summary, "Requests, failures and latencies")
    else:
        yield Table(caption="Load in numbers", columns=("Number", "Value"), rows=tuple(_numbers(summary)))
        if summary.latency_ms:
            charts.append(
                BarChart(
                    title="Latency by quantile",
                    description=", ".join(f"{name} {value:g} ms" for name, value in summary.latency_ms),
                    unit="ms",
                    bars=tuple(Bar(label=name, value=value) for name, value in summary.latency_ms),
                )
            )
        slow = tuple(
            Bar(label=item.name, value=item.p95_ms) for item in summary.endpoints if item.name and item.p95_ms is not None
        )
        if slow:
            charts.append(
                BarChart(
                    title="p95 latency by endpoint",
                    description=f"{len(slow)} endpoints, slowest {max(bar.value for bar in slow):g} ms",
                    unit="ms",
                    bars=tuple(sorted(slow, key=lambda bar: -bar.value)[:12]),
                )
            )
    series = view.fact("load.series", facts.load_series)
    if isinstance(series, Missing):
        yield unreadable(series, "Load over time")
    elif not series:
        yield unreadable(Missing(name="load.series", why="no points"), "Load over time")
    else:
        charts += _over_time(series)
    if charts:
        yield Figures(charts=tuple(charts))


def _numbers(summary: facts.LoadSummary) -> Iterator[Row]:
    rate = f"{summary.failures / summary.requests:.2%}" if summary.requests else "not measured"
    values = [
        ("Requests", number(summary.requests)),
        ("Failures", f"{number(summary.failures)} ({rate})"),
        ("Throughput", number(summary.rps, "requests/s") if summary.rps is not None else "not measured"),
        ("Duration", seconds(summary.duration_s)),
        *((f"Latency {name}", number(value, "ms")) for name, value in summary.latency_ms),
    ]
    for name, value in values:
        yield Row(cells=((name,), (value,)), sources=(source("load.summary"),))


def _over_time(series: tuple[facts.LoadPoint, ...]) -> Iterator[Chart]:
    for name, title, unit, step in (
        ("rps", "Throughput", "requests/s", False),
        ("p95_ms", "p95 latency", "ms", False),
        ("failures", "Failures", "count", True),
    ):
        points = tuple((point.t_s, value) for point in series if (value := getattr(point, name)) is not None)
        if points:
            values = [value for _, value in points]
            yield LineChart(
                title=title,
                description=f"from {min(values):g} to {max(values):g} {unit} over {points[-1][0]:g} s",
                x_label="seconds",
                y_label=unit,
                whole=step,
                lines=(Line(name=title, points=points, step=step),),
            )
