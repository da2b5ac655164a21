"""The control plane over HTTP and its client."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from harness.clock import SystemClock, VirtualClock
from harness.evolution import ControlError, EvolutionControl, FakeEvolution


@pytest.fixture
def control(evolution: FakeEvolution) -> Iterator[EvolutionControl]:
    with EvolutionControl(evolution.url, "control") as client:
        yield client


def test_the_token_is_required(evolution: FakeEvolution) -> None:
    for headers in ({}, {"X-Fake-Token": "wrong"}, {"apikey": evolution.key}):
        answer = httpx.get(f"{evolution.url}/__fake__/health", headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"error": "X-Fake-Token is missing or wrong"})
    with EvolutionControl(evolution.url, "wrong") as client, pytest.raises(ControlError, match="X-Fake-Token"):
        client.health()


def test_without_a_token_there_is_no_control_plane() -> None:
    with FakeEvolution(key="k") as fake:
        answer = httpx.get(f"{fake.url}/__fake__/health", headers={"X-Fake-Token": ""})
        assert answer.status_code == 404
        with EvolutionControl(fake.url, "any") as client, pytest.raises(ControlError, match="has no control plane"):
            client.health()


def test_a_fake_that_is_gone_is_one_line() -> None:
    with FakeEvolution(key="k", control_token="t") as fake:
        url = fake.url
    with EvolutionControl(url, "t") as client, pytest.raises(ControlError, match="does not answer: ConnectError"):
        client.health()


def test_the_client_does_over_http_what_the_fake_does_in_python(
    evolution: FakeEvolution, control: EvolutionControl, api: httpx.Client, open_instance: str
) -> None:
    assert control.health()["status"] == "ok"
    assert control.instances() == evolution.instances()
    assert control.instances()[0]["state"] == "open"
    key_id = control.incoming(open_instance, "5511988887777", "hi")
    sent = api.post(f"/message/sendText/{open_instance}", json={"number": "5511988887777", "text": "hello"}).json()
    assert control.ack(open_instance, sent["key"]["id"], "READ")
    control.advance(1)
    control.quiesce()
    assert key_id in {row["keyId"] for row in control.deliveries(event="messages.upsert")}
    assert control.ledger() == evolution.ledger()
    assert control.deliveries() == evolution.deliveries()
    control.close(open_instance, 401)
    assert control.instances()[0]["state"] == "close"
    control.reset()
    assert (control.instances(), control.ledger(), control.requests(), control.deliveries()) == ([], [], [], [])


def test_the_clock_is_read_moved_frozen_and_resumed(control: EvolutionControl, clock: VirtualClock) -> None:
    before = control.read_clock()
    assert before["frozen"] is True
    assert control.advance(90)["monotonic"] == pytest.approx(before["monotonic"] + 90)
    control.resume()
    try:
        assert control.read_clock()["frozen"] is False
    finally:
        control.freeze()
    assert clock.frozen


@pytest.mark.parametrize("seconds", [-1, "10", True, None])
def test_an_impossible_step_of_the_clock_is_refused(control: EvolutionControl, seconds: object) -> None:
    with pytest.raises(ControlError, match="seconds must be a number"):
        control._execute("POST", "clock/advance", {}, {"seconds": seconds})


def test_the_systems_clock_cannot_be_moved() -> None:
    with FakeEvolution(key="k", clock=SystemClock(), control_token="t") as fake:
        with pytest.raises(ControlError, match="cannot be moved"):
            fake.advance(1)
        assert fake.read_clock()["nextDeadline"] is None


def test_requests_are_recorded_without_secrets(control: EvolutionControl, api: httpx.Client, evolution: FakeEvolution) -> None:
    webhook = {"url": "http://127.0.0.1:1/x", "events": [], "headers": {"authorization": "Bearer hook-secret"}}
    api.post(
        "/instance/create",
        json={"instanceName": "shop", "integration": "WHATSAPP-BAILEYS", "token": "my-token", "webhook": webhook},
    )
    httpx.get(f"{evolution.url}/instance/connectionState/shop", headers={"apikey": "my-token"})
    rows = control.requests(instance="shop")
    assert [(row["method"], row["status"], row["credential"]) for row in rows] == [("POST", 201, "global"), ("GET", 200, "other")]
    assert "my-token" not in str(rows)
    assert "hook-secret" not in str(rows)
    assert evolution.key not in str(rows)
    assert control.requests(method="GET") == rows[1:]
    assert control.requests(path="/instance/create") == rows[:1]


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("GET", "nothing", "has no GET /__fake__/nothing"),
        ("POST", "instances/ghost/scan", "there is no instance 'ghost'"),
        ("POST", "instances/shop/dance", "has no verb 'dance'"),
        ("POST", "instances/shop/close", "code must be a whole number"),
        ("POST", "instances/shop/ack", "status must be one of"),
        ("POST", "instances/shop/emit", "handles no event"),
        ("DELETE", "faults/one", "is not the number of an injection"),
        ("POST", "clock/rewind", "it has advance, freeze, resume"),
    ],
)
def test_a_command_that_does_not_exist_is_one_line(
    control: EvolutionControl, open_instance: str, method: str, path: str, words: str
) -> None:
    with pytest.raises(ControlError, match=words) as refused:
        control._execute(method, path, {}, {})
    assert "\n" not in str(refused.value)


def test_a_body_that_is_no_object_is_refused(evolution: FakeEvolution) -> None:
    for content in (b"{", b"[]", b"1"):
        answer = httpx.post(f"{evolution.url}/__fake__/faults", headers={"X-Fake-Token": "control"}, content=content)
        assert answer.status_code == 400
        assert "is not a JSON object" in answer.json()["error"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weather": "fine"}, "has no 'weather'"),
        ({"qr_lifetime": "long"}, "Expected `float`"),
        ({"acks": [[0.1, "SEEN"]]}, "acks know no status 'SEEN'"),
    ],
)
def test_an_impossible_whatsapp_is_refused(control: EvolutionControl, changes: dict[str, object], words: str) -> None:
    before = control.whatsapp()
    with pytest.raises(ControlError, match=words):
        control.whatsapp(**changes)
    assert control.whatsapp() == before
