from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from reference_impl.tests.system.conftest import PASSWORD, System

TEXT = "Oi, quero comprar 🛒 <b>já</b> \u202e"


def an_upsert(phone: str, identity: str, text: str = TEXT, **more: Any) -> dict[str, Any]:
    return {
        "key": {"remoteJid": f"{phone}@s.whatsapp.net", "fromMe": False, "id": identity} | more.pop("key", {}),
        "pushName": "Maria",
        "message": {"conversation": text},
        "messageType": "conversation",
        "messageTimestamp": 1795357299,
    } | more


def test_a_message_of_a_customer_makes_contact_conversation_and_message(system: System) -> None:
    unit, phone = system.shared(), system.number()
    system.control.incoming(unit.instance, phone, TEXT, push_name="Maria")
    system.eventually(lambda: bool(unit.messages_with(phone)))
    (conversation,) = [found for found in unit.conversations() if found["contact"]["phone"] == phone]
    assert conversation["contact"] | {"id": ""} == {"id": "", "phone": phone, "name": "Maria"}
    (message,) = unit.messages_with(phone)
    assert (message["sender"], message["status"], message["content"]) == ("customer", "received", TEXT)


def test_a_repeated_message_is_stored_once_for_ever(system: System) -> None:
    unit, phone = system.connected(), system.number()
    first = unit.deliver("messages.upsert", an_upsert(phone, f"3A01{phone}", "first"))
    assert first.json() == {"success": True, "received": True}
    for seconds in (0, 360, 90_000):
        system.clock.advance(seconds)
        again = unit.deliver(
            "messages.upsert", an_upsert(phone, f"3A01{phone}", "changed", messageTimestamp=1795357299 + seconds)
        )
        assert again.json() == {"success": True, "received": True, "duplicate": True}
    unit.headers = system.login(unit.email, PASSWORD)
    assert [message["content"] for message in unit.messages()] == ["first"]


def test_equal_deliveries_at_once_are_one_row(system: System) -> None:
    unit, phone = system.shared(), system.number()
    secret = unit.secret
    with ThreadPoolExecutor(12) as pool:
        run = [pool.submit(unit.deliver, "messages.upsert", an_upsert(phone, f"3A02{phone}"), secret=secret) for _ in range(24)]
    answers = [future.result() for future in run]
    assert {answer.status_code for answer in answers} == {200}
    assert len([answer for answer in answers if "duplicate" not in answer.json()]) == 1
    assert len(unit.messages_with(phone)) == 1
    assert len([found for found in unit.conversations() if found["contact"]["phone"] == phone]) == 1


def test_the_same_id_in_two_units_is_two_messages(system: System) -> None:
    one, other, phone = system.connected(), system.connected(), system.number()
    for unit in (one, other):
        assert "duplicate" not in unit.deliver("messages.upsert", an_upsert(phone, f"3A03{phone}")).json()
    assert len(one.messages()) == len(other.messages()) == 1


def test_a_twin_under_a_hidden_id_is_the_same_message(system: System) -> None:
    unit, phone = system.shared(), system.number()
    unit.deliver("messages.upsert", an_upsert(phone, f"3A04{phone}"))
    twin = an_upsert(phone, f"3A04{phone}", key={"remoteJid": "98765@lid", "remoteJidAlt": f"{phone}@s.whatsapp.net"})
    assert unit.deliver("messages.upsert", twin).json()["duplicate"] is True
    assert len(unit.messages_with(phone)) == 1


def test_both_forms_of_a_brazilian_number_are_one_contact(system: System) -> None:
    unit = system.connected()
    unit.contact("5531988887777")
    unit.deliver("messages.upsert", an_upsert("553188887777", "3A05"))
    (conversation,) = unit.conversations()
    assert conversation["contact"]["phone"] == "5531988887777"


@pytest.mark.parametrize("shape", ["list", "messages"])
def test_every_message_of_a_batch_is_stored(system: System, shape: str) -> None:
    unit, phone = system.shared(), system.number()
    entries = [an_upsert(phone, f"3B{number}{phone}", f"text {number}") for number in range(3)]
    unit.deliver("messages.upsert", entries if shape == "list" else {"messages": entries})
    assert {message["content"] for message in unit.messages_with(phone)} == {"text 0", "text 1", "text 2"}


def test_one_poison_entry_stops_nobody(system: System) -> None:
    unit, phone = system.shared(), system.number()
    entries = [an_upsert(phone, f"3C0{phone}", message={"conversation": 5}), an_upsert(phone, f"3C1{phone}", "good")]
    assert unit.deliver("messages.upsert", entries).json() == {"received": True, "warning": "quarantined"}
    assert [message["content"] for message in unit.messages_with(phone)] == ["good"]


@pytest.mark.parametrize(
    "key",
    [{"fromMe": True}, {"remoteJid": "status@broadcast"}, {"remoteJid": "120363041234567890@g.us", "participant": "55119@lid"}],
)
def test_what_no_customer_wrote_is_not_stored(system: System, key: dict[str, Any]) -> None:
    unit, phone = system.shared(), system.number()
    answer = unit.deliver("messages.upsert", an_upsert(phone, f"3D0{phone}", key=key))
    assert answer.json()["received"] is True
    assert unit.messages_with(phone) == []


def test_an_unknown_provider_is_refused(system: System) -> None:
    answer = system.client.post("/webhooks/whatsapp/pigeon/whatever", json={})
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid provider")


def test_a_body_without_instance_is_counted(system: System) -> None:
    answer = system.client.post("/webhooks/whatsapp/evolution/whatever", json={"event": "messages.upsert"})
    assert (answer.status_code, answer.json()) == (200, {"received": True, "warning": "no_instance"})


def test_an_unknown_instance_is_tolerated_whatever_the_secret(system: System) -> None:
    body = {"event": "messages.upsert", "instance": "unit_ghost", "data": an_upsert(system.number(), "3E0")}
    answer = system.client.post("/webhooks/whatsapp/evolution/some-secret-value", json=body)
    assert (answer.status_code, answer.json()) == (200, {"received": True, "warning": "unknown_instance"})
    assert "some-secret-value" not in system.log()


@pytest.mark.parametrize("change", ["suffix", "prefix", "case", "empty-like", "other unit"])
def test_a_wrong_secret_is_refused_and_stores_nothing(system: System, change: str) -> None:
    unit, phone = system.shared(), system.number()
    right = unit.secret
    wrong = {
        "suffix": right + "x",
        "prefix": right[:-1],
        "case": right.swapcase(),
        "empty-like": "None",
        "other unit": system.connected().secret,
    }[change]
    answer = unit.deliver("messages.upsert", an_upsert(phone, f"3F0{phone}"), secret=wrong)
    assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorized")
    assert unit.messages_with(phone) == []


def test_a_rotated_secret_leaves_the_old_one_valid_for_a_while(system: System) -> None:
    unit = system.connected()
    old = unit.secret
    system.run(system.backend.services.connections.rotate_secret(UUID(unit.id)))
    assert unit.secret != old
    for secret in (old, unit.secret):
        assert unit.deliver("presence.update", {}, secret=secret).status_code == 200
    system.clock.advance(86_401)
    assert unit.deliver("presence.update", {}, secret=old).status_code == 401
    assert unit.deliver("presence.update", {}, secret=unit.secret).status_code == 200


def test_a_quarantined_delivery_can_be_replayed(system: System) -> None:
    unit = system.shared()
    body = {"event": "messages.upsert", "instance": unit.instance, "data": [an_upsert(system.number(), "3I0", message=None)]}
    raw = json.dumps(body).encode()
    system.client.post(f"/webhooks/whatsapp/evolution/{unit.secret}", content=raw)
    kept = system.run(_quarantined(system, UUID(unit.id)))
    receipt = system.run(system.backend.services.inbound.replay(kept))
    assert receipt.warning == "quarantined"


async def _quarantined(system: System, unit_id: UUID) -> UUID:
    async with system.backend.store.unit_of_work(None) as work:
        return next(kept.id for kept in await work.quarantine.open(1000) if kept.unit_id == unit_id)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'{"event":"x","instance":"i","data":NaN}',
        b'{"event":"x","instance":"i","data":1e400}',
        '{"event":"x","instance":"i"}'.encode("utf-16"),
        b"\xff\xfe\x00",
    ],
)
def test_garbage_is_answered_with_200_and_quarantined(system: System, raw: bytes) -> None:
    unit = system.shared()
    answer = system.client.post(f"/webhooks/whatsapp/evolution/{unit.secret}", content=raw)
    assert (answer.status_code, answer.json()) == (200, {"received": True, "warning": "quarantined"})
    if system.store == "postgresql":
        (row,) = system.rows(
            "SELECT body, body_size FROM webhook_quarantine WHERE unit_id = :unit ORDER BY received_at DESC LIMIT 1", unit=unit.id
        )
        assert bytes(row["body"]) == raw
        assert row["body_size"] == len(raw)


@pytest.mark.parametrize(
    "message",
    [{"conversation": "a\x00b"}, {"conversation": "\ud800"}, {"conversation": None}, {"futureMessage": {}}, None],
)
def test_a_poison_message_is_quarantined_without_its_secrets(system: System, message: Any) -> None:
    unit = system.shared()
    body = {
        "event": "messages.upsert",
        "instance": unit.instance,
        "data": an_upsert(system.number(), "3G0", message=message),
        "destination": f"http://h/webhooks/whatsapp/evolution/{unit.secret}",
        "apikey": "INSTANCE-TOKEN-OF-THE-UNIT",
    }
    answer = system.client.post(f"/webhooks/whatsapp/evolution/{unit.secret}", content=json.dumps(body).encode())
    assert (answer.status_code, answer.json()["warning"]) == (200, "quarantined")
    if system.store == "postgresql":
        (row,) = system.rows(
            "SELECT body FROM webhook_quarantine WHERE unit_id = :unit ORDER BY received_at DESC LIMIT 1", unit=unit.id
        )
        assert unit.secret.encode() not in bytes(row["body"])
        assert b"INSTANCE-TOKEN" not in bytes(row["body"])


def test_an_event_of_the_future_is_quarantined(system: System) -> None:
    unit = system.shared()
    assert unit.deliver("quantum.entangled", {}).json() == {"received": True, "warning": "quarantined"}


def test_a_known_event_that_means_nothing_here_is_taken(system: System) -> None:
    unit = system.shared()
    for event in ("contacts.update", "chats.upsert", "presence.update", "status.instance", "groups.update", "call"):
        assert unit.deliver(event, None).json() == {"success": True, "received": True}


def test_a_body_over_the_limit_is_refused(system: System) -> None:
    unit = system.shared()
    secret = unit.secret
    answer = system.client.post(f"/webhooks/whatsapp/evolution/{secret}", content=b"x" * (9 * 1024 * 1024))
    assert answer.status_code == 413


def test_a_media_message_keeps_type_and_caption(system: System) -> None:
    unit, phone = system.shared(), system.number()
    unit.deliver(
        "messages.upsert", an_upsert(phone, f"3H0{phone}", message={"imageMessage": {"caption": "look", "mimetype": "image/png"}})
    )
    (message,) = unit.messages_with(phone)
    assert (message["type"], message["caption"], message["content"]) == ("image", "look", "look")


@pytest.mark.postgres
def test_a_worker_replays_what_is_in_quarantine(on_postgres: System) -> None:
    unit = on_postgres.shared()
    assert unit.deliver("some.future.event", {"new": True}).json()["warning"] == "quarantined"
    kept = "SELECT id, replays FROM webhook_quarantine WHERE event = 'some.future.event' ORDER BY received_at DESC LIMIT 1"
    (row,) = on_postgres.rows(kept)
    assert row["id"] in on_postgres.run(on_postgres.backend.services.inbound.replay_all(10_000))
    on_postgres.eventually(lambda: on_postgres.rows(kept)[0]["replays"] == row["replays"] + 1)
