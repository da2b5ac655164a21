"""What the sections look at: one run's outcomes, facts and verdict, with a plain answer for what is not there.

Nothing here decides whether a release may go; that is the verdict's. What was planned or is asked for and has no outcome is an
`Answer` without one, whose mark is NOT_MEASURED: there is no way to get a better mark out of nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from gate.journal import INTEGRITY_ID, Part, Recording
from gate.model import Outcome, Verdict, is_outcome_id
from gate.policy import Policy, matches
from reports import expectations, facts
from reports.document import Badge, Mark

__all__ = ["Answer", "Group", "Missing", "RunView", "badge_of_word", "mark_of_word"]

_T = TypeVar("_T")

_WORDS = {
    "pass": Mark.PASS, "passed": Mark.PASS, "ok": Mark.PASS,
    "warn": Mark.WARN, "warning": Mark.WARN,
    "fail": Mark.FAIL, "failed": Mark.FAIL, "critical": Mark.FAIL,
    "skip": Mark.SKIP, "skipped": Mark.SKIP,
    "inconclusive": Mark.INCONCLUSIVE,
    "error": Mark.ERROR, "missing": Mark.ERROR,
}  # fmt: skip


def mark_of_word(word: str) -> Mark:
    """The mark of a status or level that a fact carries; a word that is not known proves nothing."""
    return _WORDS.get(word.strip().lower(), Mark.NOT_MEASURED)


def badge_of_word(word: str) -> Badge:
    """The word as a badge, or `not measured` for a word that is not known."""
    mark = mark_of_word(word)
    return Badge(mark=mark, text="" if mark is Mark.NOT_MEASURED else word.strip().lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A fact that is not there, or that cannot be read (`why`)."""

    name: str
    why: str = ""

    def __str__(self) -> str:
        return f"not measured (unreadable fact {self.name}: {self.why})" if self.why else "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found under one id; `outcome` is None when nothing was. `times` is how often the id was answered."""

    id: str
    title: str
    outcome: Outcome | None
    times: int = 0

    @property
    def mark(self) -> Mark:
        return Mark.NOT_MEASURED if self.outcome is None else Mark.of(self.outcome.status)

    @property
    def detail(self) -> str:
        """The reason, the evidence, and that a worse answer hid a better one."""
        if self.outcome is None:
            return "not measured"
        pieces = [self.outcome.reason, "; ".join(map(str, self.outcome.evidence))]
        if self.times > 1:
            pieces.append(f"answered {self.times} times, the worst counts")
        return " – ".join(piece for piece in pieces if piece)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Several answers that together bear one claim: as good as the worst of them, and never good without one."""

    answers: tuple[Answer, ...]

    @property
    def mark(self) -> Mark:
        return max((answer.mark for answer in self.answers), key=lambda mark: mark.rank, default=Mark.NOT_MEASURED)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(answer.id for answer in self.answers)

    @property
    def measured(self) -> bool:
        return any(answer.outcome is not None for answer in self.answers)

    @property
    def summary(self) -> str:
        """`8/10 pass, 1 skip, 1 not measured`, or just `not measured`."""
        if not self.measured:
            return "not measured"
        counts = Counter(answer.mark for answer in self.answers)
        others = [f"{counts[mark]} {mark}" for mark in reversed(Mark) if mark is not Mark.PASS and counts[mark]]
        return ", ".join([f"{counts[Mark.PASS]}/{len(self.answers)} pass", *others])

    @property
    def badge(self) -> Badge:
        return Badge(mark=self.mark)

    @property
    def worst(self) -> str:
        """What the worst answer says, when it is not a pass."""
        answer = max(self.answers, key=lambda item: item.mark.rank, default=None)
        return "" if answer is None or answer.outcome is None or answer.mark is Mark.PASS else f"{answer.id}: {answer.detail}"

    def __add__(self, other: Group) -> Group:
        known = set(self.ids)
        return Group(answers=self.answers + tuple(answer for answer in other.answers if answer.id not in known))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """Lookups over one run. Made by `of`; every lookup is pure."""

    recording: Recording
    verdict: Verdict
    policy: Policy
    planned: tuple[str, ...]
    _answers: Mapping[str, Answer] = field(repr=False)

    @classmethod
    def of(cls, recording: Recording, verdict: Verdict, policy: Policy) -> RunView:
        answers: dict[str, Answer] = {}
        times = Counter(outcome.id for outcome in recording.outcomes)
        for outcome in sorted(recording.outcomes, key=lambda item: (-item.status.rank, item.reason, item.title)):
            title = outcome.title or expectations.TITLES.get(outcome.id, "")
            answers.setdefault(outcome.id, Answer(id=outcome.id, title=title, outcome=outcome, times=times[outcome.id]))
        planned = sorted({str(item) for item in recording.planned if is_outcome_id(str(item))})
        return cls(recording=recording, verdict=verdict, policy=policy, planned=tuple(planned), _answers=answers)

    @property
    def started_at(self) -> datetime | None:
        return self.recording.started_at

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.recording.parts

    @property
    def damage(self) -> tuple[str, ...]:
        return self.recording.damage

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that was answered, planned, or must be there in any run (scenarios, smoke steps), sorted."""
        return tuple(sorted({*self._answers, *self.planned, *expectations.TITLES} - {INTEGRITY_ID}))

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(sorted({item.split(".")[0] for item in self.ids} | set(expectations.FAMILIES)))

    def release(self, key: str) -> str:
        """A field of the release record, empty when it is not there."""
        release: object = self.recording.release
        value = release.get(key) if isinstance(release, Mapping) else None
        return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""

    def contacts(self) -> tuple[tuple[str, str], ...]:
        """`contacts` of the release record: (role, how to reach)."""
        release: object = self.recording.release
        value = release.get("contacts") if isinstance(release, Mapping) else None
        return tuple((str(role), str(reach)) for role, reach in value.items()) if isinstance(value, Mapping) else ()

    def answer(self, outcome_id: str) -> Answer:
        known = self._answers.get(outcome_id)
        return known or Answer(id=outcome_id, title=expectations.TITLES.get(outcome_id, ""), outcome=None)

    def outcomes(self, *patterns: str) -> Group:
        """The answers to ids and families (`schema.*`); a family that nothing is known of is one answer without outcome."""
        found: dict[str, Answer] = {}
        for pattern in patterns:
            hits = [item for item in self.ids if matches(pattern, item)] if pattern.endswith("*") else [pattern]
            for item in hits or [pattern]:
                found.setdefault(item, self.answer(item))
        return Group(answers=tuple(found.values()))

    def about(self, family: str, *words: str) -> Group:
        """The answers of one family whose id holds one of the words; one answer without outcome when there is none."""
        hits = [item for item in self.ids if item.startswith(f"{family}.") and any(word in item for word in words)]
        return self.outcomes(*(hits or [f"{family}.*{words[0]}*"]))

    def fact(self, name: str, read: Callable[[object], _T]) -> _T | Missing:
        """A fact as `read` understands it, or why there is none."""
        if name not in self.recording.facts:
            return Missing(name=name)
        try:
            return read(self.recording.facts[name])
        except (ValueError, TypeError) as error:
            return Missing(name=name, why=str(error))

    def last_reading(self, *words: str) -> facts.Reading | None:
        """What the last checkpoint saw of the first signal whose id holds one of the words."""
        found = self.fact("watch.checkpoints", facts.checkpoints)
        if isinstance(found, Missing):
            return None
        for checkpoint in reversed(found):
            for reading in checkpoint.signals:
                if any(word in reading.id for word in words):
                    return reading
        return None
