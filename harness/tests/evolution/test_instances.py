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
