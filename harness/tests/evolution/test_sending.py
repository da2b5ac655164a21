"""What each route of `/message` sends, answers and tells, when the instance is open."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image

from harness.tests.evolution.fakes import AnyClock, AnyFake
from harness.tests.evolution.listener import Listener

Patiently = Callable[[Callable[[], Any]], Any]

_NUMBER = "5511988887777"
_JID = f"{_NUMBER}@s.whatsapp.net"
_GROUP = "120363000000000001@g.us"
_QUOTED = {"key": {"remoteJid": _JID, "fromMe": False, "id": "3A00000000000000000A"}, "message": {"conversation": "earlier"}}


def _picture() -> str:
    data = io.BytesIO()
    Image.new("RGB", (2, 2)).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def _sent(api: httpx.Client, route: str, body: dict[str, Any]) -> Any:
    answer = api.post(f"/message/{route}/shop", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def _context(answer: Any) -> Any:
    part = next(iter(answer["message"].values()))
    return answer.get("contextInfo") or (part.get("contextInfo") if isinstance(part, dict) else None)


_LOCATION = {"latitude": -23.5, "longitude": -46.6, "name": "Office", "address": "Street 1"}
_PERSON = {"fullName": "Ana", "phoneNumber": "+55 11 98888-7777", "organization": "Shop", "email": "a@a.example"}
_SECTIONS = [{"title": "One", "rows": [{"title": "First", "rowId": "1"}]}]
_LIST = {"title": "Menu", "footerText": "foot", "buttonText": "Open", "sections": _SECTIONS}


@pytest.mark.parametrize(
    ("route", "body", "message_type", "part"),
    [
        ("sendLocation", _LOCATION, "locationMessage", {"degreesLatitude": -23.5, "degreesLongitude": -46.6, "name": "Office"}),
        ("sendWhatsAppAudio", {"audio": "AAAA"}, "audioMessage", {"mimetype": "audio/ogg; codecs=opus", "ptt": True}),
        ("sendSticker", {"sticker": "AAAA"}, "stickerMessage", {"mimetype": "image/webp"}),
        ("sendPtv", {"video": "AAAA"}, "ptvMessage", {"mimetype": "video/mp4"}),
        ("sendContact", {"contact": [_PERSON]}, "contactMessage", {"displayName": "Ana"}),
        (
            "sendContact",
            {"contact": [_PERSON, {**_PERSON, "fullName": "Eva"}]},
            "contactsArrayMessage",
            {"displayName": "2 contacts"},
        ),
        ("sendList", _LIST, "listMessage", {"title": "Menu", "buttonText": "Open", "listType": 2, "sections": _SECTIONS}),
        (
            "sendPoll",
            {"name": "Which?", "selectableCount": 1, "values": ["a", "b"]},
            "pollCreationMessageV3",
            {"name": "Which?", "selectableOptionsCount": 1, "options": [{"optionName": "a"}, {"optionName": "b"}]},
        ),
    ],
)
def test_each_route_sends_its_own_kind_of_message(
    evolution: AnyFake,
    api: httpx.Client,
    listener: Listener,
    open_instance: str,
    route: str,
    body: dict[str, Any],
    message_type: str,
    part: dict[str, Any],
) -> None:
    answer = _sent(api, route, {"number": _NUMBER, **body})
    assert (answer["messageType"], answer["status"], answer["pushName"]) == (message_type, "PENDING", "Você")
    assert part.items() <= answer["message"][message_type].items()
    evolution.quiesce()
    assert [told["data"]["key"] for told in listener.bodies("send.message")] == [answer["key"]]
    assert [row["keyId"] for row in evolution.ledger(instance=open_instance)] == [answer["key"]["id"]]


def test_a_contact_card_names_the_address_and_not_only_the_digits(api: httpx.Client, open_instance: str) -> None:
    card = _sent(api, "sendContact", {"number": _NUMBER, "contact": [_PERSON]})["message"]["contactMessage"]["vcard"]
    assert card.splitlines() == [
        "BEGIN:VCARD",
        "VERSION:3.0",
        "N:Ana",
        "FN:Ana",
        "ORG:Shop;",
        "EMAIL:a@a.example",
        f"item1.TEL;waid={_JID}:+55 11 98888-7777",
        "item1.X-ABLabel:Celular",
        "END:VCARD",
    ]


@pytest.mark.parametrize(
    ("media", "mimetype"),
    [
        ({"mediatype": "document", "fileName": "bill.pdf", "mimetype": "text/plain"}, "application/pdf"),
        ({"mediatype": "document", "fileName": "bill", "mimetype": "text/plain"}, "false"),
        ({"mediatype": "video", "mimetype": "video/webm"}, "video/mp4"),
        ({"mediatype": "audio", "mimetype": "audio/mpeg"}, "audio/mpeg"),
        ({"mediatype": "audio"}, "false"),
    ],
)
def test_the_type_of_media_comes_from_its_name_before_the_requests_word(
    api: httpx.Client, open_instance: str, media: dict[str, Any], mimetype: str
) -> None:
    answer = _sent(api, "sendMedia", {"number": _NUMBER, "media": "AAAA", "caption": "see", **media})
    part = answer["message"][f"{media['mediatype']}Message"]
    assert (part["mimetype"], part.get("caption")) == (mimetype, None if media["mediatype"] == "audio" else "see")


def test_a_document_behind_an_address_is_named_after_it(api: httpx.Client, open_instance: str) -> None:
    body = {"number": _NUMBER, "mediatype": "document", "media": "https://files.example/a/bill.2024.pdf"}
    assert _sent(api, "sendMedia", body)["message"]["documentMessage"]["fileName"] == "bill"


def test_media_are_answered_with_their_content_when_the_webhook_wants_it(
    evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.whatsapp(media_base64="bWVkaWE=")
    answer = _sent(api, "sendMedia", {"number": _NUMBER, "mediatype": "image", "media": _picture()})
    assert answer["message"]["base64"] == "bWVkaWE="
    evolution.quiesce()
    assert listener.bodies("send.message")[0]["data"]["message"]["base64"] == "bWVkaWE="
    text = _sent(api, "sendText", {"number": _NUMBER, "text": "x"})
    assert "base64" not in text["message"]


def test_text_to_a_contact_has_an_empty_context_and_text_to_a_group_none(api: httpx.Client, open_instance: str) -> None:
    alone = _context(_sent(api, "sendText", {"number": _NUMBER, "text": "x", "mentioned": ["5511944443333"]}))
    assert (alone["mentionedJid"], alone["groupMentions"], alone["disappearingMode"]) == ([], [], {"initiator": 0})
    assert _context(_sent(api, "sendText", {"number": _GROUP, "text": "x"})) is None


def test_a_group_hears_of_those_who_are_mentioned_or_of_everybody(api: httpx.Client, open_instance: str) -> None:
    some = _sent(api, "sendText", {"number": _GROUP, "text": "x", "mentioned": ["5511944443333", _GROUP]})
    assert _context(some) == {"mentionedJid": ["5511944443333@s.whatsapp.net"]}
    everybody = _sent(api, "sendText", {"number": _GROUP, "text": "x", "mentionsEveryOne": True})
    members = {person["id"] for person in api.get(f"/group/participants/shop?groupJid={_GROUP}").json()["participants"]}
    assert set(_context(everybody)["mentionedJid"]) == members != set()


def test_a_quoted_message_is_in_the_context(api: httpx.Client, open_instance: str) -> None:
    context = _context(_sent(api, "sendText", {"number": _NUMBER, "text": "x", "quoted": _QUOTED}))
    assert (context["participant"], context["stanzaId"]) == (_JID, "3A00000000000000000A")
    assert context["quotedMessage"] == {"conversation": "earlier"}
    assert "remoteJid" not in context
    elsewhere = _context(_sent(api, "sendText", {"number": "5511944443333", "text": "x", "quoted": _QUOTED}))
    assert elsewhere["remoteJid"] == _JID


def test_a_stored_message_is_quoted_by_its_key_and_an_unknown_one_is_left_out(api: httpx.Client, open_instance: str) -> None:
    first = _sent(api, "sendText", {"number": _NUMBER, "text": "first"})
    context = _context(_sent(api, "sendText", {"number": _NUMBER, "text": "x", "quoted": {"key": first["key"]}}))
    assert (context["participant"], context["quotedMessage"]) == ("5511999991111@s.whatsapp.net", {"conversation": "first"})
    unknown = _sent(api, "sendText", {"number": _NUMBER, "text": "x", "quoted": {"key": {"id": "unknown"}}})
    assert "quotedMessage" not in _context(unknown)


@pytest.mark.parametrize(
    ("route", "body"),
    [("sendWhatsAppAudio", {"audio": "AAAA"}), ("sendContact", {"contact": [_PERSON]})],
)
def test_audio_and_contacts_quote_nothing(api: httpx.Client, open_instance: str, route: str, body: dict[str, Any]) -> None:
    assert "quotedMessage" not in _context(_sent(api, route, {"number": _NUMBER, "quoted": _QUOTED, **body}))


def test_a_contact_is_sent_without_the_delay_that_was_asked_for(
    clock: AnyClock, api: httpx.Client, patiently: Patiently, open_instance: str
) -> None:
    before = clock.monotonic()
    body = {"number": _NUMBER, "contact": [_PERSON], "delay": 30_000}
    assert patiently(lambda: _sent(api, "sendContact", body))["messageType"] == "contactMessage"
    assert clock.monotonic() - before < 5


@pytest.mark.parametrize("quoted", [{}, {"message": {"conversation": "x"}}, [], ["a"], "abc", 5, True])
def test_a_quote_without_a_key_is_refused_whatever_its_type(
    evolution: AnyFake, api: httpx.Client, open_instance: str, quoted: Any
) -> None:
    answer = api.post("/message/sendText/shop", json={"number": _NUMBER, "text": "x", "quoted": quoted})
    message = ["TypeError: Cannot read properties of undefined (reading 'fromMe')"]
    assert (answer.status_code, answer.json()["response"]["message"]) == (400, message)
    assert evolution.ledger() == []


@pytest.mark.parametrize("quoted", [None, "", 0, False])
def test_a_quote_that_is_nothing_is_none(api: httpx.Client, open_instance: str, quoted: Any) -> None:
    assert "quotedMessage" not in _context(_sent(api, "sendText", {"number": _NUMBER, "text": "x", "quoted": quoted}))


def test_a_dead_socket_refuses_before_the_delay(
    evolution: AnyFake, clock: AnyClock, api: httpx.Client, patiently: Patiently, open_instance: str
) -> None:
    _sent(api, "sendText", {"number": _NUMBER, "text": "x"})
    evolution.whatsapp(dead=[open_instance])
    before = clock.monotonic()
    body = {"number": _NUMBER, "text": "x", "delay": 60_000}
    answer = patiently(lambda: api.post("/message/sendText/shop", json=body))
    assert (answer.status_code, answer.json()["response"]["message"]) == (400, ["Error: Connection Closed"])
    assert clock.monotonic() - before < 30


def test_media_on_a_dead_socket_fail_while_they_are_uploaded(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    _sent(api, "sendText", {"number": _NUMBER, "text": "x"})
    evolution.whatsapp(dead=[open_instance])
    body = {"number": _NUMBER, "mediatype": "video", "media": "AAAA"}
    answer = api.post("/message/sendMedia/shop", json=body)
    assert (answer.status_code, answer.json()["response"]["message"]) == (500, ["Error: Connection Closed"])


def test_a_group_that_cannot_be_asked_for_is_an_object_as_a_text(
    evolution: AnyFake, api: httpx.Client, open_instance: str
) -> None:
    evolution.whatsapp(dead=[open_instance])
    answer = api.post("/message/sendText/shop", json={"number": _GROUP, "text": "x"})
    assert (answer.status_code, answer.json()["response"]["message"]) == (400, ["[object Object]"])


def test_a_status_goes_out_as_plain_text_without_a_context(api: httpx.Client, open_instance: str) -> None:
    body = {"type": "text", "content": "hello", "statusJidList": [_JID], "backgroundColor": "#008000", "font": 1}
    answer = _sent(api, "sendStatus", body)
    assert (answer["key"]["remoteJid"], answer["message"], answer["messageType"]) == (
        "status@broadcast",
        {"conversation": "hello"},
        "conversation",
    )
    assert "contextInfo" not in answer


def test_a_picture_as_a_status_may_go_to_all_contacts(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    body = {"type": "image", "content": _picture(), "caption": "look", "allContacts": True}
    refused = api.post("/message/sendStatus/shop", json=body)
    assert (refused.status_code, refused.json()["response"]["message"]) == (400, ["Contacts not found"])
    evolution.incoming(open_instance, _NUMBER, "hi")
    evolution.quiesce()
    assert _sent(api, "sendStatus", body)["message"]["imageMessage"]["caption"] == "look"


def _buttons(answer: Any) -> tuple[Any, list[tuple[str, Any]]]:
    shown = answer["message"]["viewOnceMessage"]["message"]["interactiveMessage"]
    flow = shown["nativeFlowMessage"]["buttons"]
    return shown, [(button["name"], json.loads(button["buttonParamsJson"])) for button in flow]


def test_buttons_are_relayed_and_never_acknowledged(
    evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    buttons = [{"type": "url", "displayText": "Go", "url": "https://a.example"}, {"type": "copy", "displayText": "Copy"}]
    body = {"number": _NUMBER, "title": "Hi", "description": "more", "footer": "foot", "buttons": buttons}
    answer = _sent(api, "sendButtons", body)
    assert list(answer["key"]) == ["id", "remoteJid", "participant", "fromMe"]
    shown, flow = _buttons(answer)
    assert (shown["body"], shown["footer"]) == ({"text": "*Hi*\n\nmore\n"}, {"text": "foot"})
    assert flow == [
        ("cta_url", {"display_text": "Go", "url": "https://a.example", "merchant_url": "https://a.example"}),
        ("cta_copy", {"display_text": "Copy"}),
    ]
    evolution.advance(60)
    evolution.quiesce()
    assert listener.bodies("messages.update") == []
    assert "participant" not in _sent(api, "sendButtons", {**body, "number": _GROUP})["key"]


def test_a_pix_button_is_a_payment_without_a_body(api: httpx.Client, open_instance: str) -> None:
    button = {"type": "pix", "currency": "BRL", "name": "Shop", "keyType": "random", "key": "k-1"}
    shown, [(name, payment)] = _buttons(_sent(api, "sendButtons", {"number": _NUMBER, "title": "Hi", "buttons": [button]}))
    assert (name, "body" in shown, payment["currency"], payment["total_amount"]) == (
        "payment_info",
        False,
        "BRL",
        {"value": 0, "offset": 100},
    )
    [setting] = payment["payment_settings"]
    assert setting["pix_static_code"] == {"merchant_name": "Shop", "key": "k-1", "key_type": "EVP"}


def test_a_reaction_goes_to_the_chat_of_its_key(api: httpx.Client, open_instance: str) -> None:
    answer = _sent(api, "sendReaction", {"key": {"remoteJid": _JID, "fromMe": False, "id": "A"}, "reaction": "👍🏽"})
    assert (answer["key"]["remoteJid"], answer["message"]["reactionMessage"]["text"]) == (_JID, "👍🏽")
    assert "contextInfo" not in answer["message"]["reactionMessage"]


def test_a_file_can_be_uploaded_in_a_form(api: httpx.Client, open_instance: str) -> None:
    files = {"file": ("a.webp", base64.b64decode(_picture()), "image/webp")}
    answer = api.post("/message/sendSticker/shop", data={"number": _NUMBER}, files=files)
    assert (answer.status_code, answer.json()["messageType"]) == (201, "stickerMessage")


def test_a_call_is_answered_with_its_wish_and_calls_nobody(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    answer = api.post("/call/offer/shop", json={"number": _NUMBER, "isVideo": True, "callDuration": 3})
    assert (answer.status_code, answer.json()) == (201, {"id": "123", "jid": _JID, "isVideo": True, "callDuration": 3})
    assert evolution.ledger() == []
