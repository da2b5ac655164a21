"""Every recorded answer and delivery of the real server, played in order against the fake."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from harness.clock import VirtualClock
from harness.evolution import FakeEvolution
from harness.tests.evolution.fakes import LAUNCHERS, Mode, listening_place
from harness.tests.evolution.listener import Listener
from harness.tests.evolution.replay import RECORDINGS, Player, Report

_PHASES = ("offline", "connected", "events", "webhook-delivery")


@pytest.fixture(scope="module")
def report(mode: Mode) -> Iterator[Report]:
    address, name = listening_place(mode)
    with LAUNCHERS[mode]("GLOBAL-API-KEY", 1) as evolution, Listener(evolution.clock, address=address, name=name) as listener:
        yield Player(evolution, listener, evolution.clock).play()


@pytest.mark.parametrize("phase", _PHASES)
def test_the_fake_answers_and_delivers_as_the_recorded_server_did(report: Report, phase: str) -> None:
    assert report.compared[phase] > 0
    assert {step: found for step, found in report.differences.items() if step.startswith(f"{phase} ")} == {}


def test_every_recorded_answer_was_compared(report: Report) -> None:
    steps = [step for phase in json.loads(RECORDINGS.read_text()) for step in phase["steps"]]
    assert report.answers == sum(1 for step in steps if step["do"] == "request" and step["response"] is not None)
    collections = sum(1 for step in steps if step["do"] == "collect" and step["deliveries"] is not None)
    assert report.collections == collections - len(report.recorded_elsewhere)
    assert report.recorded_elsewhere == {("connected", 85), ("connected", 88)}


@pytest.mark.parametrize(
    ("recorded", "actual"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"status": "close"}, {"status": "open"}),
        ({"message": ["x"]}, {"message": [["x"]]}),
        ({"exists": False}, {"exists": 0}),
        ({"count": 1}, {"count": 2}),
        ([1, 2], [1]),
        ({"id": "a21e709b-e0fc-438c-8dbb-32fdbe9b28be"}, {"id": "a21e709b"}),
        ({"key": "3EB05E642E6B093D0CDA95"}, {"key": "BAE5F4A1"}),
        ({"messageTimestamp": 1795357125}, {"messageTimestamp": "1795357125"}),
        ({"base64": "data:image/png;base64,<png>"}, {"base64": "data:image/png;base64,bm8="}),
        ({"fileSha256": {"0": 1, "1": 2}}, {"fileSha256": "AQI="}),
        ({"reason": '{"code":401}'}, {"reason": '{"code":403}'}),
    ],
)
def test_the_comparison_notices(comparer: Player, recorded: object, actual: object) -> None:
    assert list(comparer.compared(recorded, actual, "body"))


@pytest.fixture(scope="module")
def comparer() -> Iterator[Player]:
    clock = VirtualClock(frozen=True)
    with Listener(clock) as listener, FakeEvolution(key="k", clock=clock, control_token="control") as evolution:
        player = Player(evolution, listener, clock)
        yield player
        player.close()
