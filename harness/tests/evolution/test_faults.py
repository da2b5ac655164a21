"""What holds for every fault, and for switching them on and off."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from click.testing import CliRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import harness.evolution.faults
import harness.tests.evolution.faults
from gate.registry import Item, Kind
from harness.cli import app as command_line
from harness.clock import VirtualClock
from harness.evolution import ControlError, EvolutionControl, FakeEvolution
from harness.evolution.identity import Identity
from harness.evolution.injection import (
    Arrival,
    Creating,
    Emission,
    Injector,
    Option,
    Seam,
    Sending,
    documentation,
    known_faults,
    options_of,
)

FAULTS = pytest.mark.parametrize("item", known_faults(), ids=lambda item: item.id)
# Text explains itself; everything that is counted or measured has a unit.
MEASURED = (int, float)
# A busy machine makes any example slow.
LAW = settings(deadline=None)
START = datetime(2026, 11, 22, 14, tzinfo=UTC)


def _injector(seed: int = 1) -> tuple[Injector, VirtualClock]:
    clock = VirtualClock(frozen=True, start=START)
    return Injector(Identity(seed), clock), clock


def _stems(package: Any) -> set[str]:
    return {path.stem.removeprefix("test_") for path in Path(package.__path__[0]).glob("*.py")} - {"__init__"}


def _test_module(item: Item) -> ast.Module:
    folder = Path(harness.tests.evolution.faults.__path__[0])
    return ast.parse((folder / f"test_{item.id.replace('-', '_')}.py").read_text())


def _calls(tree: ast.AST, verb: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == verb:
            yield node


# The registry


def test_every_fault_is_found_and_has_a_test_of_its_own() -> None:
    assert {item.id.replace("-", "_") for item in known_faults()} == _stems(harness.evolution.faults)
    assert _stems(harness.tests.evolution.faults) == _stems(harness.evolution.faults)


@FAULTS
def test_the_test_of_every_fault_shows_it_firing_and_clearing(item: Item) -> None:
    tests = [node for node in _test_module(item).body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    shown = [
        test.name
        for test in tests
        for switched_on in _calls(test, "inject")
        if switched_on.args and isinstance(switched_on.args[0], ast.Constant) and switched_on.args[0].value == item.id
        for switched_off in _calls(test, "withdraw")
        # What proves the fault stands between the two, what proves that it is gone stands after.
        if any(switched_on.lineno < node.lineno < switched_off.lineno for node in _proofs(test))
        and any(node.lineno > switched_off.lineno for node in _proofs(test))
    ]
    assert shown, f"no test of {item.id} injects it, asserts, withdraws it and asserts again"


def _proofs(test: ast.FunctionDef) -> Iterator[ast.stmt]:
    for node in ast.walk(test):
        raising = isinstance(node, ast.With) and any("raises" in ast.unparse(part) for part in node.items)
        # A loop's body runs on both sides of what stands in it.
        if isinstance(node, ast.Assert) or raising:
            yield node  # type: ignore[misc]


@FAULTS
def test_every_fault_says_why_on_what_evidence_and_what_its_options_mean(item: Item) -> None:
    assert item.title.endswith(".")
    assert item.paragraphs["Why"].endswith(".")
    assert re.search(r"section \d", item.paragraphs["Evidence"])
    for form in options_of(item):
        assert form.option.text, form.name
        assert form.option.unit or form.kind not in MEASURED, f"{item.id}: {form.name} has no unit"
        assert form.converted(form.default) == form.default


@FAULTS
def test_every_fault_can_be_switched_on_and_is_told_by_the_command_line(item: Item) -> None:
    injector, _ = _injector()
    injection = injector.inject({"fault": item.id})
    assert issubclass(injection.seam, Seam)
    assert injection.describe(0.0)["fired"] == 0
    told = CliRunner().invoke(command_line, ["fake", "faults"]).output
    assert f"\n{item.id}\n  {item.title}\n" in f"\n{told}"
    assert f"  Evidence: {item.paragraphs['Evidence']}\n" in told
    for form in options_of(item):
        assert f"  Option {form.name} = {form.default}" in told


def test_the_command_line_tells_the_same_as_json() -> None:
    told = json.loads(CliRunner().invoke(command_line, ["fake", "faults", "--format", "json"]).output)
    assert told == json.loads(json.dumps([documentation(item) for item in known_faults()]))
    [limited] = [row for row in told if row["id"] == "rate-limited"]
    assert limited["scopes"] == ["instance", "number", "route"]
    assert limited["options"][0] == {
        "name": "seconds",
        "type": "int",
        "default": 2,
        "unit": "s",
        "text": "how long to wait, for the forms `seconds`, `date` and `past-date`",
        "least": 0,
        "most": 10**9,
    }
    assert "past-date" in limited["options"][1]["choices"]


def test_the_27_faults_of_the_contract_are_all_there() -> None:
    named = {int(number) for item in known_faults() for number in re.findall(r"\bF(\d+)", item.paragraphs["Evidence"])}
    assert named == set(range(1, 28))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda at: None, "at"),
        (lambda at, seconds=1.0: None, "at"),
    ],
)
def test_a_fault_without_a_seam_is_none(function: Any, words: str) -> None:
    item = Item(kind=Kind.FAULT, id="odd", title="Odd.", paragraphs={}, function=function, facts=(), module="odd")
    with pytest.raises(KeyError, match=words):
        options_of(item)


def _undocumented(_: Sending, seconds: float = 1.0) -> None: ...


def _without_default(_: Sending, seconds: Annotated[float, Option(text="how long", unit="s")]) -> None: ...


def _with_a_taken_name(_: Sending, until: Annotated[float, Option(text="how long", unit="s")] = 1.0) -> None: ...


def _of_no_seam(_: int) -> None: ...


@pytest.mark.parametrize("function", [_undocumented, _without_default, _with_a_taken_name, _of_no_seam])
def test_a_fault_that_is_not_well_formed_is_refused(function: Any) -> None:
    item = Item(kind=Kind.FAULT, id="odd", title="Odd.", paragraphs={}, function=function, facts=(), module="odd")
    with pytest.raises(TypeError, match="^odd: "):
        options_of(item)


# Wishes that cannot be


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({}, "there is no fault None"),
        ({"fault": "send-eror"}, "did you mean 'send-error'"),
        ({"fault": "send-error", "colour": 1}, "has no option 'colour'; it takes instance, number, route"),
        ({"fault": "send-error", "probabilty": 1}, "has no option 'probabilty', did you mean 'probability'"),
        ({"fault": "send-error", "statos": 1}, "has no option 'statos', did you mean 'status'"),
        ({"fault": "send-error", "status": "500"}, "status must be int, not str"),
        ({"fault": "send-error", "status": True}, "status must be int, not bool"),
        ({"fault": "send-error", "status": 42}, "status must be a number from 400 to 599, not 42"),
        ({"fault": "slow-send", "seconds": -1}, "seconds must be a number from 0, not -1.0"),
        ({"fault": "rate-limited", "retry_after": "datum"}, "retry_after must be one of .*, not 'datum', did you mean 'date'"),
        ({"fault": "send-error", "count": 0}, "count must be a whole number from 1"),
        ({"fault": "send-error", "count": True}, "count must be a whole number from 1"),
        ({"fault": "send-error", "probability": 0}, "probability must be above 0"),
        ({"fault": "send-error", "probability": 1.5}, "probability must be above 0 and at most 1"),
        ({"fault": "send-error", "seed": "7"}, "seed must be a whole number"),
        ({"fault": "send-error", "from": "tomorrow"}, "from must be seconds from now or a time such as"),
        ({"fault": "send-error", "from": -1}, "from must be seconds from now or a time such as"),
        ({"fault": "send-error", "from": 1e300}, "from must be seconds from now or a time such as"),
        ({"fault": "send-error", "until": True}, "until must be seconds from now or a time such as"),
        ({"fault": "send-error", "until": "2099-01-01T00:00:00"}, "until must have a time zone"),
        ({"fault": "send-error", "until": 0}, "until must be later than now"),
        ({"fault": "send-error", "until": "2001-01-01T00:00:00Z"}, "until must be later than now"),
        ({"fault": "send-error", "from": 10, "until": 10}, "until must be later than from"),
        ({"fault": "send-error", "number": 5511988887777}, "number must be a text that is not empty"),
        ({"fault": "send-error", "instance": ""}, "instance must be a text that is not empty"),
        ({"fault": "no-qr", "number": "5511988887777"}, "cannot be scoped by number, only by instance"),
        ({"fault": "tls-failure", "instance": "shop"}, "strikes before anything is known of a request"),
    ],
)
def test_an_impossible_fault_is_refused_in_one_line(evolution: FakeEvolution, wish: dict[str, Any], words: str) -> None:
    with pytest.raises(ControlError, match=words) as refused:
        evolution._execute("POST", "faults", {}, wish)
    assert "\n" not in str(refused.value)
    assert evolution.faults() == []


# Scope


@pytest.mark.parametrize(
    ("fault", "scope", "seam", "strikes"),
    [
        ("slow-send", {}, Sending(instance="a", number="5511988887777@s.whatsapp.net", route="message/sendText"), True),
        ("slow-send", {"instance": "a"}, Sending(instance="a"), True),
        ("slow-send", {"instance": "b"}, Sending(instance="a"), False),
        ("slow-send", {"instance": "*"}, Sending(instance="a"), True),
        ("slow-send", {"number": "5511988887777"}, Sending(number="5511988887777@s.whatsapp.net"), True),
        ("slow-send", {"number": "551188887777"}, Sending(number="5511988887777@s.whatsapp.net"), True),
        ("slow-send", {"number": "5511988887777"}, Sending(number="5521988887777@s.whatsapp.net"), False),
        ("slow-send", {"number": "5511988887777"}, Sending(), False),
        ("slow-send", {"route": "sendText"}, Sending(route="message/sendText"), True),
        ("slow-send", {"route": "/message/sendText"}, Sending(route="message/sendText"), True),
        ("slow-send", {"route": "message/*"}, Sending(route="message/sendText"), True),
        ("slow-send", {"route": "sendMedia"}, Sending(route="message/sendText"), False),
        ("slow-send", {}, Arrival(instance="a"), False),
        ("duplicate-webhook", {}, Emission(event="messages.upsert"), True),
        ("duplicate-webhook", {}, Emission(event="send.message"), False),
        ("duplicate-webhook", {"event": "send.message"}, Emission(event="send.message"), True),
    ],
)
def test_a_fault_strikes_only_within_its_scope(fault: str, scope: dict[str, str], seam: Seam, strikes: bool) -> None:
    injector, _ = _injector()
    injection = injector.inject({"fault": fault, **scope})
    assert injection.admits(seam, 0.0) == strikes
    injector.strike(seam)
    assert injection.fired == int(strikes)


def test_a_scope_of_requests_is_kept_over_http(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("send-error", instance=open_instance, number="5511988887777", route="sendText")
    text = {"text": "hello", "number": "5511988887777"}
    assert api.post(f"/message/sendText/{open_instance}", json=text).status_code == 500
    assert api.post(f"/message/sendText/{open_instance}", json={**text, "number": "5511977776666"}).status_code == 201


# Chance, count and time


@LAW
@given(probability=st.floats(0.01, 1), count=st.none() | st.integers(1, 30), seed=st.integers(), strikes=st.integers(0, 60))
def test_a_count_is_never_exceeded_and_what_is_left_is_told(
    probability: float, count: int | None, seed: int, strikes: int
) -> None:
    injector, _ = _injector()
    injection = injector.inject({"fault": "slow-send", "count": count, "probability": probability, "seed": seed})
    acted = 0
    for _ in range(strikes):
        seam = Sending()
        injector.strike(seam)
        acted += seam.hold > 0
    assert injection.fired == acted
    if count is None:
        assert injection.left is None
    else:
        assert acted + (injection.left or 0) == count
    if probability == 1:
        assert acted == min(strikes, strikes if count is None else count)


def _pattern(wish: dict[str, Any], *, fakes_seed: int = 1, others: int = 0) -> list[bool]:
    """Which of 40 strikes act, with so many other injections drawing chances beside it."""
    injector, _ = _injector(fakes_seed)
    for _ in range(others):
        injector.inject({"fault": "slow-send", "probability": 0.5, "seconds": 0.0})
    injection = injector.inject({"fault": "slow-send", **wish})
    pattern = []
    for _ in range(40):
        before = injection.fired
        injector.strike(Sending())
        pattern.append(injection.fired > before)
    return pattern


@LAW
@given(seed=st.integers(), probability=st.floats(0.05, 0.95), others=st.integers(0, 3))
def test_a_seed_repeats_its_pattern_whatever_else_is_switched_on(seed: int, probability: float, others: int) -> None:
    wish = {"seed": seed, "probability": probability}
    assert _pattern(wish) == _pattern(wish, fakes_seed=2, others=others)


@LAW
@given(first=st.integers(), second=st.integers())
def test_another_seed_gives_another_pattern(first: int, second: int) -> None:
    assume(first != second)
    # Two patterns of 40 fair draws are equal once in a million million times.
    assert _pattern({"seed": first, "probability": 0.5}) != _pattern({"seed": second, "probability": 0.5})


def test_a_probability_strikes_that_often_and_the_same_times_for_the_same_seed_of_the_fake() -> None:
    assert _pattern({"probability": 0.3}) == _pattern({"probability": 0.3})
    assert _pattern({"probability": 0.3}) != _pattern({"probability": 0.3}, fakes_seed=2)
    injector, _ = _injector()
    injection = injector.inject({"fault": "slow-send", "probability": 0.3})
    for _ in range(1000):
        injector.strike(Sending())
    assert 240 < injection.fired < 360


@LAW
@given(
    starts=st.none() | st.floats(0, 1000),
    lasts=st.none() | st.floats(0.001, 1000),
    as_date=st.booleans(),
    steps=st.lists(st.floats(0, 300), max_size=20),
)
def test_a_fault_fires_within_its_window_and_never_outside(
    starts: float | None, lasts: float | None, as_date: bool, steps: list[float]
) -> None:
    injector, clock = _injector()
    ends = None if lasts is None else (starts or 0.0) + lasts

    def written(seconds: float | None) -> float | str | None:
        return (START + timedelta(seconds=seconds)).isoformat() if as_date and seconds is not None else seconds

    injection = injector.inject({"fault": "slow-send", "from": written(starts), "until": written(ends)})
    for step in [0.0, *steps]:
        clock.advance(step)
        before = injection.fired
        injector.strike(Sending())
        # A date is exact to the microsecond.
        moment, blur = clock.monotonic(), 2e-6 if as_date else 0.0
        fired = injection.fired > before
        if fired:
            assert moment >= (starts or 0.0) - blur
            assert ends is None or moment < ends + blur
        else:
            assert moment < (starts or 0.0) + blur or (ends is not None and moment >= ends - blur)


def test_the_listing_tells_the_window_and_the_state(evolution: FakeEvolution, api: httpx.Client) -> None:
    now = datetime.fromisoformat(evolution.read_clock()["now"])
    evolution.inject("rate-limited", from_=10, until=(now + timedelta(seconds=20)).isoformat(), count=1, seed=3)
    evolution.inject("license-required", until=5)
    states = []
    for _ in range(4):
        states.append([row["state"] for row in evolution.faults()])
        api.get("/")
        evolution.advance(7)
    assert states == [["waiting", "on"], ["waiting", "over"], ["on", "over"], ["spent", "over"]]
    shown = evolution.faults()[0]
    begins, ends = (datetime.fromisoformat(shown[name]) for name in ("from", "until"))
    assert (ends - begins).total_seconds() == pytest.approx(10, abs=0.5)
    assert (shown["fired"], shown["left"], shown["seed"]) == (1, 0, 3)


def test_count_ends_a_fault_and_the_listing_tells(evolution: FakeEvolution, api: httpx.Client) -> None:
    number = evolution.inject("rate-limited", count=2)
    assert [api.get("/").status_code for _ in range(4)] == [429, 429, 200, 200]
    [shown] = evolution.faults()
    assert (shown["id"], shown["fault"], shown["fired"], shown["left"]) == (number, "rate-limited", 2, 0)


# Switching off, and what never fired


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


def test_withdrawing_all_over_http_and_a_reset_clear_everything(evolution: FakeEvolution, api: httpx.Client) -> None:
    headers = {"X-Fake-Token": "control"}
    for method, path in (("DELETE", "faults"), ("POST", "reset")):
        evolution.inject("rate-limited")
        evolution.inject("license-required", count=1)
        assert api.get("/").status_code == 429
        assert httpx.request(method, f"{evolution.url}/__fake__/{path}", headers=headers).status_code == 200
        assert evolution.faults() == []
        assert api.get("/").status_code == 200


def test_a_fault_that_has_never_fired_is_reported_also_once_it_is_withdrawn(evolution: FakeEvolution, api: httpx.Client) -> None:
    evolution.inject("rate-limited", route="instance/fetchInstances")
    evolution.inject("send-error")
    forgotten = evolution.inject("banned", instance="ghost")
    api.get("/instance/fetchInstances")
    assert [(row["fault"], row["fired"]) for row in evolution.faults()] == [("rate-limited", 1), ("send-error", 0), ("banned", 0)]
    evolution.withdraw(forgotten)
    with EvolutionControl(evolution.url, "control") as control:
        for verbs in (evolution, control):
            unfired = {row["fault"]: row["state"] for row in verbs.unfired()}
            assert unfired == {"banned": "withdrawn", "send-error": "on"}
    evolution.reset()
    assert evolution.unfired() == []


def test_what_was_restarted_or_made_anew_is_cured_only_of_what_says_so() -> None:
    injector, _ = _injector()
    deaf = injector.inject({"fault": "deaf-instance"})
    racing = injector.inject({"fault": "racing-creates"})
    injector.cure("shop")
    for instance in ("shop", "other"):
        injector.strike(Emission(instance=instance, event="messages.upsert"))
        injector.strike(Creating(instance=instance))
    assert (deaf.fired, racing.fired) == (1, 2)
