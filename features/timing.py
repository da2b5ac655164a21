"""The target's time: how a scenario waits for something, and how it lets hours pass.

Behind a fake Evolution API whose clock may be moved, and a backend that goes by the same clock, waiting costs nothing. Whether
the backend does go by it is not believed but observed: its uptime must grow with the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from gate.errors import Inconclusive
from harness.evolution.client import EvolutionControl
from harness.evolution.errors import ControlError
from harness.target import Pace, RealPace, VirtualPace

__all__ = ["LONGEST_REAL_WAIT_S", "FakeClock", "TargetTime", "target_time"]

LONGEST_REAL_WAIT_S = 60.0
_PROBE_S = 30.0
_SHORTEST_STEP_S = 0.001


class FakeClock:
    """The clock of a fake Evolution API, over its control plane."""

    def __init__(self, control: EvolutionControl) -> None:
        self._control = control

    def now(self) -> datetime:
        return datetime.fromisoformat(self._control.read_clock()["now"])

    def monotonic(self) -> float:
        return float(self._control.read_clock()["monotonic"])

    def next_deadline(self) -> float | None:
        due = self._control.read_clock()["nextDeadline"]
        return None if due is None else float(due)

    def next_wait(self) -> float | None:
        return self._control.next_wait()

    def advance(self, seconds: float) -> None:
        # A step of nothing would wake nobody, not even who is overdue.
        self._control.advance(max(seconds, _SHORTEST_STEP_S))


class TargetTime:
    """`pace` waits on it; `clock` is there when it can be moved."""

    def __init__(self, pace: Pace, clock: FakeClock | None = None) -> None:
        self.pace = pace
        self._clock = clock

    @property
    def movable(self) -> bool:
        return self._clock is not None

    def monotonic(self) -> float:
        """Seconds on the target's clock; only differences mean something."""
        return time.monotonic() if self._clock is None else self._clock.monotonic()

    def now(self) -> datetime:
        """The wall clock of the target, in UTC."""
        return datetime.now(UTC) if self._clock is None else self._clock.now()

    def let_pass(self, seconds: float) -> None:
        """Returns when so many seconds have passed for the target.

        Raises Inconclusive when its clock cannot be moved and the wait would be longer than anybody waits.
        """
        if self._clock is not None:
            self._clock.advance(seconds)
        elif seconds <= LONGEST_REAL_WAIT_S:
            time.sleep(seconds)
        else:
            raise Inconclusive(
                f"{seconds:g} s had to pass and the target's clock cannot be moved: this was not looked at; "
                "run one worker against the embedded system, or against a backend that goes by the fake's clock"
            )


def target_time(control: EvolutionControl | None, uptime: Callable[[], float | None], *, shared: bool = False) -> TargetTime:
    """Time that can be moved, when the control plane's clock can and the backend's `uptime` follows it; else real time.

    Time that is `shared` with other workers stays real: moving it for one would move it under the others. Raises HarnessError
    when the backend cannot be reached.
    """
    if control is None or shared:
        return TargetTime(RealPace())
    clock, before = FakeClock(control), uptime()
    try:
        clock.advance(_PROBE_S)
    except ControlError:
        return TargetTime(RealPace())
    after = uptime()
    follows = before is not None and after is not None and after - before >= _PROBE_S * 0.9
    return (
        TargetTime(VirtualPace(clock, quiesce=control.quiesce, held_calls=control.held_calls), clock)
        if follows
        else TargetTime(RealPace())
    )
