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

from harness.errors import HarnessError, NotInTimeError

__all__ = ["OWN_SYSTEM", "Pace", "RealPace", "Target", "TimeControl", "VirtualPace"]

T = TypeVar("T")

# In the environment of workers: what each of them starts for itself.
OWN_SYSTEM = "GOLIVE_OWN_SYSTEM"
POLL_S = 0.005
# How long nothing may happen before time is moved on, and before what was awaited is given up.
QUIET_S = 0.03
_ANSWERS_OF_QUIET = 3.0
_FORGETS = 0.8
LIMITS_AFTER_S = 0.5
GIVEN_UP_S = 6.0
# How long deliveries may be under way before time is not moved on this once.
PATIENCE_S = 0.5
# A call that hangs on a wait of the system is helped over waits of this length; longer ones belong to background work.
LONGEST_WAIT_IN_A_CALL_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A backend under test.

    `evolution_url` and `control_token` reach the control plane of a fake Evolution API; both are empty when the target talks to a
    real one. `log_path` is the backend's log where this machine can read it. `operations_url` is where its operator's acts are
    asked for (`harness.operations`), `signing_key` what its access tokens are signed with; most backends give neither.
    `own_system` is what workers are told to start, each a target for itself; `url` is no address then.
    Credentials are never shown by `repr`.
    """

    url: str
    admin_email: str
    admin_password: str = field(repr=False)
    evolution_url: str = ""
    control_token: str = field(default="", repr=False)
    metrics_token: str = field(default="", repr=False)
    log_path: Path | None = None
    operations_url: str = ""
    signing_key: str = field(default="", repr=False)
    own_system: str = field(default="", repr=False)


class TimeControl(Protocol):
    """What a pace needs of the target's clock; `VirtualClock`, `FakeEvolution` and `EvolutionControl` have it."""

    def monotonic(self) -> float: ...

    def next_deadline(self) -> float | None: ...

    def next_wait(self) -> float | None: ...

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

    def let_pass(self, seconds: float) -> None:
        """Returns when so many seconds have passed on the target's clock, and whoever woke in them has done what he then did."""
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

    def let_pass(self, seconds: float) -> None:
        time.sleep(seconds)


class VirtualPace:
    """Moves the target's clock instead of waiting, when nothing happens and never past what was allowed.

    It moves to where somebody waits to go on. A time limit is moved to, or past, only when a call is held for longer: one that is
    merely slow, on a busy machine, must not be timed out by us. `quiesce` waits, so many seconds at most, until the fake has
    no delivery under way, and tells how many there were so far; it raises HarnessError when there still is one. `held_calls`
    says how many calls to the fake wait on the clock. Safe to use from several threads: of those who see that nothing happens,
    one moves.
    """

    def __init__(
        self,
        clock: TimeControl,
        *,
        quiesce: Callable[[float], object] = lambda _: None,
        held_calls: Callable[[], int] = lambda: 1,
    ) -> None:
        self._clock = clock
        self._quiesce = quiesce
        self._held_calls = held_calls
        self._turn = threading.Lock()
        self._moved_at = 0.0
        self._answer_s = 0.0

    def eventually(self, condition: Callable[[], T | None], *, within_s: float, what: str) -> T:
        began = self._clock.monotonic()
        since = looked_at = time.monotonic()
        while True:
            value = self._timed(condition)
            if value is not None and value is not False:
                return value
            spent = self._clock.monotonic() - began
            if spent >= within_s:
                raise NotInTimeError(f"{what}: not within {within_s:g} s on the target's clock")
            if time.monotonic() - looked_at >= self._quiet_s() and (seen := self._quiet()) is not None:
                # What was under way until now may be what was awaited.
                value = condition()
                if value is not None and value is not False:
                    return value
                if self._quiet() != seen:
                    # Time flowed while we looked, and something has happened since.
                    continue
                if not self._move(at_most=within_s - spent, since=since) and self._still_s(since) >= GIVEN_UP_S:
                    # Nobody is due in time and nothing happens: spend the rest at once and look a last time.
                    self._clock.advance(within_s - spent)
                looked_at = time.monotonic()
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
        since = time.monotonic()
        while not done.wait(self._quiet_s()):
            if self._quiet() is not None and not done.is_set():
                self._move(at_most=LONGEST_WAIT_IN_A_CALL_S, since=since)
        if errors:
            raise errors[0]
        return results[0]

    def _timed(self, condition: Callable[[], T | None]) -> T | None:
        began = time.monotonic()
        value = condition()
        self._answer_s = max(time.monotonic() - began, self._answer_s * _FORGETS)
        return value

    def _quiet_s(self) -> float:
        """How long nothing may happen: on a busy machine what is under way out of our sight takes longer, as answers do."""
        return max(QUIET_S, _ANSWERS_OF_QUIET * self._answer_s)

    def let_pass(self, seconds: float) -> None:
        end = self._clock.monotonic() + seconds
        since = time.monotonic()
        while True:
            time.sleep(self._quiet_s())
            left = end - self._clock.monotonic()
            if self._quiet() is None:
                continue
            if left <= 0:
                return
            if not self._move(at_most=left, since=since) and not self._is_awaited(left):
                self._clock.advance(left)

    def _is_awaited(self, within_s: float) -> bool:
        """Whether a time limit ends within so many seconds: a call is under way then, and will be over before."""
        limit = self._clock.next_deadline()
        return limit is not None and limit <= within_s

    def _still_s(self, since: float) -> float:
        """For how long time has not been moved, counted from `since` at most."""
        return time.monotonic() - max(since, self._moved_at)

    def _move(self, *, at_most: float, since: float) -> bool:
        """Whether time has just been moved, by us or by another thread."""
        with self._turn:
            if self._still_s(since) < self._quiet_s():
                return True
            # In this order: time flows between the two, and a wait must not look later than itself.
            limit = self._clock.next_deadline()
            due = self._clock.next_wait()
            if limit is not None and limit < (at_most if due is None else due):
                if self._still_s(since) < LIMITS_AFTER_S or self._held_calls() == 0:
                    return False
                due = limit
            if due is None or due > at_most:
                return False
            self._clock.advance(due)
            self._moved_at = time.monotonic()
            return True

    def _quiet(self) -> tuple[object] | None:
        """What there was so far, once nothing is under way; None when something still is."""
        try:
            return (self._quiesce(PATIENCE_S),)
        except HarnessError:
            return None
