"""Success metrics"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gate.registry import section
from reports import facts
from reports.claims import ids, number, source
from reports.document import Badge, Block, DocumentName, Mark, Row, Table
from reports.expectations import SMOKE
from reports.view import Group, Missing, RunView

_COLUMNS = ("Metric", "Target", "Measured", "Result", "Source")


@section(order=140, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE, DocumentName.EVOLUTION))
def build(view: RunView) -> Iterator[Block]:
    """Target beside measured. A number is compared with the target here, since a signal's own limit may be wider."""
    yield Table(
        caption="Technical",
        columns=_COLUMNS,
        rows=(
            _compared(view, "Uptime over the rehearsal", "100 %", view.about("watch", "health", "uptime"), _always_up),
            _compared(view, "Message failures", "below 1 %", view.about("watch", "message-fail"), _below(1.0, "%")),
            _load_failures(view),
            _compared(view, "Status update, in the first hour", "below 5 s", view.about("watch", "status"), _below(5.0, "s")),
            _judged("Status update after a scan", "within 5 s", view.outcomes("scenario.scan-connects")),
            _judged(
                "Security incidents",
                "none",
                view.outcomes("secrets.*", "scenario.tenants-isolated") + view.about("watch", "unmasked", "secret"),
            ),
            _judged("No rollback needed: no signal of the first hour asks for one", "all signals pass", view.outcomes("watch.*")),
        ),
    )
    yield Table(
        caption="Business",
        columns=_COLUMNS,
        rows=(
            _judged(
                "WhatsApp communication works both ways",
                "in and out",
                view.outcomes("smoke.send", "scenario.inbound-creates-conversation", "scenario.outbound-sent-once"),
            ),
            _judged("Tenants are isolated", "every route", view.outcomes("scenario.tenants-isolated")),
            _judged("Campaigns work", "one after the other", view.outcomes("scenario.campaign-one-after-the-other")),
            _judged("No manual step but the scan", "smoke test from end to end", view.outcomes(*SMOKE)),
        ),
    )


def _judged(what: str, target: str, group: Group) -> Row:
    return Row(cells=((what,), (target,), (group.summary,), (group.badge,), ids(group.ids)), sources=group.ids, mark=group.mark)


def _compared(view: RunView, what: str, target: str, group: Group, met: Callable[[facts.Reading], bool | None]) -> Row:
    """The last reading of the group's signals against the target; without both a reading and an outcome: not measured."""
    measured, mark = "not measured", Mark.NOT_MEASURED
    for answer in group.answers:
        reading = view.last_reading(answer.id.removeprefix("watch."))
        if (
            answer.outcome is not None
            and reading is not None
            and reading.value is not None
            and group.mark is not Mark.NOT_MEASURED
        ):
            measured = f"{answer.id.removeprefix('watch.')} {number(reading.value, reading.unit)}"
            found = met(reading)
            # Never better than the judged outcome: a reading alone does not make a claim good.
            mark = group.mark if found is None or (found and group.mark is not Mark.PASS) else Mark.PASS if found else Mark.FAIL
            break
    if mark is Mark.NOT_MEASURED and group.mark is Mark.FAIL:
        measured, mark = group.summary, Mark.FAIL
    return Row(
        cells=((what,), (target,), (measured,), (Badge(mark=mark),), ids(group.ids)),
        sources=(*group.ids, source("watch.checkpoints")),
        mark=mark,
    )


def _load_failures(view: RunView) -> Row:
    group = view.outcomes("load.*")
    summary = view.fact("load.summary", facts.load_summary)
    measured, mark = str(summary) if isinstance(summary, Missing) else "not measured", Mark.NOT_MEASURED
    if not isinstance(summary, Missing) and summary.requests > 0 and group.mark is not Mark.NOT_MEASURED:
        share = summary.failures / summary.requests
        measured = f"{share:.2%} of {number(summary.requests)} requests"
        mark = Mark.FAIL if share >= 0.01 else group.mark
    return Row(
        cells=(
            ("Failed requests under load",),
            ("below 1 %",),
            (measured,),
            (Badge(mark=mark),),
            ids(("fact:load.summary", *group.ids)),
        ),
        sources=(source("load.summary"), *group.ids),
        mark=mark,
    )


def _below(limit: float, unit: str) -> Callable[[facts.Reading], bool | None]:
    """Whether a reading in `unit` is below; None in another unit, where the outcome speaks."""

    def met(reading: facts.Reading) -> bool | None:
        value = reading.value
        if value is None:
            return None
        if unit == "s" and reading.unit == "ms":
            value /= 1000
        elif reading.unit != unit:
            return None
        return value < limit

    return met


def _always_up(reading: facts.Reading) -> bool | None:
    return reading.value == 100 if reading.unit == "%" else None
