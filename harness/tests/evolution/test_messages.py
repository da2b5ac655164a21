"""Messages out and in, over HTTP and webhooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.clock import VirtualClock
from harness.evolution import ControlError, FakeEvolution
from harness.tests.evolution.listener import Listener

Patiently = Callable[[Callable[[], Any]], Any]


def _send(api: httpx.Client, number: str = "5511988887777", text: str = "hello", **more: Any) -> httpx.Response:
    return api.post("/message/sendText/shop", json={"number": number, "text": text, **more})


def test_a_send_is_queued_told_and_acknowledged(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    answer = _send(api)
    assert answer.status_code == 201
    sent = answer.json()
    assert sent["status"] == "PENDING"
    evolution.advance(1)
    evolution.quiesce()
    assert listener.bodies("send.message")[0]["data"] == sent
    updates = [body["data"] for body in listener.bodies("messages.update")]
    assert [(update["keyId"], update["status"]) for update in updates] == [
        (sent["key"]["id"], "SERVER_ACK"),
        (sent["key"]["id"], "DELIVERY_ACK"),
    ]
    assert [(row["keyId"], row["text"]) for row in evolution.ledger(instance=open_instance)] == [(sent["key"]["id"], "hello")]
    found = api.post(f"/chat/findMessages/{open_instance}", json={"where": {"key": {"id": sent["key"]["id"]}}}).json()
    assert [row["MessageUpdate"] for row in found["messages"]["records"]] == [
        [{"status": "SERVER_ACK"}, {"status": "DELIVERY_ACK"}]
    ]


def test_automatic_acknowledgements_can_be_switched_off(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.automatic_acks([])
    key_id = _send(api).json()["key"]["id"]
    evolution.advance(60)
    evolution.quiesce()
    assert listener.bodies("messages.update") == []
    assert evolution.ack(open_instance, key_id, "READ")
    evolution.quiesce()
    assert [body["data"]["status"] for body in listener.bodies("messages.update")] == ["READ"]


def test_group_messages_are_never_acknowledged(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    assert _send(api, "120363000000000001@g.us").status_code == 201
    evolution.advance(60)
    evolution.quiesce()
    assert listener.bodies("messages.update") == []


def test_the_same_status_within_a_second_is_told_once(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.automatic_acks([])
    key_id = _send(api).json()["key"]["id"]
    assert [evolution.ack(open_instance, key_id, "READ") for _ in range(2)] == [True, False]
    evolution.advance(1)
    assert evolution.ack(open_instance, key_id, "READ")


@pytest.mark.parametrize(
    ("number", "jid"),
    [
        ("+55 (11) 98888-7777", "5511988887777@s.whatsapp.net"),
        ("5531988887777", "553188887777@s.whatsapp.net"),
        ("5521988887777", "5521988887777@s.whatsapp.net"),
        ("11988887777", "11988887777@s.whatsapp.net"),
        ("5211234567890", "521234567890@s.whatsapp.net"),
        ("123456789012345@lid", "123456789012345@lid"),
        ("120363000000000001", "120363000000000001@g.us"),
    ],
)
def test_the_answer_names_the_jid_and_not_the_number(api: httpx.Client, open_instance: str, number: str, jid: str) -> None:
    assert _send(api, number).json()["key"]["remoteJid"] == jid


def test_a_number_that_whatsapp_does_not_know_is_400_and_not_sent(
    evolution: FakeEvolution, api: httpx.Client, open_instance: str
) -> None:
    evolution.whatsapp(missing=["5511977776666"])
    for number in ("550011112222", "5511988880000", "5511977776666"):
        answer = _send(api, number)
        assert answer.status_code == 400
        assert answer.json()["response"]["message"] == [{"jid": f"{number}@s.whatsapp.net", "exists": False, "number": number}]
    assert evolution.ledger() == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, [['instance requires property "number"', 'instance requires property "text"']]),
        ({"number": "5511988887777", "text": " "}, ["Text is required"]),
        ({"number": 5511988887777, "text": "x"}, [["Invalid format"]]),
        ({"number": "5511988887777", "text": "x", "delay": 1.5}, [["Enter a value in milliseconds"]]),
        ({"number": "5511988887777", "textMessage": {"text": "x"}}, [['instance requires property "text"']]),
    ],
)
def test_a_bad_body_is_400_in_the_validators_words(api: httpx.Client, open_instance: str, body: Any, message: Any) -> None:
    answer = api.post("/message/sendText/shop", json=body)
    assert (answer.status_code, answer.json()["response"]["message"]) == (400, message)


@pytest.mark.parametrize(("text", "status"), [("\ufeff \u2003\n", 400), ("\u200b", 201), ("\x1f", 201), ("\u0085", 201)])
def test_a_text_is_blank_when_javascript_says_so(api: httpx.Client, open_instance: str, text: str, status: int) -> None:
    assert _send(api, text=text).status_code == status


def test_delay_keeps_the_request_open(api: httpx.Client, clock: VirtualClock, patiently: Patiently, open_instance: str) -> None:
    before = clock.monotonic()
    assert patiently(lambda: _send(api, delay=1500)).status_code == 201
    assert clock.monotonic() - before == pytest.approx(1.5, abs=0.05)


def test_an_instance_that_never_connected_crashes_on_a_send(api: httpx.Client) -> None:
    api.post("/instance/create", json={"instanceName": "shop", "integration": "WHATSAPP-BAILEYS"})
    answer = _send(api)
    assert answer.status_code == 500
    assert answer.json()["response"]["message"] == "Cannot read properties of undefined (reading 'onWhatsApp')"


def test_a_dead_socket_is_500_for_a_new_number_and_400_for_a_known_one(
    evolution: FakeEvolution, api: httpx.Client, open_instance: str
) -> None:
    _send(api)
    evolution.whatsapp(dead=[open_instance])
    known, new = _send(api), _send(api, "5511944443333")
    assert (known.status_code, known.json()["response"]["message"]) == (400, ["Error: Connection Closed"])
    assert (new.status_code, new.json()["response"]["message"]) == (500, "Connection Closed")


def test_an_incoming_message_reaches_the_webhook(evolution: FakeEvolution, listener: Listener, open_instance: str) -> None:
    key_id = evolution.incoming(open_instance, "5511988887777", "hi there", push_name="Maria")
    evolution.quiesce()
    [body] = listener.bodies("messages.upsert")
    assert body["data"]["key"] == {"remoteJid": "5511988887777@s.whatsapp.net", "fromMe": False, "id": key_id}
    assert (body["data"]["message"], body["data"]["pushName"], body["data"]["source"]) == (
        {"conversation": "hi there"},
        "Maria",
        "ios",
    )
    assert [row["event"] for row in listener.bodies() if row["event"].startswith("contacts")] == ["contacts.upsert"]


def test_one_message_can_arrive_many_times(evolution: FakeEvolution, listener: Listener, open_instance: str) -> None:
    key_id = evolution.incoming(open_instance, "5511988887777", "again", id="3A00000000000000000A", times=3)
    evolution.quiesce()
    assert [body["data"]["key"]["id"] for body in listener.bodies("messages.upsert")] == [key_id] * 3


@pytest.mark.parametrize(
    ("kind", "message_type"),
    [
        ("text", "conversation"),
        ("extended-text", "conversation"),
        ("image", "imageMessage"),
        ("video", "videoMessage"),
        ("audio", "audioMessage"),
        ("document", "documentMessage"),
        ("sticker", "stickerMessage"),
        ("location", "locationMessage"),
        ("contact", "contactMessage"),
        ("ephemeral", "ephemeralMessage"),
        ("view-once", "viewOnceMessageV2"),
        ("list-response", "listResponseMessage"),
        ("buttons-response", "buttonsResponseMessage"),
    ],
)
def test_every_kind_of_message_arrives_as_its_type(
    evolution: FakeEvolution, listener: Listener, open_instance: str, kind: str, message_type: str
) -> None:
    evolution.incoming(open_instance, "5511988887777", "x", kind=kind)
    evolution.quiesce()
    data = listener.bodies("messages.upsert")[0]["data"]
    assert data["messageType"] == message_type
    assert message_type in data["message"]
    assert ("base64" in data["message"]) == (kind in {"image", "video", "audio", "document", "sticker"})


def test_an_edit_and_a_revoke_come_as_messages_edited(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    key_id = evolution.incoming(open_instance, "5511988887777", "wrong")
    evolution.incoming(open_instance, "5511988887777", "right", kind="edit", target=key_id)
    evolution.incoming(open_instance, "5511988887777", kind="revoke", target=key_id)
    evolution.quiesce()
    edits = [body["data"] for body in listener.bodies("messages.edited")]
    assert [(edit["key"]["id"], edit["type"]) for edit in edits] == [(key_id, "MESSAGE_EDIT"), (key_id, "REVOKE")]
    assert edits[0]["editedMessage"] == {"conversation": "right"}
    statuses = [row["status"] for row in api.post("/chat/findStatusMessage/shop", json={"where": {"id": key_id}}).json()]
    assert statuses == ["EDITED", "EDITED"]


@pytest.mark.parametrize("stamp", [1795357299, "1795357299", {"low": 1795357299, "high": 0, "unsigned": True}])
@pytest.mark.parametrize("status", [4, "READ"])
def test_a_raw_message_may_show_its_numbers_as_the_socket_library_does(
    evolution: FakeEvolution, listener: Listener, open_instance: str, stamp: Any, status: Any
) -> None:
    raw = {"key": {"remoteJid": "5511988887777@s.whatsapp.net"}, "message": {"conversation": "x"}, "status": status}
    evolution.incoming(open_instance, raw={**raw, "messageTimestamp": stamp})
    evolution.quiesce()
    data = listener.bodies("messages.upsert")[0]["data"]
    assert (data["messageTimestamp"], data["status"]) == (1795357299, "READ")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"status": 9}, "raw.status must be one of ERROR"),
        ({"status": "GONE"}, "raw.status must be one of ERROR"),
        ({"message": "text"}, "raw.message must be an object"),
        ({"message": {"editedMessage": "text"}}, "raw is no message"),
        ({"message": {"protocolMessage": "text"}}, "raw is no message: TypeError: protocolMessage must be an object"),
        ({"messageTimestamp": "now"}, "raw is no message: ValueError"),
        ({"messageTimestamp": {"high": 0}}, "raw is no message: KeyError"),
        ({"key": "5511988887777"}, "raw.key.remoteJid is missing"),
    ],
)
def test_a_raw_message_that_cannot_be_is_refused_at_once(
    evolution: FakeEvolution, open_instance: str, wrong: dict[str, Any], said: str
) -> None:
    raw = {"key": {"remoteJid": "5511988887777@s.whatsapp.net"}, "message": {"conversation": "x"}, **wrong}
    with pytest.raises(ControlError, match=said):
        evolution.incoming(open_instance, raw=raw)


def test_a_message_from_the_phone_is_from_me(evolution: FakeEvolution, listener: Listener, open_instance: str) -> None:
    evolution.incoming(open_instance, "5511988887777", "mine", from_me=True)
    evolution.quiesce()
    data = listener.bodies("messages.upsert")[0]["data"]
    assert (data["key"]["fromMe"], data["status"], data["pushName"]) == (True, "SERVER_ACK", "Shop")


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({}, "`from` is missing"),
        ({"sender": "5511988887777", "kind": "hologram"}, "there is no kind 'hologram'"),
        ({"sender": "5511988887777", "kind": "edit"}, "needs `target`"),
        ({"sender": "5511988887777", "times": 0}, "times must be"),
        ({"raw": {"message": {}}}, "remoteJid is missing"),
    ],
)
def test_an_impossible_incoming_message_is_refused_in_one_line(
    evolution: FakeEvolution, open_instance: str, wish: dict[str, Any], words: str
) -> None:
    with pytest.raises(ControlError, match=words) as refused:
        evolution.incoming(open_instance, **wish)
    assert "\n" not in str(refused.value)


def test_nothing_comes_in_while_the_instance_is_not_open(evolution: FakeEvolution, api: httpx.Client) -> None:
    api.post("/instance/create", json={"instanceName": "shop", "integration": "WHATSAPP-BAILEYS"})
    with pytest.raises(ControlError, match="is not open but close"):
        evolution.incoming("shop", "5511988887777", "x")


def test_whatsapp_numbers_answers_for_each(api: httpx.Client, open_instance: str) -> None:
    found = api.post("/chat/whatsappNumbers/shop", json={"numbers": ["5511988887777", "550011112222", "120363000000000001@g.us"]})
    assert [(row["number"], row["exists"]) for row in found.json()] == [
        ("120363000000000001@g.us", True),
        ("5511988887777", True),
        ("550011112222", False),
    ]


def test_messages_are_found_in_pages_newest_first(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    for text in ("one", "two", "three"):
        _send(api, text=text)
        evolution.advance(1)
    pages = [api.post("/chat/findMessages/shop", json={"page": page, "offset": 2}).json()["messages"] for page in (1, 2)]
    assert [[row["message"]["conversation"] for row in page["records"]] for page in pages] == [["three", "two"], ["one"]]
    assert (pages[0]["total"], pages[0]["pages"], pages[1]["currentPage"]) == (3, 2, 2)
