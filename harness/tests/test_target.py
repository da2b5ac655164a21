"""How clients wait for a target: time is moved only where somebody waits to go on, never past what was allowed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import pytest

from harness.clock import VirtualClock
from harness.errors import HarnessError, NotInTimeError
from harness.target import RealPace, Target, VirtualPace


@contextmanager
def sleeping(sleep: Callable[[float], Any], seconds: float) -> Iterator[threading.Event]:
    """Somebody in another thread who sleeps; the event is set when he went on."""
    woken, asleep = threading.Event(), threading.Event()

    async def nap() -> None:
        napping = asyncio.ensure_future(sleep(seconds))
        await asyncio.sleep(0)
        asleep.set()
        try:
            await asyncio.wait_for(napping, 20)
            woken.set()
        except TimeoutError:
            return

    thread = threading.Thread(target=lambda: asyncio.run(nap()))
    thread.start()
    assert asleep.wait(10)
    try:
        yield woken
    finally:
        thread.join(30)


def test_what_holds_already_moves_nothing() -> None:
    clock = VirtualClock(frozen=True)
    assert VirtualPace(clock).eventually(lambda: "there", within_s=5, what="it") == "there"
    assert clock.monotonic() == 0


def test_time_is_moved_to_where_somebody_goes_on() -> None:
    clock = VirtualClock(frozen=True)
    with sleeping(clock.sleep, 4) as woken:
        assert VirtualPace(clock).eventually(woken.is_set, within_s=5, what="the sleeper")
    assert clock.monotonic() == 4


def test_time_is_never_moved_past_what_was_allowed() -> None:
    clock = VirtualClock(frozen=True)
    with sleeping(clock.sleep, 60) as woken:
        with pytest.raises(NotInTimeError, match="the sleeper: not within 5 s on the target's clock"):
            VirtualPace(clock).eventually(woken.is_set, within_s=5, what="the sleeper")
        assert clock.monotonic() == 5
        clock.advance(55)


def test_a_call_that_waits_on_the_clock_is_helped_over_it() -> None:
    clock = VirtualClock(frozen=True)
    with sleeping(clock.sleep, 5) as woken:
        assert VirtualPace(clock).call(lambda: woken.wait(20))
    assert clock.monotonic() == 5


def test_a_call_that_is_merely_slow_is_not_timed_out() -> None:
    clock = VirtualClock(frozen=True)
    with sleeping(clock.limit, 5) as timed_out:
        slow = threading.Event()
        threading.Timer(0.2, slow.set).start()
        assert VirtualPace(clock).call(lambda: slow.wait(20))
        assert clock.monotonic() == 0
        assert not timed_out.is_set()
        clock.advance(5)


def test_a_limit_is_reached_when_nothing_else_happens() -> None:
    clock = VirtualClock(frozen=True)
    with sleeping(clock.limit, 5) as timed_out:
        assert VirtualPace(clock).call(lambda: timed_out.wait(20))
    assert clock.monotonic() == 5


def test_a_limit_on_the_way_to_a_wait_is_not_passed_while_no_call_is_held() -> None:
    clock = VirtualClock(frozen=True)
    with sleeping(clock.limit, 5) as timed_out, sleeping(clock.sleep, 9) as background:
        slow = threading.Event()
        threading.Timer(0.7, slow.set).start()
        assert VirtualPace(clock, held_calls=lambda: 0).call(lambda: slow.wait(20))
        assert (clock.monotonic(), timed_out.is_set(), background.is_set()) == (0, False, False)
        clock.advance(9)


def test_several_who_wait_at_once_move_time_once() -> None:
    clock = VirtualClock(frozen=True)
    together = threading.Barrier(4)
    met: set[int] = set()

    def quiesce(_: float) -> None:
        # All of them see that nothing happens before one of them moves.
        if threading.get_ident() not in met:
            met.add(threading.get_ident())
            together.wait(20)

    pace = VirtualPace(clock, quiesce=quiesce)
    # A target that took so long to answer is given 0.6 s of quiet, also before the next move.
    assert pace.eventually(lambda: threading.Event().wait(0.2) or "there", within_s=5, what="a slow answer") == "there"
    with sleeping(clock.sleep, 5) as woken, sleeping(clock.sleep, 9) as background, ThreadPoolExecutor(4) as pool:
        for call in [pool.submit(pace.call, lambda: woken.wait(20)) for _ in range(4)]:
            assert call.result()
        assert (clock.monotonic(), background.is_set()) == (5, False)
        clock.advance(4)


def test_a_target_that_answers_slowly_is_given_longer_before_time_is_moved() -> None:
    clock = VirtualClock(frozen=True)
    done = threading.Event()

    def slow_look() -> bool:
        # What the target does meanwhile takes as long as two or three of its answers.
        if not done.is_set() and not timers:
            timers.append(threading.Timer(0.25, done.set))
            timers[0].start()
        blocked.wait(0.1)
        return done.is_set()

    blocked = threading.Event()
    timers: list[threading.Timer] = []
    with sleeping(clock.sleep, 4) as woken:
        assert VirtualPace(clock).eventually(slow_look, within_s=5, what="the target")
        assert (clock.monotonic(), woken.is_set()) == (0, False)
        clock.advance(4)


def test_time_stands_while_deliveries_are_under_way() -> None:
    clock = VirtualClock(frozen=True)
    looks = []

    def quiesce(_: float) -> None:
        looks.append(clock.monotonic())
        if len(looks) < 3:
            raise HarnessError("1 delivery is still under way")

    with sleeping(clock.sleep, 1) as woken:
        assert VirtualPace(clock, quiesce=quiesce).eventually(woken.is_set, within_s=5, what="the sleeper")
    assert looks[:3] == [0, 0, 0]


def test_time_that_is_let_pass_stops_where_somebody_wakes_and_ends_where_it_was_told_to() -> None:
    clock = VirtualClock(frozen=True)
    with sleeping(clock.sleep, 5) as first, sleeping(clock.sleep, 20) as later:
        VirtualPace(clock).let_pass(12)
        assert (clock.monotonic(), first.is_set(), later.is_set()) == (12, True, False)
        clock.advance(8)


def test_time_is_not_let_pass_over_the_limit_of_a_call_that_is_merely_slow() -> None:
    clock = VirtualClock(frozen=True)
    with sleeping(clock.limit, 5) as timed_out, ThreadPoolExecutor(1) as pool:
        passing = pool.submit(VirtualPace(clock, held_calls=lambda: 0).let_pass, 12)
        assert not wait([passing], timeout=0.7).done
        assert (clock.monotonic(), timed_out.is_set()) == (0, False)
        clock.advance(5)
        passing.result(20)
    assert clock.monotonic() >= 12


def test_what_began_while_we_looked_is_awaited_before_time_is_moved() -> None:
    clock = VirtualClock(frozen=True)
    counts = iter([0, 1])
    done = threading.Event()

    def quiesce(_: float) -> int:
        # A delivery begins after the first look, and with it comes what was awaited.
        count = next(counts, 1)
        if count:
            done.set()
        return count

    with sleeping(clock.sleep, 4) as woken:
        assert VirtualPace(clock, quiesce=quiesce).eventually(done.is_set, within_s=5, what="the delivery")
        assert (clock.monotonic(), woken.is_set()) == (0, False)
        clock.advance(4)


def test_what_a_call_raises_is_raised() -> None:
    def refuse() -> None:
        raise LookupError("refused")

    with pytest.raises(LookupError, match="refused"):
        VirtualPace(VirtualClock()).call(refuse)


def test_real_time_is_waited_for_and_given_up() -> None:
    looks = iter([None, False, "there"])
    assert RealPace().eventually(lambda: next(looks), within_s=5, what="it") == "there"
    assert RealPace().call(lambda: 3) == 3
    began = time.monotonic()
    RealPace().let_pass(0.02)
    assert time.monotonic() - began >= 0.02
    with pytest.raises(NotInTimeError, match="it: not within 0.02 s"):
        RealPace().eventually(lambda: None, within_s=0.02, what="it")


def test_a_target_never_shows_its_credentials() -> None:
    target = Target(
        url="http://localhost", admin_email="a@b", admin_password="canary-1", control_token="canary-2", metrics_token="canary-3"
    )
    assert "canary" not in repr(target)
