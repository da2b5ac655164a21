"""What the steps of the smoke test share, and the run that takes them in order."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gate.errors import Failure, UsageError
from gate.journal import Journal
from gate.masking import Masker
from gate.model import Outcome, Status
from gate.registry import Item, Kind, registry
from gate.runner import Facts
from gate.runner import run as run_items
from harness.smoke.session import Answer, Session
from harness.target import Pace, Target

if TYPE_CHECKING:
    from harness.evolution.client import EvolutionControl

__all__ = ["Walk", "probes", "run", "take"]

PROBES = "harness.smoke.probes"
SCAN_WAIT_S = 180.0
# A status change must be visible within this time.
VISIBLE_S = 5.0


@dataclass(slots=True, kw_only=True)
class Walk:
    """One way through the backend. `unit_wanted` is an id, slug or name, empty for any; `recipient` are digits.

    `control` reaches the fake behind the backend, None behind a real Evolution API; with `pause` a person scans, and `show` gets
    the QR code as lines for a terminal.
    """

    session: Session
    pace: Pace
    recipient: str
    unit_wanted: str = ""
    control: EvolutionControl | None = None
    pause: bool = False
    show: Callable[[str], None] = lambda _: None
    unit: str = ""
    # Set when the unit was connected before the walk began: since when.
    connected_since: str = ""
    mark: str = field(default_factory=lambda: f"smoke-{uuid.uuid4().hex[:12]}")

    @property
    def instance(self) -> str:
        return f"unit_{self.unit}"

    def ask(self, method: str, path: str, *, body: dict[str, Any] | None = None, expected: tuple[int, ...] = (200,)) -> Answer:
        """One request. Raises Failure, with the request id, for any status that was not expected."""
        answer = self.pace.call(lambda: self.session.request(method, path, body=body))
        if answer.status not in expected:
            shown = path.replace(self.unit, "{unit}") if self.unit else path
            raise Failure(f"{method} {shown}: {answer.told()}; expected {' or '.join(map(str, expected))}")
        return answer

    def status(self) -> Answer:
        return self.ask("GET", f"/units/{self.unit}/whatsapp/status")

    def await_status(self, wanted: Callable[[Answer], bool], *, within_s: float, what: str) -> Answer:
        """The first status that is wanted. Raises NotInTimeError after `within_s` seconds on the target's clock."""

        def look() -> Answer | None:
            answer = self.status()
            return answer if wanted(answer) else None

        return self.pace.eventually(look, within_s=within_s, what=what)


def probes() -> list[Item]:
    """The eight steps, in order."""
    return list(registry(Kind.PROBE).load(PROBES))


def run(
    target: Target,
    pace: Pace,
    *,
    recipient: str,
    journal: Journal,
    unit: str = "",
    pause: bool = False,
    show: Callable[[str], None] = lambda _: None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Takes the eight steps and appends their outcomes and the fact `smoke.steps`.

    Stops at the first that does not pass: the rest is inconclusive. Raises UsageError, before anything runs, for a recipient
    that is no phone number.
    """
    _refuse_recipient(recipient)
    with journal.part("smoke", expected=[item.id for item in probes()]):

        def note(outcome: Outcome) -> None:
            journal.append(outcome)
            on_outcome(outcome)

        outcomes = take(target, pace, recipient=recipient, unit=unit, pause=pause, show=show, on_outcome=note)
        journal.fact(
            "smoke.steps",
            [
                {
                    "name": outcome.id.removeprefix("smoke."),
                    "status": str(outcome.status),
                    "duration_s": round(outcome.duration_s, 4),
                    "detail": outcome.reason or "; ".join(map(str, outcome.evidence)),
                }
                for outcome in outcomes
            ],
        )
    return outcomes


def take(
    target: Target,
    pace: Pace,
    *,
    recipient: str,
    unit: str = "",
    pause: bool = False,
    show: Callable[[str], None] = lambda _: None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """The steps without a journal, for whoever has its own, such as the rollback rehearsal. Raises UsageError as `run` does."""
    _refuse_recipient(recipient)
    masker = Masker((target.admin_password, target.control_token, target.metrics_token))
    outcomes: list[Outcome] = []
    stopped_by = ""
    control = None
    if target.evolution_url:
        # Against a real provider the fake need not be installed.
        from harness.evolution.client import EvolutionControl

        control = EvolutionControl(target.evolution_url, target.control_token)
    try:
        with Session(target) as session:
            walk = Walk(
                session=session, pace=pace, recipient=recipient, unit_wanted=unit, control=control, pause=pause, show=show
            )
            for item in probes():
                if stopped_by:
                    outcome = Outcome(
                        id=item.id,
                        status=Status.INCONCLUSIVE,
                        severity=item.severity,
                        title=item.title,
                        reason=f"not reached: {stopped_by}",
                        observed_at=datetime.now(UTC),
                    )
                else:
                    (outcome,) = run_items(
                        [item], Facts({"walk": lambda: walk}), masker=masker, timeout_s=SCAN_WAIT_S + VISIBLE_S
                    )
                if not stopped_by and outcome.status is not Status.PASS:
                    stopped_by = f"{item.id} {_VERBS[outcome.status]}"
                outcomes.append(outcome)
                on_outcome(outcome)
    finally:
        if control is not None:
            control.disconnect()
    return outcomes


_VERBS = {
    Status.FAIL: "failed",
    Status.WARN: "warned",
    Status.ERROR: "could not look",
    Status.INCONCLUSIVE: "saw too little",
    Status.SKIP: "was skipped",
}


def _refuse_recipient(recipient: str) -> None:
    if not re.fullmatch(r"\+?\d{8,15}", recipient):
        raise UsageError("the smoke test needs a recipient of 8 to 15 digits for its message; there is no default number")
