"""What bounds the fake's memory, and what stays right when it is reached; what happens later happens in its order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from harness.clock import VirtualClock
from harness.evolution.agenda import Agenda
from harness.evolution.state import Message, Messages


def _message(number: int) -> Message:
    return Message(row=f"row{number}", content={"key": {"id": f"key{number}"}})


def test_the_oldest_message_goes_for_one_that_is_too_many() -> None:
    messages = Messages()
    for number in range(Messages.KEPT + 3):
        messages.add(_message(number))
    assert len(messages) == Messages.KEPT
    assert next(iter(messages)).id == "row3"
    assert messages.get("key2") is None
    newest = messages.get(f"key{Messages.KEPT + 2}")
    assert newest is not None
    assert newest.id == f"row{Messages.KEPT + 2}"


def test_a_row_that_answers_for_a_key_stays_until_it_goes_itself() -> None:
    messages = Messages()
    first = _message(1)
    for message in (first, *(_message(1) for _ in range(Messages.KEPT - 1))):
        messages.add(message)
    assert messages.get("key1") is first
    messages.add(_message(2))
    assert messages.get("key1") is None


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


def test_entries_happen_by_their_moment_and_together_in_the_order_of_adding() -> None:
    async def work() -> None:
        clock = VirtualClock(frozen=True)
        happened: list[str] = []
        agenda = Agenda(clock, asyncio.get_running_loop().create_task)
        agenda.add(0.5, happened.append, "late")
        agenda.add(0.2, happened.append, "early")
        agenda.add(0.2, happened.append, "early as well")
        agenda.add(0.0, happened.append, "now")
        await _turns()
        assert happened == ["now"]
        clock.advance(0.2)
        await _turns()
        assert happened == ["now", "early", "early as well"]
        clock.advance(0.3)
        await _turns()
        assert happened[3:] == ["late"]

    _run(work())


def test_an_agenda_that_was_cleared_takes_new_entries() -> None:
    async def work() -> None:
        clock = VirtualClock(frozen=True)
        happened: list[str] = []
        agenda = Agenda(clock, asyncio.get_running_loop().create_task)
        agenda.add(0.2, happened.append, "forgotten")
        await _turns()
        agenda.clear()
        agenda.add(0.3, happened.append, "kept")
        clock.advance(1)
        await _turns()
        assert happened == ["kept"]

    _run(work())


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
