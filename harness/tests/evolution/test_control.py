"""The control plane over HTTP and its client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from harness.clock import SystemClock
from harness.evolution import ControlError, EvolutionControl, FakeEvolution
from harness.tests.evolution.fakes import AnyClock, AnyFake


@pytest.fixture
def control(evolution: AnyFake) -> Iterator[EvolutionControl]:
    with EvolutionControl(evolution.url, "control") as client:
        yield client


def test_the_token_is_required(evolution: AnyFake) -> None:
    for headers in ({}, {"X-Fake-Token": "wrong"}, {"apikey": evolution.key}):
        answer = httpx.get(f"{evolution.url}/__fake__/health", headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"error": "X-Fake-Token is missing or wrong"})
    with EvolutionControl(evolution.url, "wrong") as client, pytest.raises(ControlError, match="X-Fake-Token"):
        client.health()


def test_without_a_token_there_is_no_control_plane() -> None:
    with FakeEvolution(key="k") as fake:
        for path in ("health", "phone", "faults", "reset/it"):
            # The very answer of a path that the real server does not have, to whoever asks and whatever he brings.
            answers = [
                httpx.get(f"{fake.url}/{folder}/{path}", headers={"X-Fake-Token": token, "apikey": "k"})
                for folder in ("__fake__", "__real__")
                for token in ("", "t")
            ]
            told = [
                (one.status_code, sorted(set(one.headers) - {"etag"}), one.text.replace("__real__", "__fake__"))
                for one in answers
            ]
            assert told[0][0] == 404
            assert len({str(one) for one in told}) == 1
        with EvolutionControl(fake.url, "any") as client, pytest.raises(ControlError, match="has no control plane"):
            client.health()


def test_a_fake_that_is_gone_is_one_line() -> None:
    with FakeEvolution(key="k", control_token="t") as fake:
        url = fake.url
    with EvolutionControl(url, "t") as client, pytest.raises(ControlError, match="does not answer: ConnectError"):
        client.health()


def test_the_client_does_over_http_what_the_fake_does_in_python(
    evolution: AnyFake, control: EvolutionControl, api: httpx.Client, open_instance: str
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


def test_the_clock_is_read_moved_frozen_and_resumed(control: EvolutionControl, clock: AnyClock) -> None:
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


def test_requests_are_recorded_without_secrets(control: EvolutionControl, api: httpx.Client, evolution: AnyFake) -> None:
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


def test_a_body_that_is_no_object_is_refused(evolution: AnyFake) -> None:
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


def _asked_by(fake: FakeEvolution, peer: tuple[str, int], headers: dict[str, str], path: str = "health") -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(fake.app, client=peer)
        async with httpx.AsyncClient(transport=transport, base_url="http://fake") as client:
            return await client.get(f"/__fake__/{path}", headers=headers)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("address", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.7", False),
        ("::ffff:192.0.2.7", False),
        ("2001:db8::7", False),
        ("0.0.0.0", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_only_this_machine_is_answered_unless_told_otherwise(address: str, is_here: bool) -> None:
    token = {"X-Fake-Token": "t"}
    fake = FakeEvolution(key="k", control_token="t")
    for path in ("health", "phone"):
        answer = _asked_by(fake, (address, 40_000), token, path)
        assert answer.status_code == (200 if is_here else 403)
        assert is_here or answer.json()["error"].startswith("the control plane answers this machine alone")
    open_to_all = FakeEvolution(key="k", control_token="t", control_from_anywhere=True)
    assert _asked_by(open_to_all, (address, 40_000), token).status_code == 200
    assert _asked_by(open_to_all, (address, 40_000), {"X-Fake-Token": "T"}).status_code == 401


@pytest.mark.parametrize("token", ["", "contro", "controlx", "CONTROL", "contr\xf6l"])
def test_a_token_that_is_nearly_right_is_wrong(evolution: AnyFake, token: str) -> None:
    answer = httpx.get(f"{evolution.url}/__fake__/health", headers={b"X-Fake-Token": token.encode("latin-1")})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "words"),
    [
        ("POST", "rest", {}, {}, "has no POST /__fake__/rest; did you mean 'reset'?"),
        ("GET", "delivery", {}, {}, "did you mean 'deliveries'?"),
        ("GET", "reset", {}, {}, "/__fake__/reset takes POST, not GET"),
        ("PUT", "faults", {}, {}, "/__fake__/faults takes GET and POST and DELETE, not PUT"),
        ("POST", "instances/shop/scann", {}, {}, "has no verb 'scann'; did you mean 'scan'?"),
        ("POST", "instances/shpo/scan", {}, {}, "there is no instance 'shpo'; did you mean 'shop'?"),
        ("POST", "instances/shop/close", {}, {"cod": 401}, "has no 'cod' in its body; did you mean 'code'?"),
        ("POST", "instances/shop/incoming", {}, {"form": "1"}, "has no 'form' in its body; did you mean 'from'?"),
        ("POST", "instances/shop/incoming", {}, {"from": 5511}, "incoming: from must be a text, not 5511"),
        ("POST", "instances/shop/incoming", {}, {"fromMe": 1}, "fromMe must be true or false, not 1"),
        ("POST", "instances/shop/incoming", {}, {"from": "1", "times": 0}, "times must be a whole number from 1 to 10000"),
        ("POST", "instances/shop/incoming", {}, {"from": "1", "kind": "txt"}, "there is no kind 'txt'"),
        ("POST", "instances/shop/scan", {}, {"phone": 1}, "phone must be a text, not 1"),
        ("POST", "instances/shop/ack", {}, {"keyId": "x", "status": "READ"}, "has no message 'x'"),
        ("POST", "instances/shop/revoke", {}, {"keyId": "x"}, "has no message 'x'"),
        ("POST", "instances/shop/emit", {}, {"name": "call", "payload": 1}, "emit: this is no payload of call"),
        ("GET", "instances/shop/messages", {"numbr": "1"}, {}, "did you mean 'number'?"),
        ("POST", "clock/advance", {}, {"second": 1}, "did you mean 'seconds'?"),
        ("POST", "reset", {}, {"hard": True}, "takes nothing in its body, so not 'hard' either"),
        ("POST", "quiesce", {}, {"timeout": -1}, "timeout must be a number of seconds"),
        ("POST", "restart", {}, {"enviroment": {}}, "did you mean 'environment'?"),
        ("POST", "restart", {}, {"environment": "TZ=UTC"}, "environment must be an object"),
        ("POST", "whatsapp", {}, {"qr_lifetme": 1}, "did you mean 'qr_lifetime'?"),
        ("POST", "faults", {}, {"fault": "send-eror"}, "did you mean 'send-error'?"),
        ("DELETE", "faults", {"fault": "send-eror"}, {}, "did you mean 'send-error'?"),
        ("GET", "snapshot", {"journals": "yes"}, {}, "journals must be true or false"),
    ],
)
def test_what_a_command_does_not_know_is_refused_with_the_nearest_it_does(
    evolution: AnyFake, open_instance: str, method: str, path: str, query: Any, body: Any, words: str
) -> None:
    with pytest.raises(ControlError) as refused:
        evolution._execute(method, path, query, body)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_filter_that_is_given_twice_is_refused(evolution: AnyFake) -> None:
    answer = httpx.get(f"{evolution.url}/__fake__/requests?path=/a&path=/b", headers={"X-Fake-Token": "control"})
    assert (answer.status_code, answer.json()) == (400, {"error": "path is given 2 times: give it once"})


def _kinds(evolution: AnyFake, instance: str) -> list[str]:
    with pytest.raises(ControlError) as refused:
        evolution.incoming(instance, "5511988887777", kind="?")
    return str(refused.value).rpartition("there are ")[2].split(", ")


def test_messages_of_every_kind_arrive(evolution: AnyFake, open_instance: str) -> None:
    first = evolution.incoming(open_instance, "5511988887777", "first")
    kinds = _kinds(evolution, open_instance)
    assert {
        "text", "extended-text", "image", "audio", "video", "document", "document-with-caption", "sticker", "location",
        "live-location", "contact", "contacts", "poll", "ephemeral", "view-once", "list-response", "buttons-response",
        "reaction", "edit", "revoke",
    } <= set(kinds)  # fmt: skip
    for kind in kinds:
        target = first if kind in {"reaction", "edit", "revoke"} else None
        evolution.incoming(open_instance, "5511988887777", "words", kind=kind, target=target)
    evolution.quiesce()
    upserts = [row["body"]["data"]["messageType"] for row in evolution.deliveries(event="messages.upsert")]
    edits = [row["body"]["data"]["type"] for row in evolution.deliveries(event="messages.edited")]
    assert len(upserts) == 1 + len(kinds) - 2
    assert {"conversation", "imageMessage", "audioMessage", "documentMessage", "pollCreationMessageV3", "reactionMessage"} <= set(
        upserts
    )
    assert sorted(edits) == ["MESSAGE_EDIT", "REVOKE"]


def test_messages_are_told_as_a_person_reads_them(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    ana, bia = "5511988887777", "5511977776666"
    first = evolution.incoming(open_instance, ana, "hello", push_name="Ana", kind="extended-text")
    evolution.incoming(open_instance, ana, "look", kind="image")
    evolution.incoming(open_instance, bia, "another")
    evolution.incoming(open_instance, ana, "shh", kind="ephemeral")
    # What comes in is stored in its own time, and a send could overtake it.
    evolution.quiesce()
    sent = api.post(f"/message/sendText/{open_instance}", json={"number": ana, "text": "hi Ana"}).json()
    evolution.advance(1)
    evolution.ack(open_instance, sent["key"]["id"], "READ", remote_jid="123@lid")
    evolution.incoming(open_instance, ana, "hello!", kind="edit", target=first)
    evolution.quiesce()
    # The same person in the other form of a Brazilian number.
    rows = evolution.messages(open_instance, number="551188887777")
    assert [(row["fromMe"], row["kind"], row["text"], row["status"], row["edited"]) for row in rows] == [
        (False, "conversation", "hello!", None, True),
        (False, "imageMessage", "look", "DELIVERY_ACK", False),
        (False, "ephemeralMessage", "shh", "DELIVERY_ACK", False),
        (True, "conversation", "hi Ana", "READ", False),
    ]
    assert rows[0]["pushName"] == "Ana"
    assert len(evolution.messages(open_instance)) == 5
    assert evolution.messages(open_instance, after=4) == rows[3:]
    read = evolution.deliveries(event="messages.update", body={"data": {"status": "READ"}})
    assert read[0]["body"]["data"]["remoteJid"] == "123@lid"


def test_a_message_that_its_sender_deletes_is_told(evolution: AnyFake, open_instance: str) -> None:
    key_id = evolution.incoming(open_instance, "5511988887777", "oops")
    evolution.quiesce()
    evolution.revoke(open_instance, key_id)
    evolution.quiesce()
    told = evolution.deliveries(event="messages.delete")
    assert [(row["body"]["data"]["id"], row["body"]["data"]["status"]) for row in told] == [(key_id, "DELETED")]


def test_faults_that_never_fired_are_told(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("send-error", count=1)
    evolution.inject("no-qr")
    api.post(f"/message/sendText/{open_instance}", json={"number": "5511988887777", "text": "x"})
    assert [one["fault"] for one in evolution.unfired()] == ["no-qr"]
    assert [one["fired"] for one in evolution.faults()] == [1, 0]
    listed = evolution._execute("GET", "faults", {}, {})["known"]
    assert {"fault", "title", "scopes", "options", "Why"} <= set(listed[0])
    assert "known" not in evolution._execute("GET", "faults", {"known": "false"}, {})
