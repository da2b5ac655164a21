"""Where the backend under test is, and how its clients wait for it.

A target is a backend behind a URL, in any language. Behind it stands an Evolution API: a fake whose control plane we reach (then
time may be moved and a scan needs no phone), or a real one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from harness.errors import NotInTimeError

__all__ = ["Pace", "RealPace", "Target", "TimeControl", "VirtualPace"]

T = TypeVar("T")

POLL_S = 0.005
# How long nothing may happen before time is moved on, and before what was awaited is given up.
QUIET_S = 0.03
GIVEN_UP_S = 2.0
# A call that hangs on a wait of the system is helped over waits of this length; longer ones belong to background work.
LONGEST_WAIT_IN_A_CALL_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A backend under test.

    `evolution_url` and `control_token` reach the control plane of a fake Evolution API; both are empty when the target talks to a
    real one. `log_path` is the backend's log where this machine can read it. Credentials are never shown by `repr`.
    """

    url: str
    admin_email: str
    admin_password: str = field(repr=False)
    evolution_url: str = ""
    control_token: str = field(default="", repr=False)
    metrics_token: str = field(default="", repr=False)
    log_path: Path | None = None


class TimeControl(Protocol):
    """What a pace needs of the control plane's clock; `harness.evolution.client.EvolutionControl` has it."""

    def monotonic(self) -> float: ...

    def next_deadline(self) -> float | None: ...

    def advance(self, seconds: float) -> object: ...


class Pace(Protocol):
    """How a client of the target waits."""

    def eventually(self, condition: Callable[[], T | None], *, within_s: float, what: str) -> T:
        """The first value of `condition` that is neither None nor False.

        Raises NotInTimeError after `within_s` seconds on the target's clock.
        """
        ...

    def call(self, function: Callable[[], T]) -> T:
        """Runs a call that may block on waits of the target."""
        ...


class RealPace:
    """Waits in real time: for targets whose clock nobody moves."""

    def eventually(self, condition: Callable[[], T | None], *, within_s: float, what: str) -> T:
        deadline = time.monotonic() + within_s
        while True:
            value = condition()
            if value is not None and value is not False:
                return value
            if time.monotonic() >= deadline:
                raise NotInTimeError(f"{what}: not within {within_s:g} s")
            time.sleep(POLL_S)

    def call(self, function: Callable[[], T]) -> T:
        return function()


class VirtualPace:
    """Moves the target's clock instead of waiting: only when nothing happens, and never past what was allowed."""

    def __init__(self, clock: TimeControl) -> None:
        self._clock = clock

    def eventually(self, condition: Callable[[], T | None], *, within_s: float, what: str) -> T:
        began = self._clock.monotonic()
        quiet_since = gave_up_since = time.monotonic()
        while True:
            value = condition()
            if value is not None and value is not False:
                return value
            spent = self._clock.monotonic() - began
            if spent >= within_s:
                raise NotInTimeError(f"{what}: not within {within_s:g} s on the target's clock")
            if time.monotonic() - quiet_since >= QUIET_S:
                due = self._clock.next_deadline()
                if due is not None and spent + due <= within_s:
                    self._clock.advance(due)
                    gave_up_since = time.monotonic()
                elif time.monotonic() - gave_up_since >= GIVEN_UP_S:
                    # Nobody is due in time and nothing moves: spend the rest at once and look a last time.
                    self._clock.advance(within_s - spent)
                quiet_since = time.monotonic()
            time.sleep(POLL_S)

    def call(self, function: Callable[[], T]) -> T:
        results: list[T] = []
        errors: list[BaseException] = []
        done = threading.Event()

        def work() -> None:
            try:
                results.append(function())
            except BaseException as error:
                errors.append(error)
            finally:
                done.set()

        thread = threading.Thread(target=work, name="call-on-target", daemon=True)
        thread.start()
        while not done.wait(QUIET_S):
            due = self._clock.next_deadline()
            if due is not None and due <= LONGEST_WAIT_IN_A_CALL_S:
                self._clock.advance(due)
        if errors:
            raise errors[0]
        return results[0]
