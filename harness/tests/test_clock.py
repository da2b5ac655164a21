"""Time as a port: what flows, what stands still, who wakes when."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from harness.clock import Clock, SystemClock, VirtualClock


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_system_clock_is_aware_and_never_goes_back() -> None:
    clock: Clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()
    began = time.monotonic()
    asyncio.run(clock.sleep(0.02))
    asyncio.run(clock.sleep(-1))
    assert 0.015 <= time.monotonic() - began < 1


def test_a_clock_starts_where_it_is_told_in_utc() -> None:
    start = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=-3)))
    clock = VirtualClock(start=start, frozen=True)
    assert clock.now() == start
    assert clock.now().tzinfo is UTC
    clock.advance(90.5)
    assert clock.now() == start + timedelta(seconds=90.5)
    assert clock.monotonic() == 90.5


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        VirtualClock(start=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


def test_a_clock_never_goes_back() -> None:
    clock = VirtualClock(frozen=True)
    with pytest.raises(ValueError, match="never goes back"):
        clock.advance(-0.1)
    assert clock.monotonic() == 0


def test_a_frozen_clock_stands_still_and_a_resumed_one_flows() -> None:
    clock = VirtualClock(frozen=True)
    assert clock.frozen
    time.sleep(0.02)
    assert clock.monotonic() == 0
    clock.resume()
    clock.resume()
    time.sleep(0.02)
    flowed = clock.monotonic()
    assert 0.015 < flowed < 1
    clock.freeze()
    clock.freeze()
    stopped = clock.monotonic()
    time.sleep(0.02)
    assert clock.monotonic() == stopped >= flowed


def test_sleepers_wake_when_due_and_not_before() -> None:
    async def scenario() -> None:
        clock = VirtualClock(frozen=True)
        woken: list[str] = []

        async def sleeper(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append(name)

        async with asyncio.TaskGroup() as group:
            for name, seconds in (("late", 10), ("early", 1), ("middle", 5)):
                group.create_task(sleeper(name, seconds))
            await _turns()
            assert clock.next_deadline() == 1
            clock.advance(0.9)
            await _turns()
            assert woken == []
            clock.advance(0.1)
            await _turns()
            assert woken == ["early"]
            assert clock.next_deadline() == 4
            clock.advance(100)
            await _turns()
            assert woken == ["early", "middle", "late"]
            assert clock.next_deadline() is None

    asyncio.run(scenario())


def test_a_jump_shortens_the_real_time_that_a_sleeper_still_has_to_wait() -> None:
    async def scenario() -> float:
        clock = VirtualClock()
        began = time.monotonic()
        task = asyncio.create_task(clock.sleep(30))
        await _turns()
        clock.advance(29.9)
        await asyncio.wait_for(task, 5)
        return time.monotonic() - began

    assert 0.05 < asyncio.run(scenario()) < 4


def test_a_sleeper_of_a_frozen_clock_goes_on_when_it_is_resumed() -> None:
    async def scenario() -> None:
        clock = VirtualClock(frozen=True)
        task = asyncio.create_task(clock.sleep(0.05))
        await _turns()
        clock.resume()
        await asyncio.wait_for(task, 5)

    asyncio.run(scenario())


def test_freezing_holds_a_sleeper_whose_timer_is_running() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        task = asyncio.create_task(clock.sleep(0.05))
        await _turns()
        clock.freeze()
        await asyncio.wait({task}, timeout=0.15)
        assert not task.done()
        clock.advance(0.05)
        await asyncio.wait_for(task, 5)

    asyncio.run(scenario())


def test_a_cancelled_sleeper_is_forgotten() -> None:
    async def scenario() -> None:
        clock = VirtualClock(frozen=True)
        tasks = [asyncio.create_task(clock.sleep(10 + index)) for index in range(500)]
        await _turns()
        for task in tasks[:-1]:
            task.cancel()
        await asyncio.gather(*tasks[:-1], return_exceptions=True)
        assert clock.next_deadline() == 509
        assert len(clock._sleepers) < 300
        clock.advance(509)
        await asyncio.wait_for(tasks[-1], 5)

    asyncio.run(scenario())


def test_nothing_or_less_than_nothing_is_one_turn_of_the_loop() -> None:
    async def scenario() -> None:
        clock = VirtualClock(frozen=True)
        await asyncio.wait_for(clock.sleep(0), 5)
        await asyncio.wait_for(clock.sleep(-3), 5)

    asyncio.run(scenario())


def test_another_thread_moves_the_clock() -> None:
    async def scenario() -> None:
        clock = VirtualClock(frozen=True)
        sleeping = asyncio.create_task(clock.sleep(3600))
        await _turns()
        mover = threading.Thread(target=clock.advance, args=(3600,))
        mover.start()
        await asyncio.wait_for(sleeping, 5)
        mover.join()

    asyncio.run(scenario())


def test_a_jump_after_the_sleepers_loop_has_closed_hurts_nobody() -> None:
    clock = VirtualClock(frozen=True)

    async def leave_a_sleeper_behind() -> None:
        asyncio.ensure_future(clock.sleep(5)).cancel()
        await asyncio.sleep(0)

    asyncio.run(leave_a_sleeper_behind())
    clock.advance(10)
    assert clock.next_deadline() is None


def test_no_sleeper_is_lost_among_threads_that_move_the_clock() -> None:
    clock = VirtualClock(frozen=True)
    done = threading.Event()

    def mover() -> None:
        while not done.wait(0.001):
            clock.advance(0.5)

    async def scenario() -> int:
        async def sleeper(index: int) -> int:
            for step in range(20):
                await clock.sleep((index + step) % 7 / 3)
            return 1

        return sum(await asyncio.wait_for(asyncio.gather(*(sleeper(index) for index in range(50))), 20))

    threads = [threading.Thread(target=mover) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert asyncio.run(scenario()) == 50
    finally:
        done.set()
        for thread in threads:
            thread.join()
