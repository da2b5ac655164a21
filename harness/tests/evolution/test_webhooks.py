"""Delivery of webhooks: envelope, headers, addresses, retries, order, time limits."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.clock import VirtualClock
from harness.evolution import FakeEvolution, WebhookRetry
from harness.tests.evolution.listener import Listener


def _listen(api: httpx.Client, url: str, **more: Any) -> None:
    webhook = {"enabled": True, "url": url, "events": ["MESSAGES_UPSERT"], **more}
    api.post("/webhook/set/shop", json={"webhook": webhook}).raise_for_status()


def test_the_envelope_is_the_real_one(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.quiesce()
    [body] = listener.bodies("messages.upsert")
    assert list(body) == ["event", "instance", "data", "destination", "date_time", "sender", "server_url", "apikey"]
    assert (body["instance"], body["destination"]) == ("shop", f"{listener.url}/ok")
    assert (body["sender"], body["server_url"]) == ("5511999991111@s.whatsapp.net", evolution.url)
    assert body["apikey"] == api.get("/instance/fetchInstances").json()[0]["token"]
    headers = listener.received[0].headers
    assert (headers["user-agent"], headers["content-type"]) == ("axios/1.13.2", "application/json")


def test_there_is_no_sender_before_the_first_open(evolution: FakeEvolution, api: httpx.Client, listener: Listener) -> None:
    webhook = {"url": f"{listener.url}/ok", "events": ["INSTANCE_CREATE"]}
    api.post("/instance/create", json={"instanceName": "shop", "integration": "WHATSAPP-BAILEYS", "webhook": webhook})
    evolution.quiesce()
    assert "sender" not in listener.bodies("instance.create")[0]


def test_configured_headers_win_and_jwt_key_becomes_a_token(
    evolution: FakeEvolution, clock: VirtualClock, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    _listen(api, f"{listener.url}/ok", headers={"jwt_key": "s3cr3t", "X-Tenant": 42, "User-Agent": "mine"})
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.quiesce()
    headers = listener.received[0].headers
    assert (headers["x-tenant"], headers["user-agent"]) == ("42", "mine")
    assert "jwt_key" not in headers
    signed, _, signature = headers["authorization"].removeprefix("Bearer ").rpartition(".")
    expected = base64.urlsafe_b64encode(hmac.new(b"s3cr3t", signed.encode(), hashlib.sha256).digest()).rstrip(b"=")
    assert signature == expected.decode()
    payload = json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
    assert payload == {"iat": payload["iat"], "exp": payload["iat"] + 600, "app": "evolution", "action": "webhook"}
    assert abs(payload["iat"] - clock.now().timestamp()) < 2


@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        ("/ok", "/ok/messages-upsert"),
        ("/ok/", "/ok//messages-upsert"),
        ("/ok?token=1", "/ok?token=1/messages-upsert"),
    ],
)
def test_by_events_appends_the_name_blindly(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str, path: str, arrives: str
) -> None:
    _listen(api, listener.url + path, byEvents=True)
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.quiesce()
    assert [one.path for one in listener.received] == [arrives]


def test_failures_are_retried_with_growing_pauses_and_then_dropped(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    _listen(api, f"{listener.url}/s500")
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.advance(3600)
    evolution.quiesce()
    assert len(listener.received) == 10
    assert len({json.dumps(one.body) for one in listener.received}) == 1
    pauses = [after.at - before.at for before, after in zip(listener.received, listener.received[1:], strict=False)]
    for pause, planned in zip(pauses, (5, 10, 20, 40, 80, 160, 300, 300, 300), strict=True):
        assert max(5.0, planned * 0.8) - 1 <= pause <= planned * 1.2 + 1
    attempts = evolution.deliveries(instance=open_instance, event="messages.upsert")
    assert [(one["attempt"], one["status"], one["final"]) for one in attempts] == [(n, 500, n == 10) for n in range(1, 11)]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_some_answers_end_the_delivery_at_once(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str, status: int
) -> None:
    _listen(api, f"{listener.url}/s{status}")
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.advance(3600)
    evolution.quiesce()
    assert len(listener.received) == 1


def test_a_listener_that_recovers_gets_the_event(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    _listen(api, f"{listener.url}/flaky2")
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.advance(3600)
    evolution.quiesce()
    assert [one.answered for one in listener.received] == [500, 500, 200]


def test_a_listener_that_is_too_slow_gets_the_same_event_again(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    _listen(api, f"{listener.url}/slow40")
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.advance(60)
    assert len(listener.received) == 2
    errors = [one["error"] for one in evolution.deliveries(event="messages.upsert")]
    assert errors[0] == "no answer within 30 s"


def test_a_jump_of_the_clock_does_not_cut_off_a_listener_that_answers(
    evolution: FakeEvolution, clock: VirtualClock, listener: Listener, open_instance: str
) -> None:
    for index in range(20):
        evolution.incoming(open_instance, "5511988887777", str(index))
    clock.advance(3600)
    evolution.quiesce()
    assert len(listener.bodies("messages.upsert")) == 20


def test_a_slow_delivery_does_not_hold_up_the_next(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    _listen(api, f"{listener.url}/slow5")
    evolution.incoming(open_instance, "5511988887777", "one")
    evolution.incoming(open_instance, "5511988887777", "two")
    evolution.advance(1)
    assert sorted(body["data"]["message"]["conversation"] for body in listener.bodies()) == ["one", "two"]


def test_a_failing_edit_holds_up_later_messages_of_its_instance(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    _listen(api, f"{listener.url}/s500", events=["MESSAGES_EDITED", "MESSAGES_UPSERT"])
    key_id = evolution.incoming(open_instance, "5511988887777", "wrong", id="3A00000000000000000A")
    evolution.incoming(open_instance, "5511988887777", "right", kind="edit", target=key_id)
    evolution.incoming(open_instance, "5511988887777", "later", id="3A00000000000000000B")
    evolution.advance(600)
    assert "3A00000000000000000B" not in {one["keyId"] for one in evolution.deliveries(event="messages.upsert")}
    evolution.advance(900)
    assert "3A00000000000000000B" in {one["keyId"] for one in evolution.deliveries(event="messages.upsert")}


@pytest.mark.parametrize("url", ["", "not-a-url", "ftp://127.0.0.1/x"])
def test_an_address_that_is_no_http_url_is_accepted_and_never_called(
    evolution: FakeEvolution, api: httpx.Client, open_instance: str, url: str
) -> None:
    evolution.quiesce()
    before = len(evolution.deliveries())
    _listen(api, url)
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.quiesce()
    assert len(evolution.deliveries()) == before


def test_nobody_listening_is_an_error_in_the_journal(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    _listen(api, "http://127.0.0.1:1/refused")
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.quiesce()
    [delivery] = evolution.deliveries(event="messages.upsert")
    assert (delivery["status"], delivery["error"], delivery["final"]) == (None, "ConnectError", False)


def test_a_redirect_is_followed_without_the_body(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    _listen(api, f"{listener.url}/redir")
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.quiesce()
    assert [(one.method, one.path, one.body is None) for one in listener.received] == [
        ("POST", "/redir", False),
        ("GET", "/ok-redirected", True),
    ]


def test_the_time_is_local_with_a_false_z(
    evolution: FakeEvolution, clock: VirtualClock, api: httpx.Client, listener: Listener
) -> None:
    evolution.restart_server(environment={"TZ": "America/Sao_Paulo"}, empty=True)
    webhook = {"url": f"{listener.url}/ok", "events": ["INSTANCE_CREATE"]}
    api.post("/instance/create", json={"instanceName": "shop", "integration": "WHATSAPP-BAILEYS", "webhook": webhook})
    evolution.quiesce()
    assert listener.bodies()[0]["date_time"][:13] != clock.now().isoformat()[:13]


def test_errors_are_reported_with_the_global_key(evolution: FakeEvolution, api: httpx.Client, listener: Listener) -> None:
    evolution.restart_server(
        environment={"WEBHOOK_EVENTS_ERRORS": "true", "WEBHOOK_EVENTS_ERRORS_WEBHOOK": f"{listener.url}/errors"}, empty=True
    )
    api.get("/instance/connectionState/ghost")
    evolution.quiesce()
    assert (listener.bodies()[0]["event"], listener.bodies()[0]["api_key"]) == ("error", evolution.key)


@pytest.mark.parametrize(("failures", "planned"), [(1, 5.0), (2, 10.0), (6, 160.0), (7, 300.0), (40, 300.0)])
def test_the_pause_doubles_up_to_its_maximum(failures: int, planned: float) -> None:
    retry = WebhookRetry()
    assert retry.delay(failures, 0.0) == planned
    assert retry.delay(failures, 1.0) == pytest.approx(planned * 1.2)
    assert retry.delay(failures, -1.0) == max(5.0, planned * 0.8)


def test_quiesce_waits_for_deliveries_and_not_for_retries(
    evolution: FakeEvolution,
    api: httpx.Client,
    listener: Listener,
    open_instance: str,
    patiently: Callable[[Callable[[], Any]], Any],
) -> None:
    _listen(api, f"{listener.url}/s500")
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.quiesce()
    assert len(listener.received) == 1
    state = evolution._execute("POST", "quiesce", {}, {"timeout": 1})
    assert state == {"quiet": True, "underWay": 0, "pendingRetries": 1}
