"""Three calls, then silence for long enough, and an honest answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gate.checks.flow.retry_stops_at_three import run
from gate.errors import Failure, Inconclusive
from gate.facts.flow import FlowObservations

SOUND = FlowObservations(unit_id="1", failing_calls=3, failing_status=502, failing_attempts=3, watched_s=12.0)


def test_three_calls_and_then_none_pass() -> None:
    assert [piece.value for piece in run(SOUND)] == [3, 12.0]
    assert list(run(replace(SOUND, failing_attempts=None)))


@pytest.mark.parametrize(
    ("flow", "reason"),
    [
        (replace(SOUND, failing_calls=0), "the provider got no call"),
        (replace(SOUND, failing_calls=2), "got 2 calls for one message, expected 3"),
        (replace(SOUND, failing_calls=4), "got 4 calls for one message, expected 3"),
        (replace(SOUND, failing_status=200), "answered 200 for a message that was never sent"),
        (replace(SOUND, failing_attempts=1), "tells of 1 attempts, expected 3"),
    ],
)
def test_any_other_number_or_answer_fails(flow: FlowObservations, reason: str) -> None:
    with pytest.raises(Failure, match=reason):
        list(run(flow))


@pytest.mark.parametrize(
    ("flow", "reason"),
    [
        (replace(SOUND, failing_calls=None), "no message was sent to a provider that refuses"),
        (replace(SOUND, watched_s=9.9), "watched for 9.9 s after the third call, expected at least 10 s"),
    ],
)
def test_too_little_was_seen(flow: FlowObservations, reason: str) -> None:
    with pytest.raises(Inconclusive, match=reason):
        list(run(flow))
