"""Course of the signals"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports import facts
from reports.claims import unreadable
from reports.document import Block, Chart, DocumentName, Figures, Limit, Line, LineChart, Mark
from reports.view import Missing, RunView


@section(order=95, documents=(DocumentName.REPORT, DocumentName.MONITORING))
def build(view: RunView) -> Iterator[Block]:
    """One chart a signal over the first hour, with its limits as lines."""
    series = view.fact("watch.series", facts.watch_series)
    if isinstance(series, Missing):
        yield unreadable(series, "Signals over time")
        return
    found = view.fact("watch.checkpoints", facts.checkpoints)
    readings = {reading.id: reading for point in (() if isinstance(found, Missing) else found) for reading in point.signals}
    charts: tuple[Chart, ...] = tuple(
        _chart(name, points, readings.get(name), view) for name, points in sorted(series.items()) if points
    )
    if charts:
        yield Figures(charts=charts)
    for name in sorted(name for name, points in series.items() if not points):
        yield unreadable(Missing(name="watch.series", why="no points"), name)
    if not series:
        yield unreadable(Missing(name="watch.series", why="no signals"), "Signals over time")


def _chart(name: str, points: tuple[tuple[float, float], ...], reading: facts.Reading | None, view: RunView) -> LineChart:
    title = view.answer(f"watch.{name}").title or name
    unit = "value" if reading is None else reading.unit or "count"
    values = [value for _, value in points]
    limits = () if reading is None else reading.limits
    whole = all(value.is_integer() for value in values)
    return LineChart(
        title=title,
        description=f"{name}: from {min(values):g} to {max(values):g} {unit}, {values[-1]:g} at minute {points[-1][0]:g}"
        + "".join(f"; limit {words}" for words, _ in limits),
        x_label="minute",
        y_label=unit,
        whole=whole,
        lines=(Line(name=name, points=points, step=whole),),
        limits=tuple(
            Limit(label=words, value=value, mark=Mark.FAIL if index else Mark.WARN) for index, (words, value) in enumerate(limits)
        ),
    )
