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
from harness.evolution import FakeEvolution, ServerSettings, WebhookRetry
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
    assert (body["sender"], body["server_url"]) == ("5511999991111@s.whatsapp.net", evolution.health()["url"])
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


@pytest.mark.in_process_only(reason="moves the clock itself in one step, where the control plane goes from deadline to deadline")
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
    assert state == {"quiet": True, "underWay": 0, "pendingRetries": 1, "begun": state["begun"]}
    assert state["begun"] > 0


def _created(api: httpx.Client, url: str | None, **more: Any) -> str:
    webhook = {"url": url, "events": ["INSTANCE_CREATE"], **more} if url is not None else None
    body = {"instanceName": "shop", "integration": "WHATSAPP-BAILEYS", "webhook": webhook}
    answer = api.post("/instance/create", json=body)
    answer.raise_for_status()
    return str(answer.json()["hash"])


def test_the_global_webhook_is_told_after_the_instances_own(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener
) -> None:
    environment = {"WEBHOOK_GLOBAL_ENABLED": "true", "WEBHOOK_GLOBAL_URL": f"{listener.url}/all"}
    evolution.restart_server(environment={**environment, "WEBHOOK_GLOBAL_WEBHOOK_BY_EVENTS": "true"}, empty=True)
    _created(api, f"{listener.url}/own", headers={"x-own": "1"})
    evolution.quiesce()
    assert [one.path for one in listener.received] == ["/own", "/all/instance-create"]
    # Both say that they went to the instance's own, and its headers are not the other's.
    assert {one.body["destination"] for one in listener.received} == {f"{listener.url}/own"}
    assert ["x-own" in one.headers for one in listener.received] == [True, False]


@pytest.mark.parametrize("by_events", ["true", "false"])
def test_without_a_webhook_of_its_own_the_destination_is_the_global_one_with_the_event(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, by_events: str
) -> None:
    environment = {"WEBHOOK_GLOBAL_ENABLED": "true", "WEBHOOK_GLOBAL_URL": f"{listener.url}/all"}
    evolution.restart_server(environment={**environment, "WEBHOOK_GLOBAL_WEBHOOK_BY_EVENTS": by_events}, empty=True)
    _created(api, None)
    evolution.quiesce()
    [one] = listener.received
    assert one.path == ("/all/instance-create" if by_events == "true" else "/all")
    assert one.body["destination"] == f"{listener.url}/all/instance-create"


def test_the_global_webhook_hears_only_of_what_is_switched_on(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener
) -> None:
    environment = {"WEBHOOK_GLOBAL_ENABLED": "true", "WEBHOOK_GLOBAL_URL": f"{listener.url}/all"}
    evolution.restart_server(environment={**environment, "WEBHOOK_EVENTS_REMOVE_INSTANCE": "true"}, empty=True)
    _created(api, None)
    api.delete("/instance/delete/shop").raise_for_status()
    evolution.quiesce()
    assert sorted(body["event"] for body in listener.bodies()) == ["instance.create", "remove.instance"]


def test_a_global_webhook_that_fails_is_tried_again_and_the_instances_own_is_not(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener
) -> None:
    environment = {"WEBHOOK_GLOBAL_ENABLED": "true", "WEBHOOK_GLOBAL_URL": f"{listener.url}/flaky1"}
    evolution.restart_server(environment=environment, empty=True)
    _created(api, f"{listener.url}/own")
    evolution.advance(60)
    evolution.quiesce()
    assert [one.path for one in listener.received] == ["/own", "/flaky1", "/flaky1"]


def test_header_values_are_written_as_javascript_does(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    wished = {"X-Null": None, "X-False": False, "X-True": True, "X-List": [1, "a"], "X-Object": {"a": 1}, "Accept": None}
    _listen(api, f"{listener.url}/ok", headers=wished)
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.quiesce()
    headers = listener.received[0].headers
    assert {name: value for name, value in headers.items() if name.startswith("x-")} == {
        "x-true": "true",
        "x-list": "1,a",
        "x-object": "[object Object]",
    }
    assert "accept" not in headers


def test_a_followed_redirect_says_nothing_of_the_lost_body(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    _listen(api, f"{listener.url}/redir")
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.quiesce()
    posted, fetched = (one.headers for one in listener.received)
    assert (posted["content-type"], "content-length" in posted) == ("application/json", True)
    assert [name for name in fetched if name.startswith("content-")] == []
    assert fetched["user-agent"] == posted["user-agent"]


def test_the_token_can_be_kept_out_of_what_is_told(evolution: FakeEvolution, api: httpx.Client, listener: Listener) -> None:
    evolution.restart_server(environment={"AUTHENTICATION_EXPOSE_IN_FETCH_INSTANCES": "false"}, empty=True)
    _created(api, f"{listener.url}/own")
    evolution.quiesce()
    assert listener.bodies()[0]["apikey"] is None


def test_a_webhook_that_was_changed_meanwhile_does_not_change_what_is_on_its_way(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    _listen(api, f"{listener.url}/flaky1")
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.quiesce()
    _listen(api, f"{listener.url}/other")
    evolution.advance(60)
    evolution.quiesce()
    assert [one.path for one in listener.received] == ["/flaky1", "/flaky1"]


def test_without_growth_every_pause_is_the_first_one() -> None:
    retry = WebhookRetry(exponential=False)
    assert {retry.delay(failures, noise) for failures in (1, 2, 9) for noise in (-1.0, 0.0, 1.0)} == {5.0}


@pytest.mark.parametrize(
    ("name", "value", "field", "result"),
    [
        ("WEBHOOK_RETRY_JITTER_FACTOR", "0.5", "jitter", 0.5),
        ("WEBHOOK_RETRY_JITTER_FACTOR", "0", "jitter", 0.2),
        ("WEBHOOK_RETRY_INITIAL_DELAY_SECONDS", "7s", "initial", 7.0),
        ("WEBHOOK_RETRY_MAX_DELAY_SECONDS", "1.9", "maximum", 1.0),
        ("WEBHOOK_RETRY_MAX_ATTEMPTS", "3 times", "attempts", 3),
        ("WEBHOOK_RETRY_USE_EXPONENTIAL_BACKOFF", "false", "exponential", False),
        ("WEBHOOK_RETRY_USE_EXPONENTIAL_BACKOFF", "no", "exponential", True),
        ("WEBHOOK_RETRY_NON_RETRYABLE_STATUS_CODES", "410, 411", "final_statuses", frozenset({410, 411})),
        ("WEBHOOK_RETRY_NON_RETRYABLE_STATUS_CODES", "", "final_statuses", frozenset()),
        ("WEBHOOK_RETRY_ANYTHING", "", "final_statuses", frozenset({400, 401, 403, 404, 422})),
    ],
)
def test_the_environment_is_read_as_the_real_server_reads_it(name: str, value: str, field: str, result: Any) -> None:
    assert getattr(ServerSettings.from_environment({name: value}).retry, field) == result
