"""How errors look and what they say, route by route (sections 3.1 and 4 of the contract)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.evolution.events import EVENT_NAMES
from harness.evolution.json_body import read_json
from harness.evolution.schema import faults_of, located_faults
from harness.tests.evolution.fakes import AnyFake

pytestmark = pytest.mark.in_process_only(reason="one application answers in every way of running; these ask it about its words")

Patiently = Callable[[Callable[[], Any]], Any]

_KEY = {"id": "A", "remoteJid": "5511988887777@s.whatsapp.net", "fromMe": False}
_TO = {"number": "5511988887777"}
_NO_TEXT = 'instance requires property "text"'
_SETTINGS = ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory")
_PRIVACY = ("readreceipts", "profile", "status", "online", "last", "groupadd")


def _requires(*names: str) -> list[str]:
    return [f'instance requires property "{name}"' for name in names]


@pytest.fixture
def shop(api: httpx.Client) -> httpx.Client:
    """A client of a server with an instance that was never connected."""
    api.post("/instance/create", json={"instanceName": "shop", "integration": "WHATSAPP-BAILEYS"}).raise_for_status()
    return api


_ROUTES: list[tuple[str, str, Any, list[str]]] = [
    # What the properties say comes before what is missing: the server's schemas list them in that order.
    ("POST", "message/sendText", {}, _requires("number", "text")),
    ("POST", "message/sendText", [], _requires("number", "text")),
    ("POST", "message/sendText", {"number": 5}, ["Invalid format", _NO_TEXT]),
    ("POST", "message/sendText", {"number": None, "text": None}, ["Invalid format", "text is not of a type(s) string"]),
    ("POST", "message/sendText", {**_TO, "text": ["x"]}, ["text is not of a type(s) string"]),
    ("POST", "message/sendText", {**_TO, "text": "x", "linkPreview": 1}, ["linkPreview is not of a type(s) boolean"]),
    ("POST", "message/sendText", {**_TO, "text": "x", "delay": None}, ["Enter a value in milliseconds"]),
    ("POST", "message/sendText", {**_TO, "text": "x", "delay": True}, ["Enter a value in milliseconds"]),
    (
        "POST",
        "message/sendText",
        {**_TO, "text": "x", "everyOne": "yes"},
        ["everyOne is not of a type(s) boolean", "everyOne is not one of enum values: true,false"],
    ),
    ("POST", "message/sendText", {**_TO, "text": "x", "mentioned": "5511"}, ["mentioned is not of a type(s) array"]),
    ("POST", "message/sendText", {**_TO, "text": "x", "mentioned": ["1", "1"]}, ["mentioned contains duplicate item"]),
    ("POST", "message/sendText", {**_TO, "text": "x", "quoted": {"key": "A"}}, ["quoted.key is not of a type(s) object"]),
    ("POST", "message/sendText", {**_TO, "text": "x", "quoted": {"key": {"id": ""}}}, ['The "id" cannot be empty']),
    (
        "POST",
        "message/sendText",
        {**_TO, "text": "x", "quoted": {"key": {"id": 1}}},
        ["quoted.key.id is not of a type(s) string"],
    ),
    ("POST", "message/sendMedia", {}, _requires("number", "mediatype")),
    (
        "POST",
        "message/sendMedia",
        {"mediatype": 1},
        [
            "mediatype is not of a type(s) string",
            "mediatype is not one of enum values: image,document,video,audio",
            *_requires("number"),
        ],
    ),
    ("POST", "message/sendWhatsAppAudio", {}, _requires("number")),
    ("POST", "message/sendWhatsAppAudio", {**_TO, "audio": 1}, ["audio is not of a type(s) string"]),
    ("POST", "message/sendPtv", {"video": 1}, ["video is not of a type(s) string", *_requires("number")]),
    ("POST", "message/sendSticker", {"sticker": 1}, ["sticker is not of a type(s) string", *_requires("number")]),
    (
        "POST",
        "message/sendLocation",
        {"latitude": "1", "longitude": None},
        [
            "latitude is not of a type(s) number",
            "longitude is not of a type(s) number",
            *_requires("number", "name", "address"),
        ],
    ),
    ("POST", "message/sendContact", {**_TO}, _requires("contact")),
    ("POST", "message/sendContact", {**_TO, "contact": []}, ["contact does not meet minimum length of 1"]),
    (
        "POST",
        "message/sendContact",
        {**_TO, "contact": [{"fullName": "", "phoneNumber": "1"}, {}]},
        [
            "contact[0].phoneNumber does not meet minimum length of 10",
            'contact[1] requires property "fullName"',
            'contact[1] requires property "phoneNumber"',
        ],
    ),
    (
        "POST",
        "message/sendContact",
        {**_TO, "contact": [{"fullName": "Ana", "phoneNumber": "5511988887777", "wuid": "abc"}]},
        ['"wuid" must be a numeric string', '"wuid" must be a numeric string'],
    ),
    (
        "POST",
        "message/sendContact",
        {**_TO, "contact": [{"fullName": ""}]},
        ['contact[0] requires property "phoneNumber"', 'The "fullName" cannot be empty'],
    ),
    ("POST", "message/sendReaction", {}, _requires("key", "reaction")),
    (
        "POST",
        "message/sendReaction",
        {"key": {"id": "", "remoteJid": ""}, "reaction": "👍"},
        ['key requires property "fromMe"', 'The "id" cannot be empty', 'The "remoteJid" cannot be empty'],
    ),
    ("POST", "message/sendPoll", {**_TO, "name": "q", "values": ["a", "b"]}, _requires("selectableCount")),
    (
        "POST",
        "message/sendPoll",
        {**_TO, "name": "q", "selectableCount": 11, "values": ["a", "a"]},
        ["selectableCount must be less than or equal to 10", "values contains duplicate item"],
    ),
    (
        "POST",
        "message/sendPoll",
        {**_TO, "name": "q", "selectableCount": -1, "values": [str(index) for index in range(11)]},
        ["selectableCount must be greater than or equal to 0", "values does not meet maximum length of 10"],
    ),
    ("POST", "message/sendList", {**_TO}, _requires("title", "footerText", "buttonText", "sections")),
    (
        "POST",
        "message/sendList",
        {
            **_TO,
            "title": "t",
            "footerText": "f",
            "buttonText": "b",
            "sections": [{"title": "s", "rows": [{"title": "", "rowId": "1"}]}],
        },
        ['The "title" cannot be empty'],
    ),
    (
        "POST",
        "message/sendButtons",
        {**_TO, "buttons": [{}, {"type": "foo"}]},
        ['buttons[0] requires property "type"', "buttons[1].type is not one of enum values: reply,copy,url,call,pix"],
    ),
    ("POST", "message/sendStatus", {}, _requires("type")),
    ("POST", "message/sendStatus", {"type": "gif"}, ["type is not one of enum values: text,image,audio,video"]),
    ("POST", "message/sendStatus", {"type": "text", "font": 9}, ["font must be less than or equal to 5"]),
    (
        "POST",
        "message/sendStatus",
        {"type": "text", "statusJidList": ["x"]},
        ['"statusJidList" must be an array of numeric strings'],
    ),
    ("POST", "message/sendTemplate", {}, _requires("name", "language")),
    ("POST", "chat/markMessageAsRead", {}, _requires("readMessages")),
    ("POST", "chat/markMessageAsRead", {"readMessages": []}, ["readMessages does not meet minimum length of 1"]),
    (
        "POST",
        "chat/markMessageAsRead",
        {"readMessages": [{"id": "A", "fromMe": "x"}]},
        [
            "readMessages[0].fromMe is not of a type(s) boolean",
            "readMessages[0].fromMe is not one of enum values: true,false",
            'readMessages[0] requires property "remoteJid"',
        ],
    ),
    ("POST", "chat/markChatUnread", {}, _requires("lastMessage")),
    ("POST", "chat/archiveChat", {}, _requires("archive")),
    ("POST", "chat/archiveChat", {"archive": True, "lastMessage": {}}, ['lastMessage requires property "key"']),
    ("DELETE", "chat/deleteMessageForEveryone", {}, _requires("id", "fromMe", "remoteJid")),
    ("POST", "chat/fetchProfilePictureUrl", {"number": 5}, ["number is not of a type(s) string"]),
    ("POST", "chat/sendPresence", {}, _requires("number", "presence", "delay")),
    (
        "POST",
        "chat/sendPresence",
        {"number": 1, "presence": "typing", "delay": "1"},
        [
            "Invalid format",
            "delay is not of a type(s) number",
            "presence is not one of enum values: unavailable,available,composing,recording,paused",
        ],
    ),
    (
        "POST",
        "chat/updateMessage",
        {"key": {}},
        ['key requires property "id"', 'key requires property "fromMe"', 'key requires property "remoteJid"'],
    ),
    ("POST", "chat/updateMessage", {"number": "", "text": ""}, ['The "number" cannot be empty', 'The "text" cannot be empty']),
    ("POST", "chat/updateBlockStatus", {**_TO}, _requires("status")),
    ("POST", "chat/updateBlockStatus", {**_TO, "status": "x"}, ["status is not one of enum values: block,unblock"]),
    ("POST", "chat/updatePrivacySettings", {}, _requires(*_PRIVACY)),
    ("POST", "chat/updateProfileName", {"name": ""}, ['The "name" cannot be empty']),
    ("POST", "chat/updateProfileStatus", {"status": 5}, ["status is not of a type(s) string"]),
    (
        "POST",
        "chat/findContacts",
        {"where": {"id": ""}},
        ["where.id does not meet minimum length of 1", 'The "id" cannot be empty'],
    ),
    ("POST", "chat/findMessages", {"where": 1}, ["where is not of a type(s) object"]),
    (
        "POST",
        "chat/findStatusMessage",
        {"where": {"status": "x"}},
        ["where.status is not one of enum values: ERROR,PENDING,SERVER_ACK,DELIVERY_ACK,READ,PLAYED"],
    ),
    ("POST", "call/offer", {**_TO, "callDuration": 16}, ["callDuration must be less than or equal to 15"]),
    ("POST", "label/handleLabel", {**_TO, "labelId": "1"}, _requires("action")),
    ("POST", "instance/setPresence", {}, _requires("presence")),
    (
        "POST",
        "instance/setPresence",
        {"presence": "x"},
        ["presence is not one of enum values: unavailable,available,composing,recording,paused"],
    ),
    ("POST", "webhook/set", {}, _requires("webhook")),
    ("POST", "webhook/set", {"webhook": "http://x"}, ["webhook is not of a type(s) object"]),
    ("POST", "webhook/set", {"webhook": {}}, ['webhook requires property "enabled"', 'webhook requires property "url"']),
    ("POST", "webhook/set", {"webhook": {"enabled": True, "url": ""}}, ['The "url" cannot be empty']),
    (
        "POST",
        "webhook/set",
        {"webhook": {"enabled": 1, "url": 2, "headers": [], "byEvents": 0, "base64": None, "events": ["CALL", 5, "X"]}},
        [
            "webhook.enabled is not of a type(s) boolean",
            "webhook.url is not of a type(s) string",
            "webhook.headers is not of a type(s) object",
            "webhook.byEvents is not of a type(s) boolean",
            "webhook.base64 is not of a type(s) boolean",
            "webhook.events[1] is not of a type(s) string",
            f"webhook.events[1] is not one of enum values: {','.join(EVENT_NAMES)}",
            f"webhook.events[2] is not one of enum values: {','.join(EVENT_NAMES)}",
        ],
    ),
    ("POST", "settings/set", {}, _requires(*_SETTINGS)),
    (
        "POST",
        "settings/set",
        {"msgCall": 1, "wavoipToken": None, "syncFullHistory": "x"},
        [
            "msgCall is not of a type(s) string",
            "syncFullHistory is not of a type(s) boolean",
            "wavoipToken is not of a type(s) string",
            *_requires(*_SETTINGS[:-1]),
        ],
    ),
]


@pytest.mark.parametrize(("method", "route", "body", "faults"), _ROUTES)
def test_a_body_that_does_not_fit_is_400_with_a_list_in_a_list(
    shop: httpx.Client, method: str, route: str, body: Any, faults: list[str]
) -> None:
    answer = shop.request(method, f"/{route}/shop", json=body)
    assert answer.json() == {"status": 400, "error": "Bad Request", "response": {"message": [faults]}}
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"instanceName": ""}, ['The "instanceName" cannot be empty']),
        ({"instanceName": "new", "token": 5}, ["token is not of a type(s) string"]),
        (
            {"instanceName": "new", "qrcode": "true", "number": 1},
            ["number is not of a type(s) string", "qrcode is not of a type(s) boolean"],
        ),
        ({"instanceName": "new", "number": "+55 11"}, [r'number does not match pattern "^\\d+[\\.@\\w-]+"']),
        (
            {"instanceName": "new", "rejectCall": "yes", "msgCall": 1},
            ["rejectCall is not of a type(s) boolean", "msgCall is not of a type(s) string"],
        ),
    ],
)
def test_what_create_refuses_it_refuses_in_the_validators_words(shop: httpx.Client, body: Any, faults: list[str]) -> None:
    answer = shop.post("/instance/create", json=body)
    assert (answer.status_code, answer.json()["response"]["message"]) == (400, [faults])


@pytest.mark.parametrize(
    ("method", "route", "body", "message"),
    [
        ("POST", "message/sendText", {**_TO, "text": " \n\u00a0"}, "Text is required"),
        ("POST", "message/sendMedia", {**_TO, "mediatype": "image"}, "Owned media must be a url or base64"),
        (
            "POST",
            "message/sendMedia",
            {**_TO, "mediatype": "image", "media": "http://localhost/x.png"},
            "Owned media must be a url or base64",
        ),
        (
            "POST",
            "message/sendMedia",
            {**_TO, "mediatype": "document", "media": "aGVsbG8="},
            "For base64 the file name must be informed.",
        ),
        (
            "POST",
            "message/sendMedia",
            {**_TO, "mediatype": "document", "media": ""},
            "For base64 the file name must be informed.",
        ),
        ("POST", "message/sendPtv", {**_TO}, "Owned media must be a url or base64"),
        ("POST", "message/sendSticker", {**_TO, "sticker": "?"}, "Owned media must be a url or base64"),
        ("POST", "message/sendWhatsAppAudio", {**_TO}, "Owned media must be a url, base64, or valid file with buffer"),
        ("POST", "message/sendReaction", {"key": _KEY, "reaction": "👍👍"}, "Reaction must be a single emoji or empty string"),
        ("POST", "message/sendButtons", {**_TO, "buttons": []}, "At least one button is required"),
        ("POST", "message/sendButtons", {**_TO, "buttons": [{"type": "reply"}] * 4}, "Maximum of 3 reply buttons allowed"),
        (
            "POST",
            "message/sendButtons",
            {**_TO, "buttons": [{"type": "reply"}, {"type": "url"}]},
            "Reply buttons cannot be mixed with other button types",
        ),
        ("POST", "message/sendButtons", {**_TO, "buttons": [{"type": "pix"}] * 2}, "Only one PIX button is allowed"),
        ("POST", "message/sendStatus", {"type": "text"}, "Content is required"),
        ("POST", "message/sendStatus", {"type": "text", "content": "x"}, "StatusJidList is required"),
        ("POST", "message/sendStatus", {"type": "text", "content": "x", "allContacts": True}, "Contacts not found"),
        ("POST", "message/sendStatus", {"type": "text", "content": "x", "statusJidList": ["1"]}, "Background color is required"),
        (
            "POST",
            "message/sendStatus",
            {"type": "text", "content": "x", "statusJidList": ["1"], "backgroundColor": "#fff", "font": 0},
            "Font is required",
        ),
        ("POST", "message/sendText", {"number": "120363000000000001@g.us", "text": "x"}, "[object Object]"),
        (
            "POST",
            "message/sendText",
            {**_TO, "number": "1@lid", "text": "x"},
            "TypeError: Cannot read properties of undefined (reading 'sendMessage')",
        ),
        (
            "POST",
            "message/sendText",
            {"number": "1@lid", "text": "x", "delay": 5},
            "TypeError: Cannot read properties of undefined (reading 'presenceSubscribe')",
        ),
        (
            "POST",
            "message/sendText",
            {"number": "1@lid", "text": "x", "quoted": {}},
            "TypeError: Cannot read properties of undefined (reading 'sendMessage')",
        ),
        (
            "POST",
            "message/sendStatus",
            {"type": "image", "content": "x", "statusJidList": ["1"]},
            "TypeError: Cannot read properties of undefined (reading 'sendMessage')",
        ),
        (
            "POST",
            "message/sendButtons",
            {"number": "1@lid", "buttons": [{"type": "reply"}]},
            "TypeError: Cannot read properties of undefined (reading 'relayMessage')",
        ),
        (
            "POST",
            "instance/setPresence",
            {"presence": "paused"},
            "TypeError: Cannot read properties of undefined (reading 'sendPresenceUpdate')",
        ),
        (
            "POST",
            "chat/sendPresence",
            {**_TO, "presence": "composing", "delay": 1},
            "TypeError: Cannot read properties of undefined (reading 'onWhatsApp')",
        ),
        ("POST", "chat/updateMessage", {**_TO, "text": "x", "key": _KEY}, "Message not compatible"),
        ("POST", "chat/getBase64FromMediaMessage", {}, "TypeError: Cannot read properties of undefined (reading 'key')"),
        (
            "POST",
            "chat/getBase64FromMediaMessage",
            {"message": {}},
            "TypeError: Cannot read properties of undefined (reading 'ephemeralMessage')",
        ),
        ("POST", "chat/getBase64FromMediaMessage", {"message": {"key": {"id": "X"}}}, "Message not found"),
        (
            "POST",
            "chat/getBase64FromMediaMessage",
            {"message": {"message": {"conversation": "x"}}},
            "The message is not of the media type",
        ),
        ("DELETE", "instance/logout", {}, 'The "shop" instance is not connected'),
        ("GET", "group/fetchAllGroups", {}, "The getParticipants needs to be informed in the query"),
    ],
)
def test_most_refusals_are_400_with_one_text_in_a_list(
    shop: httpx.Client, method: str, route: str, body: Any, message: str
) -> None:
    answer = shop.request(method, f"/{route}/shop", json=body)
    assert answer.json() == {"status": 400, "error": "Bad Request", "response": {"message": [message]}}


_UNSTARTED = "Cannot read properties of undefined (reading '{}')"


@pytest.mark.parametrize(
    ("method", "route", "body", "said"),
    [
        ("POST", "message/sendText", {**_TO, "text": "x"}, _UNSTARTED.format("onWhatsApp")),
        ("POST", "message/sendWhatsAppAudio", {**_TO, "audio": "T2dnUw=="}, _UNSTARTED.format("onWhatsApp")),
        ("POST", "message/sendSticker", {**_TO, "sticker": "UklGRg=="}, _UNSTARTED.format("onWhatsApp")),
        (
            "POST",
            "message/sendLocation",
            {**_TO, "latitude": 1, "longitude": 2, "name": "n", "address": "a"},
            _UNSTARTED.format("onWhatsApp"),
        ),
        ("POST", "message/sendButtons", {**_TO}, _UNSTARTED.format("length")),
        ("POST", "message/sendTemplate", {"name": "x", "language": "pt"}, "Method not available in the Baileys service"),
        ("POST", "chat/fetchProfile", {**_TO}, _UNSTARTED.format("onWhatsApp")),
        ("POST", "chat/fetchProfile", {}, _UNSTARTED.format("replace")),
        ("POST", "chat/fetchProfile", {"number": 5}, "number.replace is not a function"),
        ("POST", "chat/fetchProfilePictureUrl", {}, _UNSTARTED.format("replace")),
        ("POST", "chat/updateMessage", {"text": "x", "key": _KEY}, _UNSTARTED.format("replace")),
        ("GET", "chat/fetchPrivacySettings", {}, _UNSTARTED.format("fetchPrivacySettings")),
        ("GET", "group/fetchAllGroups?getParticipants=false", {}, "Cannot convert undefined or null to object"),
        ("POST", "webhook/set", {"webhook": {"enabled": True, "url": "http://x", "base64": True}}, _UNSTARTED.format("length")),
        ("POST", "label/handleLabel", {**_TO, "labelId": "1", "action": "add"}, _UNSTARTED.format("onWhatsApp")),
    ],
)
def test_what_nobody_caught_is_500_with_a_plain_text(shop: httpx.Client, method: str, route: str, body: Any, said: str) -> None:
    path, _, query = route.partition("?")
    answer = shop.request(method, f"/{path}/shop?{query}", json=body)
    assert answer.json() == {"status": 500, "error": "Internal Server Error", "response": {"message": said}}


_TYPE_ERROR = "TypeError: Cannot read properties of undefined (reading '{}')"


@pytest.mark.parametrize(
    ("method", "route", "body", "status", "message"),
    [
        (
            "POST",
            "message/sendMedia",
            {**_TO, "mediatype": "image", "media": "iVBORw0KGgo="},
            500,
            [_TYPE_ERROR.format("waUploadToServer")],
        ),
        ("POST", "message/sendMedia", {**_TO, "mediatype": "image", "media": ""}, 500, ["Error: Input Buffer is empty"]),
        (
            "POST",
            "message/sendMedia",
            {**_TO, "mediatype": "image", "media": "aGVsbG8="},
            500,
            ["Error: Input buffer contains unsupported image format"],
        ),
        (
            "POST",
            "message/sendMedia",
            {**_TO, "mediatype": "video", "media": "example.com/x.mp4"},
            500,
            ["TypeError: Invalid URL"],
        ),
        (
            "POST",
            "message/sendMedia",
            {**_TO, "mediatype": "image", "media": "http://nohost.invalid/x.png"},
            500,
            ["Error: getaddrinfo ENOTFOUND nohost.invalid"],
        ),
        ("POST", "message/sendPtv", {**_TO, "video": "AAAA"}, 500, [_TYPE_ERROR.format("waUploadToServer")]),
        (
            "POST",
            "chat/markMessageAsRead",
            {"readMessages": [_KEY]},
            500,
            ["Read messages fail", _TYPE_ERROR.format("readMessages")],
        ),
        (
            "POST",
            "chat/archiveChat",
            {"archive": True, "lastMessage": {"key": _KEY}},
            500,
            [
                {
                    "archived": False,
                    "message": ["An error occurred while archiving the chat. Open a calling.", _TYPE_ERROR.format("chatModify")],
                }
            ],
        ),
        (
            "POST",
            "chat/archiveChat",
            {"archive": True, "chat": "5511988887777@s.whatsapp.net"},
            500,
            [{"archived": False, "message": ["An error occurred while archiving the chat. Open a calling.", "[object Object]"]}],
        ),
        (
            "POST",
            "chat/markChatUnread",
            {"lastMessage": {"key": _KEY}},
            500,
            [
                {
                    "markedChatUnread": False,
                    "message": [
                        "An error occurred while marked unread the chat. Open a calling.",
                        _TYPE_ERROR.format("chatModify"),
                    ],
                }
            ],
        ),
        (
            "DELETE",
            "chat/deleteMessageForEveryone",
            _KEY,
            500,
            ["Error while deleting message for everyone", _TYPE_ERROR.format("sendMessage")],
        ),
        (
            "POST",
            "chat/updateBlockStatus",
            {**_TO, "status": "block"},
            500,
            ["Error blocking user", _TYPE_ERROR.format("onWhatsApp")],
        ),
        (
            "POST",
            "chat/updatePrivacySettings",
            {**dict.fromkeys(_PRIVACY, "all")},
            500,
            ["Error updating privacy settings", _TYPE_ERROR.format("updateReadReceiptsPrivacy")],
        ),
        (
            "POST",
            "chat/updateProfileName",
            {"name": "x"},
            500,
            ["Error updating profile name", _TYPE_ERROR.format("updateProfileName")],
        ),
        (
            "POST",
            "chat/updateProfileStatus",
            {"status": "x"},
            500,
            ["Error updating profile status", _TYPE_ERROR.format("updateProfileStatus")],
        ),
        ("POST", "chat/updateProfilePicture", {"picture": "?"}, 500, ["Error updating profile picture", "[object Object]"]),
        (
            "DELETE",
            "chat/removeProfilePicture",
            {},
            500,
            ["Error removing profile picture", _TYPE_ERROR.format("removeProfilePicture")],
        ),
        (
            "POST",
            "chat/fetchBusinessProfile",
            {**_TO},
            500,
            ["Error updating profile name", _TYPE_ERROR.format("getBusinessProfile")],
        ),
        (
            "GET",
            "group/findGroupInfos?groupJid=120363000000000001",
            {},
            404,
            ["Error fetching group", _TYPE_ERROR.format("groupMetadata")],
        ),
        (
            "GET",
            "group/findGroupInfos",
            {},
            400,
            ["The group id needs to be informed in the query", 'ex: "groupJid=120362@g.us"'],
        ),
        (
            "GET",
            "group/findGroupInfos?groupJid=abc",
            {},
            400,
            [{"property": "groupJid", "message": 'groupJid does not match pattern "^[\\\\d-]+@g.us$"'}],
        ),
        (
            "GET",
            "group/fetchAllGroups?getParticipants=maybe",
            {},
            400,
            [{"property": "getParticipants", "message": "getParticipants is not one of enum values: true,false"}],
        ),
    ],
)
def test_wrapped_errors_are_a_list_of_texts_or_of_objects(
    shop: httpx.Client, method: str, route: str, body: Any, status: int, message: Any
) -> None:
    path, _, query = route.partition("?")
    answer = shop.request(method, f"/{path}/shop?{query}", json=body)
    assert (answer.status_code, answer.json()["response"]["message"]) == (status, message)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({}, {}),
        ({"numbers": ["5511988887777"]}, {}),
        ({"numbers": []}, {"status": 400, "error": "Bad Request", "message": [["numbers does not meet minimum length of 1"]]}),
        (
            {"numbers": [1]},
            {"status": 400, "error": "Bad Request", "message": [['"numbers" must be an array of numeric strings']]},
        ),
        ({"numbers": ["1", "1"]}, {"status": 400, "error": "Bad Request", "message": [["numbers contains duplicate item"]]}),
    ],
)
def test_every_error_of_the_number_check_is_400_without_the_usual_envelope(shop: httpx.Client, body: Any, answer: Any) -> None:
    said = shop.post("/chat/whatsappNumbers/shop", json=body)
    assert (said.status_code, said.json()) == (400, answer)


def test_a_chat_is_found_by_its_address_alone(shop: httpx.Client) -> None:
    missing = shop.get("/chat/findChatByRemoteJid/shop")
    assert (missing.status_code, missing.json()) == (400, {"error": "remoteJid is a required query parameter"})
    assert shop.get("/chat/findChatByRemoteJid/shop?remoteJid=1@lid").json() is None


_SERVICES = [
    ("POST", "message/sendText", {**_TO, "text": "x"}, "textMessage"),
    ("POST", "message/sendMedia", {**_TO, "mediatype": "image", "media": "iVBORw0KGgo="}, "mediaMessage"),
    ("POST", "message/sendWhatsAppAudio", {**_TO, "audio": "T2dnUw=="}, "audioWhatsapp"),
    ("POST", "message/sendSticker", {**_TO, "sticker": "UklGRg=="}, "mediaSticker"),
    ("POST", "message/sendPtv", {**_TO, "video": "AAAA"}, "ptvMessage"),
    ("POST", "message/sendLocation", {**_TO, "latitude": 1, "longitude": 2, "name": "n", "address": "a"}, "locationMessage"),
    ("POST", "message/sendContact", {**_TO, "contact": [{"fullName": "A", "phoneNumber": "5511988887777"}]}, "contactMessage"),
    ("POST", "message/sendReaction", {"key": _KEY, "reaction": ""}, "reactionMessage"),
    ("POST", "message/sendPoll", {**_TO, "name": "q", "selectableCount": 1, "values": ["a", "b"]}, "pollMessage"),
    ("POST", "message/sendButtons", {**_TO, "buttons": []}, "buttonMessage"),
    ("POST", "message/sendStatus", {"type": "text"}, "statusMessage"),
    ("POST", "message/sendTemplate", {"name": "x", "language": "pt"}, "templateMessage"),
    ("POST", "chat/findMessages", {}, "fetchMessages"),
    ("POST", "chat/findContacts", {}, "fetchContacts"),
    ("POST", "chat/findChats", {}, "fetchChats"),
    ("POST", "chat/findStatusMessage", {}, "fetchStatusMessage"),
    ("POST", "chat/markMessageAsRead", {"readMessages": [_KEY]}, "markMessageAsRead"),
    ("POST", "chat/archiveChat", {"archive": True}, "archiveChat"),
    ("DELETE", "chat/deleteMessageForEveryone", _KEY, "deleteMessage"),
    ("POST", "chat/fetchProfilePictureUrl", _TO, "profilePicture"),
    ("POST", "chat/fetchProfile", _TO, "fetchProfile"),
    ("POST", "chat/sendPresence", {**_TO, "presence": "paused", "delay": 1}, "sendPresence"),
    ("POST", "chat/updateBlockStatus", {**_TO, "status": "block"}, "blockUser"),
    ("POST", "chat/getBase64FromMediaMessage", {}, "getBase64FromMediaMessage"),
    ("GET", "chat/fetchPrivacySettings", {}, "fetchPrivacySettings"),
    ("GET", "group/participants?groupJid=120363000000000001", {}, "findParticipants"),
    ("GET", "label/findLabels", {}, "fetchLabels"),
    ("POST", "instance/setPresence", {"presence": "paused"}, "setPresence"),
    ("POST", "webhook/set", {"webhook": {"enabled": True, "url": "http://x", "events": []}}, "instanceId"),
    ("POST", "settings/set", dict.fromkeys(_SETTINGS, False), "setSettings"),
]


@pytest.mark.parametrize(("method", "route", "body", "service"), _SERVICES)
def test_what_only_the_database_knows_crashes_every_service(
    evolution: AnyFake, shop: httpx.Client, method: str, route: str, body: Any, service: str
) -> None:
    evolution.inject("not-in-memory", instance="shop")
    path, _, query = route.partition("?")
    answer = shop.request(method, f"/{path}/shop?{query}", json=body)
    assert (answer.status_code, answer.json()["response"]["message"]) == (500, _UNSTARTED.format(service))


@pytest.mark.parametrize(
    ("method", "route", "status", "body"),
    [
        ("GET", "instance/connectionState", 200, {"instance": {"instanceName": "shop"}}),
        ("GET", "instance/connect", 200, {"error": True, "message": "[object Object]"}),
        ("POST", "instance/restart", 200, {"error": True, "message": "[object Object]"}),
        ("DELETE", "instance/logout", 200, {"status": "SUCCESS", "error": False, "response": {"message": "Instance logged out"}}),
        ("DELETE", "instance/delete", 200, {"status": "SUCCESS", "error": False, "response": {"message": "Instance deleted"}}),
        ("GET", "webhook/find", 200, None),
        ("GET", "settings/find", 200, None),
        ("POST", "chat/whatsappNumbers", 400, {}),
    ],
)
def test_some_routes_cope_with_what_only_the_database_knows(
    evolution: AnyFake, shop: httpx.Client, method: str, route: str, status: int, body: Any
) -> None:
    evolution.inject("not-in-memory", instance="shop")
    answer = shop.request(method, f"/{route}/shop", json={"numbers": ["1"]})
    assert (answer.status_code, answer.json()) == (status, body)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"instanceName": "a1", ', "Expected double-quoted property name in JSON at position 23"),
        ('{"number":', "Unexpected end of JSON input"),
        ('{"a":1', "Expected ',' or '}' after property value in JSON at position 6"),
        ("{", "Expected property name or '}' in JSON at position 1"),
        ("{'a':1}", "Expected property name or '}' in JSON at position 1"),
        ('{"a":1,}', "Expected double-quoted property name in JSON at position 7"),
        ('{"a"', "Expected ':' after property name in JSON at position 4"),
        ('{"a":1,"b"}', 'Unexpected token \'}\', "{"a":1,"b"}" is not valid JSON'),
        ("[1 2]", "Expected ',' or ']' after array element in JSON at position 3"),
        ('{"a":[1 2]}', "Expected ',' or ']' after array element in JSON at position 8"),
        ("[1,]", "Unexpected token ']', \"[1,]\" is not valid JSON"),
        ('{"a":"x', "Unterminated string in JSON at position 7"),
        ('{"a":"x\\', "Unexpected end of JSON input"),
        ('{"a":"\n"}', "Bad control character in string literal in JSON at position 6"),
        ('{"a":"\\x"}', "Bad escaped character in JSON at position 7"),
        ('{"a":"\\u12"}', "Bad Unicode escape in JSON at position 10"),
        ('{"a":01}', "Unexpected number in JSON at position 6"),
        ('{"a":-}', "No number after minus sign in JSON at position 6"),
        ('{"a":1.}', "Unterminated fractional number in JSON at position 7"),
        ('{"a":1e}', "Exponent part is missing a number in JSON at position 7"),
        ('{"a":1}}', "Unexpected non-whitespace character after JSON at position 7"),
        ('{"a":NaN}', 'Unexpected token \'N\', "{"a":NaN}" is not valid JSON'),
        ('{"a":tru}', 'Unexpected token \'}\', "{"a":tru}" is not valid JSON'),
        ('{"a":"b" "c"}', "Expected ',' or '}' after property value in JSON at position 9"),
        ('{"a":1,"b" "c":2}', "Unexpected string in JSON at position 11"),
        ('{"aaaaaaaaaaaaaaaa":"bbbbbbbb","c":x}', 'Unexpected token \'x\', ..."bbbb","c":x}" is not valid JSON'),
        ('{"number":]"5511988887777","text":"oi"}', 'Unexpected token \']\', ..."{"number":]"55119888"... is not valid JSON'),
        ('"x"', 'Unexpected token \'"\', ""x"" is not valid JSON'),
        ("5", "Unexpected token '5', \"5\" is not valid JSON"),
        ("null", "Unexpected token 'n', \"null\" is not valid JSON"),
        ("abcdefghijklmnopqrstuvwxyz", "Unexpected token 'a', \"abcdefghij\"... is not valid JSON"),
        ("  ", "Unexpected end of JSON input"),
    ],
)
def test_what_is_no_json_is_400_in_the_words_of_the_servers_parser(shop: httpx.Client, text: str, words: str) -> None:
    answer = shop.post("/message/sendText/shop", content=text, headers={"content-type": "application/json"})
    assert answer.json() == {"status": 400, "error": "Internal Server Error", "response": {"message": words}}


def test_bytes_that_are_no_utf8_are_replaced_and_read() -> None:
    assert read_json(b'{"text": "\xff"}') == ({"text": "\ufffd"}, "")
    assert read_json(b'\xef\xbb\xbf{"text": 1}') == ({"text": 1}, "")


def test_the_faults_come_in_the_order_in_which_a_schema_lists_its_rules() -> None:
    properties = {"a": {"type": "string"}}
    body = {"a": 1}
    first = {"type": "object", "properties": properties, "required": ["b"]}
    last = {"type": "object", "required": ["b"], "properties": properties}
    assert faults_of(body, first) == ["a is not of a type(s) string", 'instance requires property "b"']
    assert faults_of(body, last) == faults_of(body, first)[::-1]
    assert [fault["property"] for fault in located_faults(body, first)] == ["a", "instance"]


def test_a_rule_for_empty_properties_holds_only_where_there_are_no_others() -> None:
    schema = {"type": "object", "notEmpty": ("id", "text")}
    assert faults_of({"id": "", "text": ""}, schema) == ['The "id" cannot be empty', 'The "text" cannot be empty']
    assert faults_of({"id": "", "other": 1}, schema) == []
    assert faults_of({}, schema) == []
