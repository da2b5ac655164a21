"""The accounts of a chaos run: what is all right, and everything that is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.proof.chaos import FULL, SHORT, plan
from harness.proof.chaos_account import SOMETIMES, Asked, Call, End, Event, Seen, assess
from harness.proof.chaos_command import table

TIMEOUT_S = 2.0
EVERYTHING = dict.fromkeys(SOMETIMES, 1)
NUMBER = "5511900001234"


def _sound() -> Seen:
    """A run in which all was well and everything was seen."""
    return Seen(
        asked=[
            Asked(number="5511900000001", group="waited for", status="delivered", answered=frozenset({"a"})),
            Asked(number="5511900000002", group="waited for", status="failed", answered=frozenset({"b"})),
            Asked(number="5511900000003", group="queued", status="unknown", answered=frozenset({"c"})),
            Asked(number="5511900000004", group="queued", status="sent", answered=frozenset({"d"})),
        ],
        events=[Event(text="hello", acknowledged=True, shown=1), Event(text="never acknowledged", acknowledged=False, shown=0)],
        strangers=[],
        sends=[("5511900000001", 1.0), ("5511900000004", 4.0)],
        calls=[
            Call(number="5511900000001", status=201, seconds=0.1),
            Call(number="5511900000002", status=429, seconds=0.1),
            Call(number="5511900000003", status=None, seconds=2.0),
            Call(number="5511900000004", status=None, seconds=0.4),
        ],
        delivered=frozenset({"5511900000001"}),
        paced={"unit 3": [1.0, 3.0, 5.5]},
        campaigns=[{"total": 3, "pending": 0, "sent": 1, "delivered": 1, "read": 0, "failed": 0, "unknown": 1}],
        server_errors={},
        kills=3,
        timeout_s=TIMEOUT_S,
        sightings={**EVERYTHING, "timeout but sent": 0},
        connections={"unit 0": ("connected", "connected")},
    )


def _also_timed_out_but_sent(seen: Seen) -> Seen:
    return replace(
        seen,
        asked=[*seen.asked, Asked(number=NUMBER, group="waited for", status="sent", answered=frozenset({"e"}))],
        sends=[*seen.sends, (NUMBER, 9.0)],
        calls=[*seen.calls, Call(number=NUMBER, status=None, seconds=2.0)],
    )


@pytest.fixture
def sound() -> Seen:
    return _also_timed_out_but_sent(_sound())


def _with_status(seen: Seen, number: str, status: str) -> Seen:
    return replace(seen, asked=[replace(asked, status=status) if asked.number == number else asked for asked in seen.asked])


def test_a_run_in_which_everything_was_seen_and_held_ends_well(sound: Seen) -> None:
    accounting = assess(sound)
    assert (accounting.violations, accounting.unseen, accounting.end) == ((), (), End.HELD)
    assert {row.group: (row.accepted, row.sent, row.failed, row.unknown, row.ledger) for row in accounting.rows} == {
        "waited for": (3, 2, 1, 0, 2),
        "queued": (2, 1, 0, 1, 1),
        "inbound": (1, 1, 0, 0, 2),
    }


WRONGS: dict[str, tuple[Callable[[Seen], Seen], str]] = {
    "sent and not in the ledger": (lambda seen: replace(seen, sends=seen.sends[1:]), "lost: ****0001"),
    "never accepted": (lambda seen: _with_status(seen, "5511900000002", ""), "lost: ****0002 was never accepted"),
    "two for one": (lambda seen: replace(seen, sends=[*seen.sends, ("5511900000001", 30.0)]), "duplicated: ****0001"),
    "nobody asked": (lambda seen: replace(seen, sends=[*seen.sends, ("5511900009999", 30.0)]), "unexpected: ****9999"),
    "failed and sent": (lambda seen: _with_status(seen, "5511900000004", "failed"), "unexpected: ****0004 is failed"),
    "left queued": (lambda seen: _with_status(seen, "5511900000002", "queued"), "stuck: ****0002"),
    "left in the middle": (lambda seen: _with_status(seen, "5511900000002", "sending"), "stuck: ****0002"),
    "unknown though sent": (lambda seen: _with_status(seen, "5511900000004", "unknown"), "unknown: ****0004"),
    "unknown after a clear answer": (
        lambda seen: _with_status(seen, "5511900000002", "unknown"),
        "unknown: ****0002 is unknown, and its last call was answered with 429",
    ),
    "unknown without a reason": (
        lambda seen: replace(seen, calls=[call for call in seen.calls if call.number != "5511900000003"], kills=0),
        "unknown: ****0003 is unknown, and nothing was ever called",
    ),
    "two messages for one key": (
        lambda seen: replace(seen, asked=[replace(seen.asked[0], answered=frozenset({"a", "z"})), *seen.asked[1:]]),
        "idempotency: the key of ****0001",
    ),
    "a fourth call": (
        lambda seen: replace(seen, calls=[*seen.calls, *[Call(number="5511900000002", status=429, seconds=0.1)] * 3]),
        "attempts: ****0002 was called 4 times",
    ),
    "again after a timeout": (
        lambda seen: replace(seen, calls=[*seen.calls, Call(number="5511900000003", status=201, seconds=0.1)]),
        "blind retry: ****0003",
    ),
    "acknowledged and gone": (
        lambda seen: replace(seen, events=[Event(text="gone", acknowledged=True, shown=0)]),
        "lost: the inbound message 'gone'",
    ),
    "shown twice": (
        lambda seen: replace(seen, events=[Event(text="twin", acknowledged=True, shown=2)]),
        "duplicated: the inbound message 'twin'",
    ),
    "an invented customer": (lambda seen: replace(seen, strangers=["who?"]), "unexpected: 'who?'"),
    "an acknowledgement lost": (
        lambda seen: _with_status(seen, "5511900000001", "sent"),
        "acknowledgement: ****0001 was delivered",
    ),
    "two sends in a burst": (lambda seen: replace(seen, paced={"unit 3": [1.0, 2.9]}), "pace: unit 3 sent twice within 1.900 s"),
    "counts that do not add up": (
        lambda seen: replace(seen, campaigns=[{**seen.campaigns[0], "total": 4}]),
        "campaign: its counts do not add up",
    ),
    "pending recipients": (
        lambda seen: replace(seen, campaigns=[{"total": 1, "pending": 1}]),
        "campaign: 1 recipients were still pending",
    ),
    "a status that is not true": (
        lambda seen: replace(seen, connections={"unit 0": ("connected", "disconnected")}),
        "connection: unit 0 is disconnected at the provider",
    ),
    "an answer 500": (lambda seen: replace(seen, server_errors={"POST /messages answered 500": 2}), "server error: 2 times POST"),
    "a secret in a log": (lambda seen: replace(seen, canaries_found=["api-0.log"]), "leak: a secret or a phone is in api-0.log"),
}


@pytest.mark.parametrize("wrong", WRONGS)
def test_whatever_is_wrong_breaks_the_promise_and_is_told_in_one_line(sound: Seen, wrong: str) -> None:
    change, told = WRONGS[wrong]
    accounting = assess(change(sound))
    assert accounting.end is End.VIOLATED
    assert any(line.startswith(told) for line in accounting.violations), accounting.violations
    assert all("55119" not in line and "\n" not in line for line in accounting.violations)
    assert any(line in table(accounting) for line in accounting.violations)


@pytest.mark.parametrize("name", SOMETIMES)
def test_a_run_that_did_not_see_every_kind_of_trouble_is_inconclusive(sound: Seen, name: str) -> None:
    calm = replace(sound, sightings={**sound.sightings, name: 0})
    kept = {
        "timeout but sent": [call for call in calm.calls if call.number != NUMBER],
        "timeout and not sent": [replace(call, status=500) if call.number.endswith("0003") else call for call in calm.calls],
        "429 from the provider": [call for call in calm.calls if call.status != 429],
        "crash between provider send and commit": [
            replace(call, status=500) if call.number.endswith("0004") else call for call in calm.calls
        ],
    }
    accounting = assess(replace(calm, calls=kept.get(name, calm.calls)))
    assert (accounting.unseen, accounting.end) == ((name,), End.INCONCLUSIVE)
    assert f"0 × {name}" in table(accounting)


def test_a_broken_promise_outweighs_what_was_not_seen(sound: Seen) -> None:
    assert assess(replace(sound, sightings={}, strangers=["who?"])).end is End.VIOLATED


def test_nothing_seen_is_no_proof() -> None:
    empty = replace(
        _sound(),
        asked=[], events=[], sends=[], calls=[], delivered=frozenset(), paced={}, campaigns=[], kills=0, sightings={},
    )  # fmt: skip
    assert assess(empty).end is End.INCONCLUSIVE


@given(st.integers(min_value=0, max_value=10**6), st.sampled_from([SHORT, FULL]))
def test_a_seed_is_one_plan_with_all_its_kills_in_the_order_of_their_moments(seed: int, size: object) -> None:
    planned = plan(seed, size)  # type: ignore[arg-type]
    assert planned == plan(seed, size)  # type: ignore[arg-type]
    moments = [moment.at for moment in planned.moments]
    assert moments == sorted(moments)
    assert max(moments) < planned.size.messages == len(planned.ways)
    assert sum(moment.deed in ("kill", "crash") for moment in planned.moments) == planned.size.kills


@given(st.integers(min_value=0, max_value=10**6))
def test_another_seed_is_another_plan(seed: int) -> None:
    assert plan(seed, SHORT).ways != plan(seed + 1, SHORT).ways
