from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from reference_impl.tests.system.conftest import PASSWORD, System


def test_a_message_is_sent_once_and_acknowledged(system: System) -> None:
    unit, phone = system.shared(), system.number()
    answer = unit.send(phone, "Olá 👋🏽 'quoted' \u202eabc", f"order-{phone}")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["success"], body["attempts"]) == (True, 1)
    (sent,) = unit.sent(phone)
    assert (sent["number"], sent["text"], sent["keyId"]) == (phone, "Olá 👋🏽 'quoted' \u202eabc", body["messageId"])
    system.control.ack(unit.instance, body["messageId"], "READ")
    system.eventually(lambda: unit.message(body["internalId"])["status"] == "read")


def test_the_same_key_again_gives_the_first_answer_and_no_second_send(system: System) -> None:
    unit, phone = system.shared(), system.number()
    first = unit.send(phone, "once", f"key-{phone}").json()
    for written in (phone, f"+{phone}", f"+55 ({phone[2:4]}) {phone[4:9]}-{phone[9:]}"):
        again = unit.send(written, "once", f"key-{phone}")
        assert again.status_code == 200
        assert again.json()["deduplicated"] is True
        assert (again.json()["internalId"], again.json()["messageId"]) == (first["internalId"], first["messageId"])
    assert len(unit.sent(phone)) == 1


def test_the_same_key_for_something_else_is_refused_and_changes_nothing(system: System) -> None:
    unit, phone = system.shared(), system.number()
    first = unit.send(phone, "once", f"key-{phone}").json()
    assert unit.send(phone, "other", f"key-{phone}").status_code == 422
    assert unit.send(system.number(), "once", f"key-{phone}").status_code == 422
    assert len(unit.sent(phone)) == 1
    assert unit.message(first["internalId"])["content"] == "once"


def test_fifty_equal_requests_at_once_are_one_send(system: System) -> None:
    unit, phone = system.shared(), system.number()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: unit.send(phone, "together", f"storm-{phone}"), range(50)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.json()["internalId"] for answer in answers if answer.status_code == 200}) == 1
    assert len(unit.sent(phone)) == 1


def test_one_key_in_two_units_is_two_messages(system: System) -> None:
    one, other = system.connected(), system.connected()
    phone = system.number()
    assert one.send(phone, "a", "shared").json()["internalId"] != other.send(phone, "a", "shared").json()["internalId"]
    assert (len(one.sent()), len(other.sent())) == (1, 1)


def test_a_request_that_was_refused_does_not_use_up_its_key(system: System) -> None:
    unit, phone = system.unit(), system.number()
    refused = unit.send(phone, "later", "key")
    assert (refused.status_code, refused.json()["error"]) == (409, "WhatsApp not connected for this unit")
    unit.connect()
    system.control.scan(unit.instance, phone=unit.phone)
    unit.awaits("connected")
    assert unit.send(phone, "later", "key").status_code == 200


@pytest.mark.parametrize(
    ("phone", "text"),
    [
        ("abc", "x"),
        ("123", "x"),
        ("9" * 40, "x"),
        ("120363041234567890@g.us", "x"),
        ("status@broadcast", "x"),
        ("5511988887777", ""),
        ("5511988887777", "\u200b"),
        ("5511988887777", "a\u0000b"),
        ("5511988887777", "x" * 65_537),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_happens(system: System, phone: str, text: str) -> None:
    unit = system.unit()
    answer = unit.send(phone, text, "key")
    assert answer.status_code == 422
    assert unit.conversations() == []


def test_a_lone_surrogate_is_refused(system: System) -> None:
    unit = system.unit()
    raw = b'{"phone":"5511988887777","message":"\\ud800"}'
    headers = unit.headers | {"Content-Type": "application/json"}
    assert system.client.post("/messages", content=raw, headers=headers).status_code == 422


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_throttled_call_is_tried_again_after_the_pause(system: System, form: str) -> None:
    unit, phone = system.shared(), system.number()
    where = {"instance": unit.instance, "route": "message/sendText"}
    system.control.inject("rate-limited", **where, count=1, seconds=6, retry_after=form)
    answer = unit.send(phone, "patience", f"key-{phone}")
    assert (answer.status_code, answer.json()["attempts"]) == (200, 2)
    assert len(unit.sent(phone)) == 1
    refused, again = unit.calls(phone)
    # A date has whole seconds.
    assert again["monotonic"] - refused["monotonic"] >= 5


def test_three_failed_calls_are_a_failure_and_a_fourth_never_comes(system: System) -> None:
    unit, phone = system.shared(), system.number()
    system.control.inject("rate-limited", instance=unit.instance, route="message/sendText", seconds=1)
    answer = unit.send(phone, "no luck", f"key-{phone}")
    assert (answer.status_code, answer.json()["attempts"]) == (502, 3)
    assert set(answer.json()) >= {"error", "details", "internalId"}
    system.control.withdraw()
    again = unit.send(phone, "no luck", f"key-{phone}")
    assert (again.status_code, again.json()["success"], again.json()["deduplicated"]) == (200, False, True)
    system.clock.advance(120)
    assert len(unit.calls(phone)) == 3
    assert unit.sent(phone) == []


def test_a_number_that_is_not_on_whatsapp_fails_at_once(system: System) -> None:
    unit = system.connected()
    answer = unit.send("5511999990000", "nobody", "key")
    assert (answer.status_code, answer.json()["attempts"]) == (502, 1)
    assert unit.message(answer.json()["internalId"])["status"] == "failed"


@pytest.mark.parametrize("fault", ["send-error-after-sending", "send-timeout-after-sending", "connection-reset-after-sending"])
def test_a_doubtful_send_is_never_repeated_and_proven_by_looking_it_up(system: System, fault: str) -> None:
    unit, phone = system.shared(), system.number()
    system.control.inject(fault, instance=unit.instance, count=1)
    answer = unit.send(phone, "doubtful", f"key-{phone}")
    assert (answer.status_code, answer.json()["status"]) == (202, "unknown")
    identity = answer.json()["internalId"]
    system.eventually(lambda: unit.message(identity)["status"] in ("sent", "delivered", "read"), within_s=180)
    assert len(unit.sent(phone)) == 1
    assert unit.message(identity)["messageId"] == unit.sent(phone)[0]["keyId"]
    assert unit.send(phone, "doubtful", f"key-{phone}").json()["deduplicated"] is True
    assert len(unit.calls(phone)) == 1


@pytest.mark.parametrize("fault", ["send-error", "connection-reset"])
def test_a_doubtful_message_that_was_not_sent_stays_unknown(system: System, fault: str) -> None:
    unit, phone = system.shared(), system.number()
    options: dict[str, Any] = {"route": "message/sendText"} if fault == "connection-reset" else {}
    system.control.inject(fault, instance=unit.instance, count=1, **options)
    answer = unit.send(phone, "lost", f"key-{phone}")
    assert (answer.status_code, answer.json().get("status")) == (202, "unknown"), answer.text
    for _ in range(4):
        system.control.advance(120)
    system.shared()
    assert unit.message(answer.json()["internalId"])["status"] == "unknown"
    assert unit.sent(phone) == []
    again = unit.send(phone, "lost", f"key-{phone}")
    assert (again.status_code, again.json()["status"], again.json()["deduplicated"]) == (202, "unknown", True)


def test_a_key_whose_request_is_running_is_a_conflict(system: System) -> None:
    unit, phone = system.shared(), system.number()
    system.control.inject("send-timeout-after-sending", instance=unit.instance, count=1, seconds=8)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(system.client.post, "/messages", json=_body(phone), headers=unit.headers)
        system.eventually(lambda: bool(unit.calls(phone)))
        second = system.client.post("/messages", json=_body(phone), headers=unit.headers)
        assert second.status_code in (200, 409)
        assert second.status_code == 200 or "retry-after" in second.headers
        system.eventually(first.done)
    assert first.result().status_code == 200
    assert len(unit.sent(phone)) == 1


def test_an_acknowledgement_that_overtakes_its_message_is_kept(system: System) -> None:
    unit, phone = system.shared(), system.number()
    system.control.automatic_acks([])
    try:
        system.control.inject("send-error-after-sending", instance=unit.instance, count=1)
        answer = unit.send(phone, "overtaken", f"key-{phone}")
        assert answer.json()["status"] == "unknown"
        (sent,) = unit.sent(phone)
        unit.deliver("messages.update", {"keyId": sent["keyId"], "fromMe": True, "status": "READ"})
        system.eventually(lambda: unit.message(answer.json()["internalId"])["status"] == "read", within_s=180)
    finally:
        system.control.automatic_acks([(0.2, "DELIVERY_ACK")])


def test_a_status_never_moves_back(system: System) -> None:
    unit, phone = system.shared(), system.number()
    body = unit.send(phone, "forward", f"key-{phone}").json()
    for ack, expected in (("READ", "read"), ("DELIVERY_ACK", "read"), ("ERROR", "read"), ("SERVER_ACK", "read")):
        unit.deliver("messages.update", {"keyId": body["messageId"], "fromMe": True, "status": ack})
        assert unit.message(body["internalId"])["status"] == expected


def test_an_error_after_the_201_is_a_failure(system: System) -> None:
    unit, phone = system.shared(), system.number()
    system.control.automatic_acks([])
    try:
        body = unit.send(phone, "refused later", f"key-{phone}").json()
        unit.deliver("messages.update", {"keyId": body["messageId"], "fromMe": True, "status": "ERROR"})
        assert unit.message(body["internalId"])["status"] == "failed"
    finally:
        system.control.automatic_acks([(0.2, "DELIVERY_ACK")])


def test_nothing_is_shown_of_a_message_that_does_not_exist(system: System) -> None:
    unit = system.unit()
    for identity in (str(uuid4()), "not-an-id", "' OR 1=1 --"):
        answer = unit.request("GET", f"/messages/{identity}")
        assert (answer.status_code, answer.json()["error"]) == (404, "Not found")


def _body(phone: str) -> dict[str, str]:
    return {"phone": phone, "message": "in flight", "clientMessageId": f"key-{phone}"}


def test_who_does_not_wait_is_answered_at_once_and_a_worker_sends(system: System) -> None:
    unit, phone = system.shared(), system.number()
    body = {"phone": phone, "message": "later", "clientMessageId": f"async-{phone}"}
    answer = unit.request("POST", "/messages", body, prefer="respond-async")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    message = answer.json()["internalId"]
    system.eventually(lambda: unit.message(message)["status"] in ("sent", "delivered", "read"))
    assert len(unit.sent(phone)) == len(unit.calls(phone)) == 1
    again = unit.request("POST", "/messages", body, prefer="respond-async")
    assert (again.status_code, again.json()["internalId"], again.json()["deduplicated"]) == (200, message, True)


def test_a_queued_message_whose_unit_stays_unconnected_fails_without_another_call(system: System) -> None:
    unit, phone = system.connected(), system.number()
    system.control.inject("rate-limited", route="message/sendText", number=phone, count=1, seconds=300)
    answer = unit.send(phone, "waits")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert unit.request("DELETE", f"{unit.whatsapp}/disconnect").status_code == 200
    system.clock.advance(700)
    unit.headers = system.login(unit.email, PASSWORD)
    system.eventually(lambda: unit.message(answer.json()["internalId"])["status"] == "failed")
    assert (len(unit.calls(phone)), len(unit.sent(phone))) == (1, 0)
