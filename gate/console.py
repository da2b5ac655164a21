"""What a person reads in the terminal: progress while checks run, the grouped summary, and the decision as the last word.

Colours and a moving bar only on a terminal that wants them; elsewhere plain lines, in ASCII where the encoding knows no more.
What is printed may come from the world under test, so characters that steer a terminal are shown and not obeyed.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

from gate.difference import Change, Difference
from gate.model import Decision, Finding, Outcome, Status, Verdict
from gate.result import DECIDES, documentation_of
from gate.text import printable, shortened

__all__ = [
    "ASCII",
    "UNICODE",
    "Console",
    "Symbols",
    "difference_lines",
    "fix_of",
    "printable",
    "summary_lines",
    "verdict_lines",
]


# More ids than this with one cause are one trouble, and their separate fixes are not its cure.
MOST_ALIKE = 3
# A reason may quote a whole file; the journal has it whole.
LONGEST_LINE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """One sign for each status."""

    of: Mapping[Status, str]
    dash: str


UNICODE = Symbols(
    of={
        Status.PASS: "✓",
        Status.FAIL: "✗",
        Status.ERROR: "?",
        Status.INCONCLUSIVE: "?",
        Status.WARN: "!",
        Status.SKIP: "–",
    },
    dash="–",
)
ASCII = Symbols(
    of={
        Status.PASS: "[ok]",
        Status.FAIL: "[FAIL]",
        Status.ERROR: "[error]",
        Status.INCONCLUSIVE: "[?]",
        Status.WARN: "[warn]",
        Status.SKIP: "[skip]",
    },
    dash="-",
)
_COLOURS = {
    Status.PASS: "green",
    Status.FAIL: "bold red",
    Status.ERROR: "magenta",
    Status.INCONCLUSIVE: "magenta",
    Status.WARN: "yellow",
    Status.SKIP: "dim",
}
_DECISION_COLOURS = {Decision.GO: "bold green", Decision.NO_GO: "bold red", Decision.HOLD: "bold yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """A line of the summary over some ids; `what` follows the count, without it `good` or `bad` is the whole line."""

    ids: tuple[str, ...]
    name: str
    what: str = ""
    good: str = ""


_SEED_GROUPS = (
    _Group(
        ids=tuple(f"schema.connections-{name}" for name in ("status-reason", "connected-at", "disconnected-at", "qr-updated-at")),
        name="unit_whatsapp_connections",
        what="columns exist",
    ),
    _Group(
        ids=tuple(f"schema.messages-{name}" for name in ("client-message-id", "retry-count", "last-retry-at", "error-details")),
        name="messages",
        what="columns exist",
    ),
    _Group(ids=("schema.campaigns", "schema.campaign-recipients"), name="campaigns", what="tables exist"),
    _Group(
        ids=("datastore.embedded-detected", "datastore.upsert", "datastore.basic-queries"), name="Datastore", what="checks passed"
    ),
    _Group(
        ids=(
            "imports.webhook-route",
            "imports.messages-route",
            "imports.message-handler",
            "imports.webhook-helper",
            "imports.campaign-service",
            "imports.evolution-provider",
        ),
        name="Modules",
        what="import",
        good="All modules import successfully",
    ),
    _Group(
        ids=("imports.evolution-provider",), name="Evolution provider", what="loads", good="Evolution provider loads correctly"
    ),
    _Group(ids=("imports.campaign-service",), name="Campaign service", what="loads", good="Campaign service loads correctly"),
    _Group(
        ids=("flow.instance-name", "flow.scan-updates-status", "flow.retry-stops-at-three", "flow.campaign-paced"),
        name="Evolution flow",
        what="behave as observed against the provider",
    ),
)


def fix_of(outcome_id: str) -> str:
    """What to do when this id fails, from the documentation of the item that answers it; empty for one that has none."""
    return documentation_of(outcome_id).get("Fix", "")


def summary_lines(
    outcomes: Sequence[Outcome], *, symbols: Symbols = UNICODE, fix: Callable[[str], str] = fix_of
) -> list[tuple[Status | None, str]]:
    """The grouped summary, each line with the status it stands for (None for the lines below another).

    First the lines for the seed's 23 checks, then one for each other family, then ALL CHECKS PASSED where all did.
    """
    found = {outcome.id: outcome for outcome in outcomes}
    lines: list[tuple[Status | None, str]] = []
    told: set[str] = set()
    for group in _SEED_GROUPS:
        lines += _group_lines(group, found, told, symbols, fix)
        told |= set(group.ids)
    families: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.id not in told:
            families.setdefault(outcome.id.partition(".")[0], []).append(outcome.id)
    for family, ids in families.items():
        more = "further checks passed" if any(item.startswith(f"{family}.") for item in told & found.keys()) else "checks passed"
        lines += _group_lines(_Group(ids=tuple(dict.fromkeys(ids)), name=family, what=more), found, told, symbols, fix)
    lines.append(_total(outcomes))
    return lines


def verdict_lines(verdict: Verdict, *, fix: Callable[[str], str] = fix_of) -> list[str]:
    """Why the decision is what it is, then what the exit status means; the last line is the decision's word alone."""
    lines: list[str] = []
    for title, findings in (
        ("Noted", verdict.noted),
        ("Waived", verdict.waived),
        ("Unanswered", verdict.unanswered),
        # Last, beside the decision: in a long log that is where people look.
        ("Blocking", verdict.blocking),
    ):
        if findings:
            lines.append(f"{title}:")
            lines += _finding_lines(findings, fix if title in ("Blocking", "Unanswered") else lambda _: "")
    lines.append(f"{verdict.passed} of {verdict.answered} passed, by the policy {printable(verdict.policy)}")
    lines.append(f"exit status {verdict.exit_status}: {DECIDES[verdict.decision]}")
    lines.append(str(verdict.decision))
    return lines


def difference_lines(difference: Difference) -> list[str]:
    """What changed against the run before: a headline, then each change but what is simply as it was."""
    lines = [f"Changed {printable(difference.headline())}"]
    for change in Change:
        alike: dict[str, list[str]] = {}
        for delta in difference.deltas:
            if delta.change is change:
                alike.setdefault(delta.said(), []).append(delta.id)
        if alike:
            lines.append(f"  {change}:")
            lines += [f"    {', '.join(ids)} {printable(shortened(said, LONGEST_LINE))}" for said, ids in alike.items()]
    return lines


class Console:
    """Where a command tells a person what it does. `stream` is written to in plain text or, on a terminal, with rich."""

    def __init__(self, stream: TextIO | None = None, *, environment: Mapping[str, str] | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        environment = os.environ if environment is None else environment
        self.fancy = self._stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        self.symbols = UNICODE if _can_encode(self._stream, "".join(UNICODE.of.values())) else ASCII
        self._rich: Any = None

    def line(self, text: str = "", *, style: str = "") -> None:
        """One line. `style` is rich's, and without effect where there is no terminal."""
        text = _encodable(printable(text), self._stream)
        if self.fancy:
            self._terminal().print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._stream, flush=True)

    @contextmanager
    def progress(self, total: int, what: str = "checks") -> Iterator[Callable[[Outcome], None]]:
        """While the block runs, the callable is told each outcome: a bar on a terminal, elsewhere a line for each."""
        if not self.fancy:
            width = len(str(total))
            counter = iter(range(1, sys.maxsize))
            yield lambda outcome: self.line(
                f"{next(counter):>{width}}/{total} {self.symbols.of[outcome.status]} {outcome.id} ({outcome.duration_s:.2f} s)"
            )
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        current = TextColumn("{task.description}", markup=False)
        with Progress(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            current,
            console=self._terminal(),
            transient=True,
        ) as bar:
            task = bar.add_task("", total=total)
            yield lambda outcome: bar.update(task, advance=1, description=outcome.id)

    def summary(self, outcomes: Sequence[Outcome], *, fix: Callable[[str], str] = fix_of) -> None:
        for status, text in summary_lines(outcomes, symbols=self.symbols, fix=fix):
            self.line(text, style=_COLOURS[status] if status is not None else "")

    def difference(self, difference: Difference) -> None:
        for text in difference_lines(difference):
            self.line(text)

    def verdict(self, verdict: Verdict, *, fix: Callable[[str], str] = fix_of) -> None:
        *reasons, word = verdict_lines(verdict, fix=fix)
        for text in reasons:
            self.line(text)
        self.line(word, style=_DECISION_COLOURS[verdict.decision])

    def _terminal(self) -> Any:
        if self._rich is None:
            # Not at the top: a run in CI prints plain lines and must not pay for this import.
            from rich.console import Console as Terminal

            self._rich = Terminal(file=self._stream)
        return self._rich


def _group_lines(
    group: _Group, found: Mapping[str, Outcome], told: set[str], symbols: Symbols, fix: Callable[[str], str]
) -> Iterator[tuple[Status | None, str]]:
    answered = [found[item] for item in group.ids if item in found]
    if not answered:
        return
    worst = max(answered, key=lambda outcome: outcome.status.rank).status
    passed = sum(outcome.status is Status.PASS for outcome in answered)
    missing = len(group.ids) - len(answered)
    if passed == len(group.ids):
        text = _all_good(group, answered)
    else:
        text = f"{group.name} - {passed}/{len(group.ids)} {group.what}" + (f", {missing} not looked at" if missing else "")
    # Of a group that was only looked at in part nobody can say that it is good.
    status = Status.INCONCLUSIVE if missing and worst is Status.PASS else worst
    yield status, f"{symbols.of[status]} {text}"
    not_asked: dict[str, list[str]] = {}
    for outcome in answered:
        if outcome.cause and outcome.id not in told:
            not_asked.setdefault(outcome.cause, []).append(outcome.id)
        elif outcome.status is not Status.PASS and outcome.id not in told:
            yield None, f"    {outcome.id} ({outcome.status}): {printable(shortened(outcome.reason, LONGEST_LINE))}"
            # What could not be looked at may be in order: its fix would send people to the wrong place.
            advice = fix(outcome.id) if outcome.status in (Status.FAIL, Status.WARN) else ""
            if advice:
                yield None, f"      fix: {printable(advice)}"
    for cause, ids in not_asked.items():
        yield None, f"    not asked, because of {cause}: {', '.join(ids)}"


def _all_good(group: _Group, answered: Sequence[Outcome]) -> str:
    if group.good:
        return group.good
    if group.name == "Datastore":
        seen = {item.label: item.value for outcome in answered for item in outcome.evidence}
        if seen.get("embedded") is True:
            return "In-memory DB has upsert shim"
        return f"{seen.get('datastore', 'Database')} upserts, also with two writers at once"
    return f"{group.name} - {len(answered)}/{len(group.ids)} {group.what}"


def _total(outcomes: Sequence[Outcome]) -> tuple[Status | None, str]:
    counts = Counter(outcome.status for outcome in outcomes)
    skipped = [outcome.id for outcome in outcomes if outcome.status is Status.SKIP]
    looked_at_all = {item for group in _SEED_GROUPS for item in group.ids} <= {outcome.id for outcome in outcomes}
    if counts[Status.PASS] and counts[Status.PASS] + len(skipped) == len(outcomes):
        note = f" ({len(skipped)} not applicable here: {', '.join(skipped)})" if skipped else ""
        if looked_at_all:
            return Status.PASS, f"ALL CHECKS PASSED{note}"
        return Status.PASS, f"{counts[Status.PASS]} selected checks passed{note}"
    if not outcomes:
        return Status.ERROR, "no check was run"
    worded = ", ".join(f"{counts[status]} {status}" for status in reversed(Status) if counts[status])
    return max(counts, key=lambda status: status.rank), f"{len(outcomes)} checks: {worded}"


def _finding_lines(findings: Iterable[Finding], fix: Callable[[str], str]) -> Iterator[str]:
    """A line for each finding and one for what to do; ids that stand there for one and the same cause share that cause's line."""
    by_cause: dict[str, list[str]] = {}
    for finding in findings:
        by_cause.setdefault(finding.why, []).append(finding.id)
    for why, ids in by_cause.items():
        if len(ids) > MOST_ALIKE:
            yield f"  {printable(shortened(why, LONGEST_LINE))}"
            yield f"    {len(ids)} alike: {printable(', '.join(ids))}"
            continue
        for outcome_id in ids:
            yield f"  {printable(outcome_id)}: {printable(shortened(why, LONGEST_LINE))}"
            # What could not be looked at may be in order: its fix would send people to the wrong place.
            advice = "" if why.startswith("error: ") else fix(outcome_id)
            if advice:
                yield f"    fix: {printable(advice)}"


def _can_encode(stream: TextIO, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _encodable(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if _can_encode(stream, text):
        return text
    try:
        return text.replace("–", "-").encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text.encode("ascii", "backslashreplace").decode()
