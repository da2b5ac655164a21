"""What changed between two runs: new, fixed, still failing, flaky, no longer answered. Pure.

`clean` is a pass or a skip, `warned` a warning, `red` all the rest. An id is *new* when it stands worse than before or is red
without having been asked before; *fixed* when it is clean now and was not; *still failing* when it is not clean in both; *flaky*
when one run answered it in both ways, or when it changed between clean and red though neither commit nor schema did; *no longer
answered* when it was answered before, and now is not or is declared not to apply.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gate.model import Outcome, Status

__all__ = ["Change", "Delta", "Difference", "Side", "compare"]


class Change(StrEnum):
    """From what people must read first to what they may read last."""

    NEW = "new"
    FLAKY = "flaky"
    GONE = "no longer answered"
    STILL = "still failing"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two runs. `identity` is what must be the same for a change to be flaky: commit and schema digest."""

    outcomes: tuple[Outcome, ...]
    name: str = ""
    decision: str = ""
    identity: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """One id that changed, or that is still not clean. A status is None where the id had no outcome."""

    id: str
    change: Change
    before: Status | None
    now: Status | None
    reason: str = ""
    same_reason: bool = False

    def said(self) -> str:
        """From what to what, and why: `(pass -> fail): messages.retry_count is text`."""
        if self.change is Change.STILL and self.before is self.now:
            return f"({self.now}): {self.reason}"
        return f"({self.before or 'not asked'} -> {self.now or 'not asked'})" + (f": {self.reason}" if self.reason else "")

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "change": str(self.change),
            "before": str(self.before) if self.before else None,
            "now": str(self.now) if self.now else None,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Every delta, what must be read first coming first."""

    against: str
    against_decision: str
    deltas: tuple[Delta, ...]
    by_id: Mapping[str, Delta] = field(default_factory=dict, compare=False, repr=False)

    @property
    def counts(self) -> dict[str, int]:
        found = Counter(delta.change for delta in self.deltas)
        return {str(change): found[change] for change in Change}

    @property
    def exit_status(self) -> int:
        """1 when something fails that did not fail before, 3 when an answer was lost or is red otherwise, else 0."""
        worse = [delta for delta in self.deltas if delta.change in (Change.NEW, Change.FLAKY)]
        if any(delta.now is Status.FAIL for delta in worse):
            return 1
        lost = any(delta.change is Change.GONE for delta in self.deltas)
        return 3 if lost or any(delta.now in (Status.ERROR, Status.INCONCLUSIVE) for delta in worse) else 0

    def headline(self) -> str:
        said = ", ".join(f"{number} {change}" for change, number in self.counts.items())
        return f"against {self.against}{f' ({self.against_decision})' if self.against_decision else ''}: {said}"

    def as_json(self) -> dict[str, Any]:
        return {
            "against": self.against,
            "against_decision": self.against_decision,
            "counts": self.counts,
            "changes": [delta.as_json() for delta in self.deltas],
        }


def compare(before: Side, now: Side) -> Difference:
    """The order of outcomes does not matter; of several under one id the worst counts, as for the judge."""
    was, found = _by_id(before.outcomes), _by_id(now.outcomes)
    same_world = bool(before.identity) and before.identity == now.identity
    deltas = []
    for item in sorted(was.keys() | found.keys()):
        old, new = was.get(item, ()), found.get(item, ())
        change = _change(old, new, same_world=same_world)
        if change is not None:
            worst, earlier = _worst(new), _worst(old)
            deltas.append(
                Delta(
                    id=item,
                    change=change,
                    before=earlier.status if earlier else None,
                    now=worst.status if worst else None,
                    reason=worst.reason if worst else "",
                    same_reason=bool(worst and earlier and worst.reason == earlier.reason),
                )
            )
    order = list(Change)
    ordered = tuple(sorted(deltas, key=lambda delta: (order.index(delta.change), delta.id)))
    return Difference(
        against=before.name,
        against_decision=before.decision,
        deltas=ordered,
        by_id={delta.id: delta for delta in ordered},
    )


def _change(old: tuple[Outcome, ...], new: tuple[Outcome, ...], *, same_world: bool) -> Change | None:
    if not new:
        return Change.GONE if any(outcome.status is not Status.SKIP for outcome in old) else None
    before, now = _grade(old), _grade(new)
    if {_grade((outcome,)) for outcome in new} >= {_CLEAN, _RED} or (same_world and old and {before, now} == {_CLEAN, _RED}):
        return Change.FLAKY
    if all(outcome.status is Status.SKIP for outcome in new) and any(outcome.status is not Status.SKIP for outcome in old):
        return Change.GONE
    if now > before:
        return Change.NEW
    if now == _CLEAN:
        return Change.FIXED if before > _CLEAN else None
    return Change.STILL


_CLEAN, _WARNED, _RED = range(3)


def _grade(outcomes: tuple[Outcome, ...]) -> int:
    grades = {Status.PASS: _CLEAN, Status.SKIP: _CLEAN, Status.WARN: _WARNED}
    return max((grades.get(outcome.status, _RED) for outcome in outcomes), default=_CLEAN)


def _worst(outcomes: tuple[Outcome, ...]) -> Outcome | None:
    return max(outcomes, key=lambda outcome: (outcome.status.rank, outcome.reason), default=None)


def _by_id(outcomes: Iterable[Outcome]) -> dict[str, tuple[Outcome, ...]]:
    found: dict[str, tuple[Outcome, ...]] = {}
    for outcome in outcomes:
        found[outcome.id] = (*found.get(outcome.id, ()), outcome)
    return found
