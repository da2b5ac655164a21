"""What holds for every fault, and for switching them on and off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

import harness.evolution.faults
import harness.tests.evolution.faults
from harness.evolution import ControlError, FakeEvolution
from harness.evolution.identity import Identity
from harness.evolution.injection import Arrival, Emission, Injector, Seam, Sending, known_faults


def _stems(package: Any) -> set[str]:
    return {path.stem.removeprefix("test_") for path in Path(package.__path__[0]).glob("*.py")} - {"__init__"}


def test_every_fault_is_found_and_has_a_test_of_its_own() -> None:
    assert {item.id.replace("-", "_") for item in known_faults()} == _stems(harness.evolution.faults)
    assert _stems(harness.tests.evolution.faults) == _stems(harness.evolution.faults)


@pytest.mark.parametrize("item", known_faults(), ids=lambda item: item.id)
def test_every_fault_says_why_and_on_what_evidence_and_can_be_switched_on(item: Any) -> None:
    assert item.title.endswith(".")
    assert "section" in item.paragraphs["Evidence"]
    injection = Injector(Identity(1)).inject({"fault": item.id})
    assert issubclass(injection.seam, Seam)
    assert injection.describe()["fired"] == 0


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({}, "there is no fault None"),
        ({"fault": "send-eror"}, "did you mean 'send-error'"),
        ({"fault": "send-error", "colour": 1}, "has no option 'colour'; it takes instance, number, route"),
        ({"fault": "send-error", "status": "500"}, "status must be int, not str"),
        ({"fault": "send-error", "count": 0}, "count must be a whole number from 1"),
        ({"fault": "send-error", "count": True}, "count must be a whole number from 1"),
        ({"fault": "send-error", "probability": 0}, "probability must be above 0"),
        ({"fault": "send-error", "probability": 1.5}, "probability must be above 0 and at most 1"),
    ],
)
def test_an_impossible_fault_is_refused_in_one_line(evolution: FakeEvolution, wish: dict[str, Any], words: str) -> None:
    with pytest.raises(ControlError, match=words) as refused:
        evolution._execute("POST", "faults", {}, wish)
    assert "\n" not in str(refused.value)
    assert evolution.faults() == []


@pytest.mark.parametrize(
    ("scope", "seam", "strikes"),
    [
        ({}, Sending(instance="a", number="5511988887777@s.whatsapp.net", route="message/sendText"), True),
        ({"instance": "a"}, Sending(instance="a"), True),
        ({"instance": "b"}, Sending(instance="a"), False),
        ({"instance": "*"}, Sending(instance="a"), True),
        ({"number": "5511988887777"}, Sending(number="5511988887777@s.whatsapp.net"), True),
        ({"number": "551188887777"}, Sending(number="5511988887777@s.whatsapp.net"), True),
        ({"number": "5511988887777"}, Sending(number="5521988887777@s.whatsapp.net"), False),
        ({"number": "5511988887777"}, Sending(), False),
        ({"route": "sendText"}, Sending(route="message/sendText"), True),
        ({"route": "/message/sendText"}, Sending(route="message/sendText"), True),
        ({"route": "message/*"}, Sending(route="message/sendText"), True),
        ({"route": "sendMedia"}, Sending(route="message/sendText"), False),
        ({}, Arrival(instance="a"), False),
        ({"event": "messages.upsert"}, Emission(event="messages.upsert"), False),
    ],
)
def test_a_fault_strikes_only_within_its_scope(scope: dict[str, str], seam: Seam, strikes: bool) -> None:
    injection = Injector(Identity(1)).inject({"fault": "slow-send", **scope})
    assert injection.admits(seam) == strikes


def test_a_probability_strikes_that_often_and_the_same_times_for_the_same_seed() -> None:
    def strikes(seed: int) -> list[bool]:
        injector = Injector(Identity(seed))
        injection = injector.inject({"fault": "slow-send", "probability": 0.3})
        series = []
        for _ in range(1000):
            before = injection.fired
            injector.strike(Sending())
            series.append(injection.fired > before)
        return series

    assert strikes(1) == strikes(1)
    assert strikes(1) != strikes(2)
    assert 240 < sum(strikes(1)) < 360


def test_count_ends_a_fault_and_the_listing_tells(evolution: FakeEvolution, api: httpx.Client) -> None:
    number = evolution.inject("rate-limited", count=2)
    assert [api.get("/").status_code for _ in range(4)] == [429, 429, 200, 200]
    [shown] = evolution.faults()
    assert (shown["id"], shown["fault"], shown["fired"], shown["left"]) == (number, "rate-limited", 2, 0)


def test_faults_are_withdrawn_by_number_by_name_and_all(evolution: FakeEvolution, api: httpx.Client) -> None:
    first = evolution.inject("rate-limited")
    evolution.inject("license-required")
    evolution.inject("license-required")
    assert api.get("/").status_code == 429
    assert evolution.withdraw(first) == 1
    assert api.get("/").status_code == 503
    assert evolution.withdraw(fault="license-required") == 2
    assert api.get("/").status_code == 200
    assert evolution.withdraw() == 0
