from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from reference_impl.tests.system.conftest import System


def test_connecting_gives_a_qr_code_and_registers_the_webhook_that_is_verified(system: System) -> None:
    unit = system.unit()
    assert unit.status() == {"status": "not_configured"}
    answer = unit.connect()
    assert answer.status_code == 201
    connection = answer.json()["connection"]
    assert connection["status"] == "qr"
    assert connection["qrCode"].startswith("data:image/png;base64,")
    status = unit.status()
    assert (status["status"], status["reason"], status["qrCode"]) == ("qr", "waiting_scan", connection["qrCode"])
    assert status["qrUpdatedAt"] is not None
    (registered,) = [row for row in system.control.instances() if row["name"] == unit.instance]
    assert registered["webhook"]["url"].startswith(f"{system.url}/webhooks/whatsapp/evolution/")
    assert set(registered["webhook"]["events"]) == {
        "CONNECTION_UPDATE",
        "QRCODE_UPDATED",
        "MESSAGES_UPSERT",
        "MESSAGES_UPDATE",
        "SEND_MESSAGE",
    }


def test_connecting_twice_is_the_same_connection(system: System) -> None:
    unit = system.unit()
    first, second = unit.connect(), unit.connect()
    assert second.status_code == 201
    assert first.json()["connection"]["id"] == second.json()["connection"]["id"]
    assert len([call for call in system.control.requests(path="/instance/create") if unit.instance in str(call)]) == 1


def test_two_connects_at_once_make_one_instance(system: System) -> None:
    unit = system.unit()
    with ThreadPoolExecutor(4) as pool:
        answers = [future.result() for future in [pool.submit(unit.connect) for _ in range(4)]]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert 201 in {answer.status_code for answer in answers}
    assert len([row for row in system.control.instances() if row["name"] == unit.instance]) == 1


def test_what_the_caller_sends_as_credentials_is_not_used(system: System) -> None:
    unit = system.unit()
    body = {"provider": "evolution", "credentials": {"instanceName": "evil", "url": "http://127.0.0.1:1", "apiKey": "x"}}
    assert unit.post(f"{unit.whatsapp}/connect", body).status_code == 201
    assert [row["name"] for row in system.control.instances() if row["name"] == "evil"] == []


def test_an_unknown_provider_is_refused(system: System) -> None:
    unit = system.unit()
    answer = unit.post(f"{unit.whatsapp}/connect", {"provider": "carrier-pigeon", "credentials": {}})
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid provider")
    assert unit.status() == {"status": "not_configured"}


def test_a_scan_connects_and_clears_the_qr_code(system: System) -> None:
    unit = system.connected()
    status = unit.status()
    assert (status["reason"], status["qrCode"], status["phone"]) == ("scan_completed", None, unit.phone)
    assert status["connectedAt"] is not None
    assert unit.request("GET", f"{unit.whatsapp}/qrcode").status_code == 404
    again = unit.connect()
    assert (again.status_code, again.json()["connection"]["status"]) == (201, "connected")


def test_the_qr_code_is_never_cached(system: System) -> None:
    unit = system.unit()
    unit.connect()
    answer = unit.request("GET", f"{unit.whatsapp}/qrcode")
    assert answer.json().keys() == {"qrcode", "status"}
    assert answer.headers["cache-control"] == "no-store"


def test_a_log_out_on_the_phone_is_seen_and_pauses_campaigns(system: System) -> None:
    unit = system.connected()
    campaign = unit.campaign(5)
    unit.post(f"/api/campaigns/{campaign['id']}/dispatch")
    system.control.close(unit.instance, 401)
    status = unit.awaits("disconnected")
    assert status["reason"] == "logged_out"
    assert status["disconnectedAt"] is not None
    assert unit.get(f"/api/campaigns/{campaign['id']}")["status"] == "paused"
    assert unit.send(system.number(), "late").status_code == 409


def test_a_ban_is_told_from_a_log_out(system: System) -> None:
    unit = system.connected()
    system.control.close(unit.instance, 403)
    assert unit.awaits("disconnected")["reason"] == "banned"


def test_a_drop_ends_in_a_reconnection(system: System) -> None:
    unit = system.connected()
    system.control.close(unit.instance, 428)
    system.eventually(lambda: unit.status()["reason"] == "reconnected")
    assert unit.status()["status"] == "connected"


def test_a_missed_event_is_corrected_by_the_poll(system: System) -> None:
    unit = system.connected()
    unit.deliver("connection.update", {"state": "close", "statusReason": 401})
    assert unit.status()["status"] == "disconnected"
    system.eventually(lambda: unit.status()["status"] == "connected", within_s=90)


def test_an_older_open_does_not_beat_a_newer_close(system: System) -> None:
    unit = system.connected()
    system.control.close(unit.instance, 401)
    unit.awaits("disconnected")
    answer = unit.deliver("connection.update", {"state": "open"}, date_time="2020-01-01T00:00:00.000Z")
    assert answer.status_code == 200
    assert unit.status()["status"] == "disconnected"


def test_disconnecting_counts_only_when_the_provider_confirmed(system: System) -> None:
    unit = system.connected()
    fault = system.control.inject("zombie", instance=unit.instance)
    answer = unit.request("DELETE", f"{unit.whatsapp}/disconnect")
    assert answer.status_code == 502
    assert unit.status()["status"] == "connected"
    system.control.withdraw(fault)
    assert unit.request("DELETE", f"{unit.whatsapp}/disconnect").status_code == 200
    status = unit.status()
    assert (status["status"], status["reason"]) == ("disconnected", "disconnected")
    assert unit.awaits("disconnected")["reason"] == "disconnected"


def test_a_unit_can_connect_again_after_it_disconnected(system: System) -> None:
    unit = system.connected()
    unit.request("DELETE", f"{unit.whatsapp}/disconnect")
    assert unit.connect().json()["connection"]["status"] == "qr"
    system.control.scan(unit.instance, phone=unit.phone)
    assert unit.awaits("connected")["reason"] == "scan_completed"


def test_no_qr_code_yet_is_no_error(system: System) -> None:
    unit = system.unit()
    system.control.inject("no-qr", instance=unit.instance)
    answer = unit.connect()
    assert answer.status_code == 201
    assert answer.json()["connection"] | {"id": ""} == {
        "id": "",
        "status": "connecting",
        "reason": "initializing",
        "qrCode": None,
    }


def test_reading_the_status_writes_nothing(system: System) -> None:
    unit = system.connected()
    before = unit.status()
    system.clock.advance(1)
    assert [unit.status() for _ in range(3)] == [before] * 3
