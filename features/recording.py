"""What happened in a scenario, step by step, and the outcome that follows from it.

A scenario passes only when every step ran, one of them was a Then, and evidence was gathered. Anything less is never a pass.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest
from pytest_bdd.exceptions import StepDefinitionNotFoundError

from features.exchanges import Tape
from features.secrecy import Secrecy
from gate.errors import Failure, GateError, Inconclusive, NotApplicable
from gate.model import Evidence, Outcome, Scalar, Status
from harness.scenarios import PlannedScenario

__all__ = ["FAILED", "NOT_RUN", "PASSED", "Observe", "Recording", "StepRecord", "from_json"]

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


class Observe(Protocol):
    """Gathers evidence: one observed fact of the running scenario."""

    def __call__(self, label: str, value: Scalar, unit: str = "") -> None: ...


@dataclass(slots=True, kw_only=True)
class StepRecord:
    """One step: its keyword as written, its kind (given, when, then), its text, what became of it, and how long it took."""

    keyword: str
    kind: str
    text: str
    status: str = NOT_RUN
    duration_s: float = 0.0
    tape: Tape = field(default_factory=Tape)

    def as_json(self, secrecy: Secrecy) -> dict[str, Any]:
        """With what went over the wire; everything masked."""
        return {
            "keyword": self.keyword,
            "text": secrecy.text(self.text),
            "status": self.status,
            "duration_s": round(self.duration_s, 6),
            "exchanges": self.tape.as_json(secrecy),
        }


@dataclass(slots=True, kw_only=True)
class Recording:
    """Everything seen of one scenario while it runs. `errors` are pairs of pytest's phase and what was raised in it."""

    scenario: PlannedScenario
    steps: list[StepRecord] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    errors: list[tuple[str, BaseException]] = field(default_factory=list)
    duration_s: float = 0.0
    started: int = 0

    def observe(self, label: str, value: Scalar, unit: str = "") -> None:
        self.evidence.append(Evidence(label=label, value=value, unit=unit))

    @property
    def current(self) -> StepRecord:
        """The step that was begun last. Raises IndexError before the first."""
        return self.steps[self.started - 1]

    def conclude(self, mask: Callable[[str], str]) -> Outcome:
        """The outcome; every text in it masked."""
        status, reason = self._judge()
        return Outcome(
            id=self.scenario.id,
            status=status,
            severity=self.scenario.severity,
            title=self.scenario.name,
            reason=mask(reason),
            evidence=tuple(
                Evidence(label=item.label, value=mask(item.value) if isinstance(item.value, str) else item.value, unit=item.unit)
                for item in self.evidence
            ),
            duration_s=self.duration_s,
            observed_at=datetime.now(UTC),
        )

    def _judge(self) -> tuple[Status, str]:
        if self.errors:
            phase, error = self.errors[0]
            status, said = _verdict_of(error, self._place(phase))
            # A step that only looks at the provider fails for what an earlier one asked.
            last = next((found for step in reversed(self.steps[: self.started]) if (found := step.tape.last_request_id)), "")
            return status, said if not last or "(request " in said else f"{said} (last request {last})"
        idle = [step for step in self.steps if step.status != PASSED]
        if not self.steps or idle:
            return Status.ERROR, f"{len(idle)} of {len(self.steps)} steps did not run"
        if not any(step.kind == "then" for step in self.steps):
            return Status.ERROR, "no Then was executed: nothing was verified"
        if not self.evidence:
            return Status.ERROR, "every step passed and none gathered evidence: nothing was shown"
        return Status.PASS, ""

    def _place(self, phase: str) -> str:
        if phase == "teardown":
            return "after the last step"
        if phase == "setup" or not self.started:
            return "before the first step"
        return f"{self.current.keyword} {self.current.text}"


def _verdict_of(error: BaseException, place: str) -> tuple[Status, str]:
    said = " ".join(str(error).split()) or type(error).__name__
    match error:
        case pytest.FixtureLookupError():
            return Status.ERROR, f"{place}: its function asks for {error.argname!r}: no value of its text, no fixture"
        case pytest.PytestUnraisableExceptionWarning() if "coroutine" in said:
            lost = said.partition("coroutine object ")[2].partition(" at ")[0]
            return Status.ERROR, f"{place}: before this, {lost} was called and not awaited: it never ran"
        case StepDefinitionNotFoundError():
            return Status.ERROR, f"{place}: no step definition has this text"
        case Inconclusive():
            return Status.INCONCLUSIVE, f"{place}: {said}"
        case NotApplicable():
            return Status.SKIP, said
        case pytest.skip.Exception():
            return Status.INCONCLUSIVE, f"{place}: skipped ({said})"
        case AssertionError() | Failure() | pytest.fail.Exception():
            return Status.FAIL, f"{place}: {said}"
        case GateError():
            return Status.ERROR, f"{place}: {said}"
        case _:
            return Status.ERROR, f"{place}: the step itself broke: {type(error).__name__}: {said}{_where(error)}"


def _where(error: BaseException) -> str:
    frames: Sequence[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "features" in Path(frame.filename).parts] or frames
    return f" ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else ""


def from_json(record: Mapping[str, Any]) -> tuple[Outcome, list[dict[str, Any]]]:
    """What a worker handed over: the outcome and its steps."""
    return Outcome.from_json(record["outcome"]), list(record["steps"])
