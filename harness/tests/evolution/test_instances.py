"""Instances over HTTP: guards, QR codes, pairing, drops, log-out, delete, restart."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import zxingcpp
from PIL import Image

from harness.clock import VirtualClock
from harness.evolution import ControlError, FakeEvolution
from harness.tests.evolution.listener import Listener

Patiently = Callable[[Callable[[], Any]], Any]


def _create(api: httpx.Client, name: str, **more: Any) -> httpx.Response:
    return api.post("/instance/create", json={"instanceName": name, "integration": "WHATSAPP-BAILEYS", **more})


def _state(api: httpx.Client, name: str) -> str:
    return str(api.get(f"/instance/connectionState/{name}").json()["instance"]["state"])


def test_an_unknown_instance_is_404_even_without_a_key(evolution: FakeEvolution) -> None:
    answer = httpx.get(f"{evolution.url}/instance/connectionState/ghost")
    assert answer.status_code == 404
    assert answer.json()["response"]["message"] == ['The "ghost" instance does not exist']


def test_a_taken_name_is_403_even_without_a_key(evolution: FakeEvolution, api: httpx.Client) -> None:
    assert _create(api, "shop").status_code == 201
    answer = httpx.post(f"{evolution.url}/instance/create", json={"instanceName": "shop"})
    assert answer.status_code == 403
    assert answer.json()["response"]["message"] == ['This name "shop" is already in use.']


@pytest.mark.parametrize(
    "headers", [{}, {"apikey": ""}, {"apikey": "wrong"}, {"Authorization": "Bearer global-key-of-the-tests"}]
)
def test_every_way_of_having_no_key_is_the_same_401(evolution: FakeEvolution, api: httpx.Client, headers: dict[str, str]) -> None:
    _create(api, "shop")
    answer = httpx.post(f"{evolution.url}/message/sendText/shop", headers=headers, json={})
    assert answer.status_code == 401
    assert answer.json() == {"status": 401, "error": "Unauthorized", "response": {"message": "Unauthorized"}}


def test_an_instance_token_opens_only_its_own_instance(evolution: FakeEvolution, api: httpx.Client) -> None:
    token = _create(api, "one").json()["hash"]
    _create(api, "two")
    mine = httpx.get(f"{evolution.url}/instance/connectionState/one", headers={"apikey": token})
    other = httpx.get(f"{evolution.url}/instance/connectionState/two", headers={"apikey": token})
    rows = httpx.get(f"{evolution.url}/instance/fetchInstances", headers={"apikey": token}).json()
    assert (mine.status_code, other.status_code, [row["name"] for row in rows]) == (200, 401, ["one"])


def test_create_with_a_qr_code_takes_five_seconds_and_shows_one_that_a_phone_can_read(
    api: httpx.Client, clock: VirtualClock, patiently: Patiently
) -> None:
    before = clock.monotonic()
    body = patiently(lambda: _create(api, "shop", qrcode=True)).json()
    assert clock.monotonic() - before == pytest.approx(5.0, abs=0.1)
    assert body["instance"]["status"] == "connecting"
    assert body["qrcode"]["count"] == 1
    assert body["qrcode"]["pairingCode"] is None
    picture = base64.b64decode(body["qrcode"]["base64"].removeprefix("data:image/png;base64,"))
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))
    assert [code.text for code in found] == [body["qrcode"]["code"]]
    assert body["qrcode"]["code"].startswith("2@")
    assert body["qrcode"]["code"].count(",") == 3


def test_create_with_a_number_also_gives_a_pairing_code(api: httpx.Client, patiently: Patiently) -> None:
    body = patiently(lambda: _create(api, "shop", qrcode=True, number="5511988887777")).json()
    assert len(body["qrcode"]["pairingCode"]) == 8


def test_connect_waits_two_seconds_and_answers_with_the_bare_code(
    api: httpx.Client, clock: VirtualClock, patiently: Patiently
) -> None:
    _create(api, "shop")
    before = clock.monotonic()
    body = patiently(lambda: api.get("/instance/connect/shop")).json()
    assert clock.monotonic() - before == pytest.approx(2.0, abs=0.1)
    assert sorted(body) == ["base64", "code", "count", "pairingCode"]


def test_a_scan_opens_the_connection_and_a_second_scan_is_refused(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, patiently: Patiently
) -> None:
    _create(api, "shop", webhook={"url": f"{listener.url}/ok", "events": ["CONNECTION_UPDATE"]})
    patiently(lambda: api.get("/instance/connect/shop"))
    evolution.scan("shop", phone="5511999991111", profile_name="Shop")
    with pytest.raises(ControlError, match="has just been scanned"):
        evolution.scan("shop")
    evolution.advance(2)
    evolution.quiesce()
    with pytest.raises(ControlError, match="shows no QR code"):
        evolution.scan("shop")
    assert [body["data"]["state"] for body in listener.bodies()] == ["connecting", "connecting", "open"]
    assert listener.bodies()[-1]["sender"] == "5511999991111@s.whatsapp.net"
    row = api.get("/instance/fetchInstances").json()[0]
    assert (row["connectionStatus"], row["ownerJid"], row["profileName"]) == ("open", "5511999991111@s.whatsapp.net", "Shop")


def test_a_scan_before_any_qr_code_is_refused(evolution: FakeEvolution, api: httpx.Client) -> None:
    _create(api, "shop")
    with pytest.raises(ControlError, match="its state is close"):
        evolution.scan("shop")


@pytest.mark.parametrize("code", [408, 428, 440, 500, 503, 515])
def test_a_drop_is_silent_and_heals_itself(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str, code: int
) -> None:
    evolution.close(open_instance, code)
    assert _state(api, open_instance) == "close"
    assert api.get("/instance/fetchInstances").json()[0]["connectionStatus"] == "open"
    evolution.advance(1)
    evolution.quiesce()
    assert _state(api, open_instance) == "open"
    assert [body["data"]["state"] for body in listener.bodies("connection.update")] == ["connecting", "open"]


@pytest.mark.parametrize("code", [401, 402, 403, 406])
def test_a_log_out_is_final_and_told(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str, code: int
) -> None:
    evolution.close(open_instance, code)
    evolution.advance(60)
    evolution.quiesce()
    assert _state(api, open_instance) == "close"
    assert sorted(body["event"] for body in listener.bodies()) == ["connection.update", "logout.instance", "status.instance"]
    assert listener.bodies("connection.update")[0]["data"]["statusReason"] == code
    row = api.get("/instance/fetchInstances").json()[0]
    assert (row["disconnectionReasonCode"], row["ownerJid"]) == (code, "5511999991111@s.whatsapp.net")


def test_qr_codes_end_at_the_limit_and_a_connect_starts_again(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, patiently: Patiently
) -> None:
    evolution.restart_server(environment={"QRCODE_LIMIT": "2"}, empty=True)
    evolution.whatsapp(qr_lifetime=10)
    _create(api, "shop", webhook={"url": f"{listener.url}/ok", "events": []})
    patiently(lambda: api.get("/instance/connect/shop"))
    evolution.advance(30)
    evolution.quiesce()
    assert _state(api, "shop") == "close"
    told = [body["data"] for body in listener.bodies("qrcode.updated")]
    assert told[-1] == {"message": "QR code limit reached, please login again", "statusCode": 500}
    assert listener.bodies("connection.update")[-1]["data"] == {"instance": "shop", "state": "refused", "statusReason": 428}
    assert patiently(lambda: api.get("/instance/connect/shop")).json()["count"] == 1


def test_delete_answers_at_once_and_keeps_the_name_until_the_webhook_is_told(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener
) -> None:
    _create(api, "shop", webhook={"url": f"{listener.url}/s500", "events": ["REMOVE_INSTANCE"]})
    assert api.delete("/instance/delete/shop").status_code == 200
    evolution.advance(60)
    assert _create(api, "shop").status_code == 403
    evolution.advance(2000)
    assert api.get("/instance/connectionState/shop").status_code == 404
    assert _create(api, "shop").status_code == 201


def test_a_restarted_server_connects_what_was_open_and_forgets_retries(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    api.post(
        f"/webhook/set/{open_instance}",
        json={"webhook": {"enabled": True, "url": f"{listener.url}/s500", "events": ["MESSAGES_UPSERT"]}},
    )
    evolution.incoming(open_instance, "5511988887777", "hello")
    evolution.advance(1)
    assert len(listener.received) == 1
    evolution.restart_server(downtime=5, loading=3)
    with pytest.raises(httpx.TransportError):
        api.get("/")
    evolution.advance(6)
    assert api.get(f"/instance/connectionState/{open_instance}").json() == {"instance": {"instanceName": open_instance}}
    evolution.advance(1000)
    assert _state(api, open_instance) == "open"
    assert len(listener.received) == 1


def test_the_query_overrides_the_path_after_the_guards(evolution: FakeEvolution, api: httpx.Client) -> None:
    token = _create(api, "one").json()["hash"]
    _create(api, "two")
    answer = httpx.get(f"{evolution.url}/instance/connectionState/one?instanceName=two", headers={"apikey": token})
    assert answer.json()["instance"]["instanceName"] == "two"


def test_names_are_reached_by_percent_encoding(api: httpx.Client) -> None:
    _create(api, "Loja São/1 %")
    answer = api.get("/instance/connectionState/Loja%20S%C3%A3o%2F1%20%25")
    assert answer.json()["instance"]["instanceName"] == "Loja São/1 %"


def _fetched(api: httpx.Client, *, key: str | None = None, **query: str) -> tuple[int, Any]:
    answer = api.get("/instance/fetchInstances", params=query, headers={} if key is None else {"apikey": key})
    body = answer.json()
    return answer.status_code, [row["name"] for row in body] if isinstance(body, list) else body["response"]["message"]


def test_instances_are_fetched_by_name_id_or_number_and_what_is_missing_is_404(api: httpx.Client) -> None:
    one = _create(api, "one", number="5511988887777").json()["instance"]["instanceId"]
    _create(api, "two", number="5511988887777")
    assert _fetched(api) == (200, ["one", "two"])
    assert _fetched(api, instanceName="two") == (200, ["two"])
    assert _fetched(api, instanceId=one) == (200, ["one"])
    # The id counts before the number, both before the name, and of a number the first alone is shown.
    assert _fetched(api, instanceId=one, number="0", instanceName="two") == (200, ["one"])
    assert _fetched(api, number="5511988887777", instanceName="two") == (200, ["one"])
    assert _fetched(api, instanceName="ghost") == (404, ['Instance "ghost" not found'])
    assert _fetched(api, instanceId="ghost") == (404, ['Instance "ghost" not found'])
    assert _fetched(api, number="0") == (404, ['Instance "0" not found'])


def test_an_instances_token_fetches_what_carries_it_and_nothing_else(api: httpx.Client) -> None:
    for name in ("one", "two"):
        _create(api, name, token="shared-token")
    _create(api, "three", token="another-token")
    assert _fetched(api, key="shared-token") == (200, ["one", "two"])
    assert _fetched(api, key="shared-token", instanceName="two") == (200, ["two"])
    assert _fetched(api, key="shared-token", instanceName="three") == (401, "Unauthorized")


def test_a_row_counts_what_belongs_to_the_instance(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    assert api.get("/instance/fetchInstances").json()[0]["_count"] == {"Message": 0, "Contact": 0, "Chat": 0}
    evolution.emit(open_instance, "chats.upsert", [{"id": "5511988887777@s.whatsapp.net"}])
    for text in ("one", "two"):
        evolution.incoming(open_instance, "5511988887777", text)
    evolution.quiesce()
    assert api.get("/instance/fetchInstances").json()[0]["_count"] == {"Message": 2, "Contact": 1, "Chat": 1}


def test_a_pairing_code_comes_a_second_after_the_qr_code_would_have(
    evolution: FakeEvolution, api: httpx.Client, patiently: Patiently
) -> None:
    evolution.whatsapp(qr_delay=1.5)
    _create(api, "plain")
    _create(api, "coded")
    assert patiently(lambda: api.get("/instance/connect/plain")).json()["count"] == 1
    # It is counted when it is asked for, and shown when it is there.
    early = patiently(lambda: api.get("/instance/connect/coded?number=5511988887777")).json()
    assert (early["count"], "pairingCode" in early) == (1, False)
    evolution.advance(1)
    assert len(api.get("/instance/connect/coded").json()["pairingCode"]) == 8


def test_a_pairing_code_is_wanted_anew_with_every_connect(
    evolution: FakeEvolution, api: httpx.Client, patiently: Patiently
) -> None:
    evolution.restart_server(environment={"QRCODE_LIMIT": "1"}, empty=True)
    evolution.whatsapp(qr_lifetime=10)
    _create(api, "shop")
    assert patiently(lambda: api.get("/instance/connect/shop?number=5511988887777")).json()["pairingCode"] is not None
    evolution.advance(30)
    assert _state(api, "shop") == "close"
    assert patiently(lambda: api.get("/instance/connect/shop")).json()["pairingCode"] is None


def test_a_scanned_code_is_remembered_and_shown_again(evolution: FakeEvolution, api: httpx.Client, patiently: Patiently) -> None:
    _create(api, "shop")
    shown = patiently(lambda: api.get("/instance/connect/shop")).json()
    evolution.scan("shop", phone="5511999991111")
    evolution.advance(5)
    evolution.close("shop", 500)
    evolution.whatsapp(open_delay=60)
    evolution.advance(3)
    assert _state(api, "shop") == "connecting"
    assert api.get("/instance/connect/shop").json() == shown


def test_the_database_is_not_told_that_the_codes_have_ended(
    evolution: FakeEvolution, api: httpx.Client, patiently: Patiently
) -> None:
    evolution.restart_server(environment={"QRCODE_LIMIT": "1"}, empty=True)
    evolution.whatsapp(qr_lifetime=10)
    _create(api, "shop")
    patiently(lambda: api.get("/instance/connect/shop"))
    evolution.advance(30)
    row = api.get("/instance/fetchInstances").json()[0]
    assert (_state(api, "shop"), row["connectionStatus"]) == ("close", "connecting")


def test_the_reason_of_a_log_out_outlives_the_next_pairing(
    evolution: FakeEvolution, api: httpx.Client, patiently: Patiently, open_instance: str
) -> None:
    evolution.close(open_instance, 401)
    patiently(lambda: api.get(f"/instance/connect/{open_instance}"))
    evolution.scan(open_instance, phone="5511999991111")
    evolution.advance(5)
    row = api.get("/instance/fetchInstances").json()[0]
    assert (row["connectionStatus"], row["disconnectionReasonCode"]) == ("open", 401)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"wavoipToken": "x"}, ["Cannot read properties of undefined (reading 'ws')"]),
        ({"integration": "WHATSAPP-BUSINESS"}, ["token is required"]),
        ({"integration": "WHATSAPP-BUSINESS", "token": "x"}, ["number is required"]),
        ({"integration": "whatsapp-baileys"}, ["Invalid integration"]),
        ({"integration": None}, ["Invalid integration"]),
        ({"webhook": {}}, ["Cannot read properties of undefined (reading 'length')"]),
        ({"webhook": {"events": []}}, ["Argument `url` is missing."]),
        ({"webhook": {"url": None, "events": []}}, ["Argument `url` must not be null."]),
        (
            {"webhook": {"url": 5, "events": []}},
            ["Argument `url`: Invalid value provided. Expected String, provided Int."],
        ),
        (
            {"webhook": {"url": "http://127.0.0.1:1/x", "events": [], "byEvents": "yes"}},
            ["Argument `webhookByEvents`: Invalid value provided. Expected Boolean or Null, provided String."],
        ),
        (
            {"webhook": {"url": "http://127.0.0.1:1/x", "events": [], "base64": [1, "a"]}},
            ["Argument `webhookBase64`: Invalid value provided. Expected Boolean or Null, provided (Int, String)."],
        ),
        ({"webhook": {"url": "http://127.0.0.1:1/x", "events": None}}, ["Cannot read properties of null (reading 'length')"]),
    ],
)
def test_a_create_that_fails_leaves_no_instance(
    evolution: FakeEvolution, api: httpx.Client, more: dict[str, Any], message: list[str]
) -> None:
    answer = _create(api, "shop", **more)
    assert (answer.status_code, answer.json()["response"]["message"]) == (400, message)
    evolution.advance(1)
    assert api.get("/instance/fetchInstances").json() == []


@pytest.mark.parametrize("webhook", [None, "", False, 0])
def test_a_webhook_that_is_nothing_is_none(api: httpx.Client, webhook: Any) -> None:
    assert _create(api, "shop", webhook=webhook).json()["webhook"] == {}
    assert api.get("/webhook/find/shop").json() is None


def test_create_trusts_the_webhook_that_it_gets(api: httpx.Client) -> None:
    wish = {"enabled": False, "url": "http://127.0.0.1:1/x", "events": ["NOPE"], "byEvents": True, "headers": {"a": "b"}}
    answer = _create(api, "shop", webhook=wish).json()
    assert answer["webhook"] == {
        "webhookUrl": "http://127.0.0.1:1/x",
        "webhookHeaders": {"a": "b"},
        "webhookByEvents": True,
    }
    row = api.get("/webhook/find/shop").json()
    assert (row["enabled"], row["events"], row["webhookBase64"]) == (True, ["NOPE"], False)


@pytest.mark.parametrize("events", ["ALL", -5, {"a": 1}, True])
def test_create_keeps_events_that_are_no_list_and_delivers_none(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, events: Any
) -> None:
    _create(api, "shop", webhook={"url": f"{listener.url}/ok", "events": events}).raise_for_status()
    assert api.get("/webhook/find/shop").json()["events"] == events
    api.delete("/instance/delete/shop").raise_for_status()
    evolution.quiesce()
    assert listener.received == []


@pytest.mark.parametrize(
    ("headers", "sent"), [("ab", {"0": "a", "1": "b"}), (["x"], {"0": "x"}), (5, {}), (True, {}), (None, {})]
)
def test_configured_headers_that_are_no_object_are_spread_as_javascript_does(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, headers: Any, sent: dict[str, str]
) -> None:
    _create(api, "shop", webhook={"url": f"{listener.url}/ok", "events": [], "headers": headers}).raise_for_status()
    evolution.quiesce()
    told = listener.received[0].headers
    assert {name: value for name, value in told.items() if name.isdigit()} == sent


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        (None, 500, "Argument `name` must not be null."),
        (1.5, 500, "Argument `name`: Invalid value provided. Expected StringFilter or String, provided Float."),
        (True, 500, "Argument `name`: Invalid value provided. Expected StringFilter or String, provided Boolean."),
        (["a"], 500, "Argument `name`: Invalid value provided. Expected StringFilter or String, provided (String)."),
        ({}, 403, 'This name "[object Object]" is already in use.'),
    ],
)
def test_a_name_that_is_no_text_goes_to_the_database_as_it_is(api: httpx.Client, name: Any, status: int, message: str) -> None:
    _create(api, "shop").raise_for_status()
    answer = api.post("/instance/create", json={"instanceName": name, "integration": "WHATSAPP-BAILEYS"})
    assert (answer.status_code, answer.json()["response"]["message"][0].rpartition("\n")[2]) == (status, message)


def test_the_instance_is_filled_from_the_query_and_then_from_the_body(api: httpx.Client) -> None:
    query = {"instanceName": "shop", "integration": "WHATSAPP-BAILEYS", "token": "from-the-query", "number": "5511988887777"}
    answer = api.post("/instance/create", params=query, json={"token": "from-the-body"})
    assert (answer.status_code, answer.json()["hash"]) == (201, "from-the-body")
    row = api.get("/instance/fetchInstances").json()[0]
    assert (row["name"], row["number"], row["token"]) == ("shop", "5511988887777", "from-the-body")


def test_other_channels_of_events_are_answered_with_their_switch(api: httpx.Client) -> None:
    answer = _create(api, "shop", websocket={"enabled": True, "events": []}, rabbitmq={}, sqs="x").json()
    assert [answer[name] for name in ("websocket", "rabbitmq", "nats", "sqs")] == [{"enabled": True}, {}, {}, {}]


def test_the_official_channel_is_open_from_the_start_and_shows_no_code(api: httpx.Client) -> None:
    body = {"instanceName": "shop", "integration": "WHATSAPP-BUSINESS", "token": "t", "number": "5511988887777", "qrcode": True}
    answer = api.post("/instance/create", json=body).json()
    assert (answer["instance"]["status"], answer["instance"]["accessTokenWaBusiness"], "qrcode" in answer) == (
        "open",
        "evolution",
        False,
    )
    assert answer["instance"]["webhookWaBusiness"].endswith("/webhook/meta")


def test_settings_come_back_as_they_were_given(api: httpx.Client) -> None:
    _create(api, "shop", rejectCall=True, msgCall="busy")
    stored = api.get("/settings/find/shop").json()
    assert (stored["rejectCall"], stored["msgCall"], stored["alwaysOnline"]) == (True, "busy", False)
    switches = ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory")
    answer = api.post("/settings/set/shop", json={**dict.fromkeys(switches, False), "alwaysOnline": True})
    assert (answer.status_code, answer.json()["settings"]["settings"]["alwaysOnline"]) == (201, True)
    assert api.get("/settings/find/shop").json()["alwaysOnline"] is True


def test_what_is_not_connected_cannot_be_logged_out_and_what_is_closed_not_restarted(api: httpx.Client) -> None:
    _create(api, "shop")
    answer = api.delete("/instance/logout/shop")
    assert (answer.status_code, answer.json()["response"]["message"]) == (400, ['The "shop" instance is not connected'])
    restarted = api.post("/instance/restart/shop")
    assert (restarted.status_code, restarted.json()) == (200, {"error": True, "message": "[object Object]"})


def test_a_restart_of_an_open_instance_answers_open_and_reconnects(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    answer = api.post(f"/instance/restart/{open_instance}")
    assert answer.json() == {"instance": {"instanceName": open_instance, "state": "open"}}
    assert _state(api, open_instance) == "close"
    evolution.advance(2)
    evolution.quiesce()
    assert [body["data"]["state"] for body in listener.bodies("connection.update")] == ["connecting", "open"]
