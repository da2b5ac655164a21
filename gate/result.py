"""What every format renders: the outcomes of a run, the verdict on them, and where each id stands in that verdict.

A format shows standings, never statuses alone: a failure that a named person answers for must not turn CI red beside a GO, and a
skip that nobody allowed must not stay green beside a HOLD.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gate.difference import Delta, Difference
from gate.errors import SelectionError
from gate.model import Decision, Finding, Outcome, Severity, Status, Verdict
from gate.registry import Kind, registry

__all__ = ["Answer", "Place", "Result", "Standing", "documentation_of"]

DECIDES = {
    Decision.GO: "everything that is required was answered and passed",
    Decision.NO_GO: "something that is required failed",
    Decision.HOLD: "no failure blocks, but something that is required has no answer",
}


class Standing(StrEnum):
    """Where an id stands in the verdict, worst first."""

    BLOCKING = "blocking"
    UNANSWERED = "unanswered"
    WAIVED = "waived"
    NOTED = "noted"
    PASSED = "passed"

    @property
    def stops(self) -> bool:
        """Whether an id that stands so keeps the release from GO."""
        return self in (Standing.BLOCKING, Standing.UNANSWERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A file of the release, relative to its root, and a line from 1."""

    path: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One id of a verdict. `outcome` is None for what was never answered; `followers` were not asked for the same cause."""

    id: str
    standing: Standing
    why: str
    outcome: Outcome | None = None
    delta: Delta | None = None
    followers: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return self.outcome.title if self.outcome else ""

    @property
    def severity(self) -> Severity:
        return self.outcome.severity if self.outcome else Severity.CRITICAL

    @property
    def fingerprint(self) -> str:
        """The same for this id in every run: what it says changes with what it measured, and must not make a new finding."""
        return hashlib.sha256(f"golive/1/{self.id}".encode()).hexdigest()[:32]

    @property
    def place(self) -> Place | None:
        """The first file and line that the reason or the evidence names."""
        if self.outcome is None:
            return None
        return place_in(" ".join((self.outcome.reason, *(str(item.value) for item in self.outcome.evidence))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A run, judged. `release` is name, version and commit as the journal has them; `difference` is there with a baseline."""

    outcomes: tuple[Outcome, ...]
    verdict: Verdict
    release: Mapping[str, Any] = field(default_factory=dict)
    difference: Difference | None = None

    def answers(self) -> tuple[Answer, ...]:
        """Every id that was answered or should have been: what stops the release first, then by severity, reach and id."""
        outcomes = _worst_by_id(self.outcomes)
        found: dict[str, tuple[Standing, str]] = {}
        for standing, findings in (
            (Standing.BLOCKING, self.verdict.blocking),
            (Standing.UNANSWERED, self.verdict.unanswered),
            (Standing.WAIVED, self.verdict.waived),
            (Standing.NOTED, self.verdict.noted),
        ):
            for item, why in _joined(findings):
                found.setdefault(item, (standing, why))
        for item, outcome in outcomes.items():
            found.setdefault(item, _by_status(outcome))
        followers: dict[str, list[str]] = {}
        for outcome in outcomes.values():
            if outcome.cause:
                followers.setdefault(outcome.cause, []).append(outcome.id)
        deltas = self.difference.by_id if self.difference else {}
        answers = [
            Answer(
                id=item,
                standing=standing,
                why=why,
                outcome=outcomes.get(item),
                delta=deltas.get(item),
                followers=tuple(sorted(followers.get(item, ()))),
            )
            for item, (standing, why) in found.items()
        ]
        standings, severities = list(Standing), list(Severity)

        def order(answer: Answer) -> tuple[int, int, int, str]:
            # What kept others from being asked is as bad as the worst of them.
            harm = [answer.severity, *(outcomes[item].severity for item in answer.followers)]
            return standings.index(answer.standing), min(map(severities.index, harm)), -len(answer.followers), answer.id

        return tuple(sorted(answers, key=order))

    def headline(self) -> str:
        """The decision and why, in one line: `NO-GO: something that is required failed; 20 of 23 passed, by the policy gate`."""
        verdict = self.verdict
        return (
            f"{verdict.decision}: {DECIDES[verdict.decision]}; "
            f"{verdict.passed} of {verdict.answered} passed, by the policy {verdict.policy}"
        )


def documentation_of(outcome_id: str) -> Mapping[str, str]:
    """The named paragraphs (`Why`, `Fix`) of the item that answers this id; empty for one that has none."""
    for kind in (Kind.CHECK, Kind.PROBE, Kind.SIGNAL):
        try:
            return registry(kind).get(outcome_id).paragraphs
        except SelectionError:
            continue
    return {}


_PLACE = re.compile(r"(?<![\w/.:-])([A-Za-z0-9_][\w.-]*(?:/[\w.-]+)*\.[A-Za-z][A-Za-z0-9]{0,9}):([1-9]\d{0,6})(?![\d.])")


def place_in(text: str) -> Place | None:
    """The first `path/in/the/release.ext:12` of a text; never an absolute path, one that leaves the tree, or a host and port."""
    for found in _PLACE.finditer(text[:20_000]):
        path = found[1]
        if ".." not in path.split("/") and ("/" in path or path.endswith(_SOURCES)):
            return Place(path=path, line=int(found[2]))
    return None


# A bare `name.ext:12` is a file only for these: `db.example:5432` is a host.
_SOURCES = (
    ".py",
    ".sql",
    ".toml",
    ".env",
    ".yml",
    ".yaml",
    ".json",
    ".md",
    ".sh",
    ".txt",
    ".js",
    ".ts",
    ".html",
    ".feature",
    ".cfg",
)


def _joined(findings: Sequence[Finding]) -> Iterable[tuple[str, str]]:
    reasons: dict[str, list[str]] = {}
    for finding in findings:
        reasons.setdefault(finding.id, []).append(finding.why)
    return ((item, "; ".join(whys)) for item, whys in reasons.items())


def _by_status(outcome: Outcome) -> tuple[Standing, str]:
    """For what a verdict does not name: all but a pass is shown as bad as it is."""
    why = f"{outcome.status}: {outcome.reason}"
    if outcome.status is Status.PASS:
        return Standing.PASSED, "; ".join(map(str, outcome.evidence))
    return (Standing.BLOCKING if outcome.status is Status.FAIL else Standing.UNANSWERED), why


def _worst_by_id(outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
    worst: dict[str, Outcome] = {}
    for outcome in sorted(outcomes, key=lambda item: (item.id, -item.status.rank, item.reason)):
        worst.setdefault(outcome.id, outcome)
    return worst
