"""What the server knows of messages, chats, contacts, labels and groups: what changes it, and what its queries answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.tests.evolution.fakes import AnyClock, AnyFake
from harness.tests.evolution.listener import Listener

Patiently = Callable[[Callable[[], Any]], Any]

_NUMBER = "5511988887777"
_JID = f"{_NUMBER}@s.whatsapp.net"
_OTHER = "5511944443333"
_GROUP = "120363000000000001@g.us"
_LID = "123456789012345@lid"


def _asked(api: httpx.Client, route: str, body: Any = None, *, status: int = 200, method: str = "POST") -> Any:
    answer = api.request(method, f"/chat/{route}/shop", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def _told(evolution: AnyFake, listener: Listener, event: str) -> list[Any]:
    evolution.quiesce()
    return [body["data"] for body in listener.bodies(event)]


def _send(api: httpx.Client, text: str = "hello", number: str = _NUMBER) -> Any:
    answer = api.post("/message/sendText/shop", json={"number": number, "text": text})
    assert answer.status_code == 201, answer.text
    return answer.json()


def _records(api: httpx.Client, **where: Any) -> list[Any]:
    return list(_asked(api, "findMessages", {"where": where})["messages"]["records"])


def test_messages_are_found_by_their_key_but_never_by_not_being_ones_own(
    evolution: AnyFake, api: httpx.Client, open_instance: str
) -> None:
    mine = _send(api)["key"]["id"]
    theirs = evolution.incoming(open_instance, _NUMBER, "hi")
    evolution.quiesce()
    assert [row["key"]["id"] for row in _records(api, key={"id": theirs})] == [theirs]
    assert [row["key"]["id"] for row in _records(api, key={"fromMe": True})] == [mine]
    assert {row["key"]["id"] for row in _records(api, key={"fromMe": False})} == {mine, theirs}
    assert _records(api, key={"remoteJid": f"{_OTHER}@s.whatsapp.net"}) == []


def test_messages_are_found_by_their_time_only_when_both_ends_are_given(
    clock: AnyClock, api: httpx.Client, open_instance: str
) -> None:
    _send(api)
    moment = clock.now().isoformat()
    assert len(_records(api, messageTimestamp={"gte": moment, "lte": moment})) == 1
    past = {"gte": "2001-01-01T00:00:00Z", "lte": "2002-01-01T00:00:00Z"}
    assert _records(api, messageTimestamp=past) == []
    assert len(_records(api, messageTimestamp={"lte": "2002-01-01T00:00:00Z"})) == 1


def test_a_row_of_a_message_has_the_columns_of_the_query(api: httpx.Client, open_instance: str) -> None:
    sent = _send(api)
    [row] = _records(api)
    assert list(row) == [
        "id",
        "key",
        "pushName",
        "messageType",
        "message",
        "messageTimestamp",
        "instanceId",
        "source",
        "contextInfo",
        "MessageUpdate",
    ]
    assert (row["key"], row["messageTimestamp"], row["MessageUpdate"]) == (sent["key"], sent["messageTimestamp"], [])


def test_contacts_are_found_by_number_address_or_name(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    evolution.incoming(open_instance, _NUMBER, "hi", push_name="Maria")
    evolution.incoming(open_instance, _OTHER, "hi", push_name="Ana")
    evolution.quiesce()
    for where in ({"remoteJid": _NUMBER}, {"remoteJid": _JID}, {"pushName": "Maria"}):
        [row] = _asked(api, "findContacts", {"where": where})
        assert (row["remoteJid"], row["pushName"], row["isGroup"], row["isSaved"], row["type"]) == (
            _JID,
            "Maria",
            False,
            True,
            "contact",
        )
    assert len(_asked(api, "findContacts", {})) == 2
    pages = [_asked(api, "findContacts", {"page": page, "offset": 1}) for page in (1, 2, 3)]
    assert [[row["pushName"] for row in page] for page in pages] == [["Maria"], ["Ana"], []]


def test_chats_are_listed_with_their_newest_message(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    evolution.incoming(open_instance, _NUMBER, "first", push_name="Maria")
    evolution.advance(2)
    evolution.incoming(open_instance, _OTHER, "see", kind="image")
    evolution.advance(2)
    _send(api, "last")
    evolution.quiesce()
    mine, image = _asked(api, "findChats", {})
    assert (mine["remoteJid"], mine["lastMessage"]["message"], mine["lastMessage"]["pushName"]) == (
        _JID,
        {"conversation": "last"},
        "Você",
    )
    # There is no row of the chat itself: nobody has announced it.
    assert (mine["pushName"], mine["windowStart"], mine["windowActive"], mine["unreadCount"]) == (None, None, False, None)
    assert image["lastMessage"]["message"] == {"imageMessage": {"caption": "see"}}
    assert [row["remoteJid"] for row in _asked(api, "findChats", {"where": {"remoteJid": _NUMBER}})] == [_JID]
    assert [row["remoteJid"] for row in _asked(api, "findChats", {"skip": 1, "take": 5})] == [image["remoteJid"]]
    assert len(_asked(api, "findChats", {"take": 1})) == 1


def test_a_chat_that_was_announced_has_a_window_of_a_day_and_counts_the_unread(
    evolution: AnyFake, api: httpx.Client, open_instance: str
) -> None:
    evolution.emit(open_instance, "chats.upsert", [{"id": _JID, "name": "Maria", "unreadCount": 1}])
    for text in ("one", "two"):
        evolution.incoming(open_instance, _NUMBER, text, push_name="Maria")
    evolution.quiesce()
    [chat] = _asked(api, "findChats", {})
    assert (chat["pushName"], chat["unreadCount"], chat["windowActive"]) == ("Maria", 2, True)
    evolution.advance(25 * 3600)
    [later] = _asked(api, "findChats", {})
    assert (later["windowStart"], later["windowActive"]) == (chat["windowStart"], False)
    row = api.get(f"/chat/findChatByRemoteJid/shop?remoteJid={_JID}").json()
    assert (row["id"] != "", row["name"], row["unreadMessages"], row["labels"]) == (True, "Maria", 2, None)


def test_who_writes_under_another_name_renames_the_chat(
    evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.emit(open_instance, "chats.upsert", [{"id": _JID, "name": "Maria"}])
    evolution.quiesce()
    listener.received.clear()
    evolution.incoming(open_instance, _NUMBER, "hi", push_name="Mary")
    [[renamed]] = _told(evolution, listener, "chats.upsert")
    row = api.get(f"/chat/findChatByRemoteJid/shop?remoteJid={_JID}").json()
    assert (renamed, row["name"]) == ({"id": row["id"], "name": "Mary"}, "Mary")
    evolution.incoming(open_instance, _NUMBER, "hi again", push_name="Mary")
    assert len(_told(evolution, listener, "chats.upsert")) == 1


def test_a_receipt_in_a_known_chat_also_tells_that_nothing_is_unread(
    evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.automatic_acks([])
    evolution.emit(open_instance, "chats.upsert", [{"id": _JID, "unreadCount": 4}])
    key_id = _send(api)["key"]["id"]
    evolution.quiesce()
    listener.received.clear()
    evolution.ack(open_instance, key_id, "READ")
    [[chat]] = _told(evolution, listener, "chats.upsert")
    assert (chat["remoteJid"], chat["unreadMessages"]) == (_JID, 0)
    assert api.get(f"/chat/findChatByRemoteJid/shop?remoteJid={_JID}").json()["unreadMessages"] == 0


def test_what_became_of_messages_is_found_in_pages(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    sent = _send(api)
    evolution.advance(5)
    evolution.quiesce()
    rows = _asked(api, "findStatusMessage", {"where": {"id": sent["key"]["id"], "status": "READ"}})
    # The status that is asked for is not looked at.
    assert [row["status"] for row in rows] == ["SERVER_ACK", "DELIVERY_ACK"]
    assert list(rows[0]) == [
        "id",
        "keyId",
        "remoteJid",
        "fromMe",
        "participant",
        "pollUpdates",
        "status",
        "messageId",
        "instanceId",
    ]
    assert [row["status"] for row in _asked(api, "findStatusMessage", {"page": 2, "offset": 1})] == ["DELIVERY_ACK"]
    assert _asked(api, "findStatusMessage", {"where": {"remoteJid": f"{_OTHER}@s.whatsapp.net"}}) == []


def test_an_edit_is_sent_told_and_stored(evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str) -> None:
    evolution.automatic_acks([])
    key = _send(api, "wrong")["key"]
    answer = _asked(api, "updateMessage", {"number": _NUMBER, "text": "right", "key": key})
    assert answer["message"]["protocolMessage"]["type"] == "MESSAGE_EDIT"
    assert (answer["key"]["remoteJid"], answer["key"]["id"] != key["id"]) == (_JID, True)
    assert isinstance(answer["messageTimestamp"], str)
    [edit] = _told(evolution, listener, "send.message.update")
    assert (edit["key"], edit["editedMessage"]) == (key, {"extendedTextMessage": {"text": "right"}})
    [row] = _records(api)
    assert (row["message"], row["MessageUpdate"]) == ({"conversation": "right"}, [{"status": "EDITED"}])


@pytest.mark.parametrize(
    ("number", "key_id", "said"),
    [(_OTHER, None, "RemoteJid does not match"), (_NUMBER, "unknown", "Message not compatible")],
)
def test_an_edit_of_another_chats_or_an_unknown_message_is_refused(
    api: httpx.Client, open_instance: str, number: str, key_id: str | None, said: str
) -> None:
    key = _send(api)["key"]
    body = {"number": number, "text": "right", "key": {**key, "id": key_id or key["id"]}}
    assert _asked(api, "updateMessage", body, status=400)["response"]["message"] == [said]
    assert _records(api)[0]["message"] == {"conversation": "hello"}


def test_a_delete_for_everyone_is_sent_told_and_stored(
    evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.automatic_acks([])
    key = _send(api)["key"]
    answer = _asked(api, "deleteMessageForEveryone", key, status=201, method="DELETE")
    assert answer["message"]["protocolMessage"] == {"key": key, "type": "REVOKE"}
    [told] = _told(evolution, listener, "messages.delete")
    assert (told["key"], told["status"]) == ({**key, "deleted": True}, "DELETED")
    [row] = _records(api)
    assert (row["key"]["deleted"], row["MessageUpdate"]) == (True, [{"status": "DELETED"}])


def test_of_an_unknown_message_the_delete_is_sent_and_nobody_told(
    evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    key = {"remoteJid": _JID, "fromMe": True, "id": "unknown"}
    assert _asked(api, "deleteMessageForEveryone", key, status=201, method="DELETE")["status"] == "PENDING"
    assert _told(evolution, listener, "messages.delete") == []


def test_media_are_downloaded_by_key_or_given_in_full(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    evolution.whatsapp(media_base64="bWVkaWE=")
    key_id = evolution.incoming(open_instance, _NUMBER, "see", kind="image")
    evolution.quiesce()
    found = _asked(api, "getBase64FromMediaMessage", {"message": {"key": {"id": key_id}}}, status=201)
    assert found == {
        "mediaType": "imageMessage",
        "fileName": f"{key_id}.jpeg",
        "caption": "see",
        "size": {"fileLength": found["size"]["fileLength"], "height": 100, "width": 100},
        "mimetype": "image/jpeg",
        "base64": "bWVkaWE=",
        "buffer": None,
    }
    audio = {"key": {"id": "A"}, "message": {"ephemeralMessage": {"message": {"audioMessage": {"mimetype": "audio/ogg"}}}}}
    full = _asked(api, "getBase64FromMediaMessage", {"message": audio, "convertToMp4": True}, status=201)
    assert (full["mediaType"], full["fileName"], full["mimetype"], full["size"]) == ("audioMessage", "A.oga", "audio/mp4", {})


def test_media_that_cannot_be_downloaded_are_tried_again_after_five_seconds(
    evolution: AnyFake, clock: AnyClock, api: httpx.Client, patiently: Patiently, open_instance: str
) -> None:
    evolution.whatsapp(media_base64="")
    key_id = evolution.incoming(open_instance, _NUMBER, "see", kind="image")
    evolution.quiesce()
    before = clock.monotonic()
    said = patiently(lambda: _asked(api, "getBase64FromMediaMessage", {"message": {"key": {"id": key_id}}}, status=400))
    assert said["response"]["message"] == ["TypeError: fetch failed"]
    assert clock.monotonic() - before == pytest.approx(5.0, abs=0.2)


def test_the_number_check_answers_broadcasts_then_groups_then_people_in_their_order(
    evolution: AnyFake, api: httpx.Client, open_instance: str
) -> None:
    evolution.incoming(open_instance, _NUMBER, "hi", push_name="Maria")
    evolution.quiesce()
    numbers = [_OTHER, _LID, _GROUP, _NUMBER, "status@broadcast"]
    found = _asked(api, "whatsappNumbers", {"numbers": numbers})
    assert found == [
        {"jid": "status@broadcast", "exists": False, "number": "status@broadcast"},
        {"jid": _GROUP, "exists": True, "number": _GROUP, "name": "Group"},
        {"jid": f"{_OTHER}@s.whatsapp.net", "exists": True, "number": _OTHER},
        {"jid": _LID, "exists": True, "number": _LID, "lid": "lid"},
        {"jid": _JID, "exists": True, "number": _NUMBER, "name": "Maria"},
    ]


def test_a_profile_is_ones_own_or_that_of_a_number(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    own = _asked(api, "fetchProfile", {})
    assert own == {"wuid": "5511999991111@s.whatsapp.net", "numberExists": True, "isBusiness": False}
    other = _asked(api, "fetchProfile", {"number": _NUMBER})
    assert (other["wuid"], other["numberExists"], other["picture"].startswith("https://")) == (_JID, True, True)
    evolution.whatsapp(missing=[_OTHER])
    missing = _asked(api, "fetchProfile", {"number": _OTHER}, status=400)["response"]["message"]
    assert missing[0]["exists"] is False
    evolution.whatsapp(dead=[open_instance])
    blank = _asked(api, "fetchProfile", {"number": _NUMBER})
    assert blank == {"wuid": _JID, "name": None, "picture": None, "status": None, "os": None, "isBusiness": False}


@pytest.mark.parametrize(
    ("method", "route", "body", "status", "answer"),
    [
        ("POST", "chat/updateProfileName", {"name": "Shop"}, 200, {"update": "success"}),
        ("POST", "chat/updateProfileStatus", {"status": "Open"}, 200, {"update": "success"}),
        ("POST", "chat/updateProfilePicture", {"picture": "https://a.example/a.png"}, 200, {"update": "success"}),
        ("DELETE", "chat/removeProfilePicture", {}, 200, {"update": "success"}),
        ("POST", "chat/updateBlockStatus", {"number": _NUMBER, "status": "block"}, 201, {"block": "success"}),
        ("POST", "chat/sendPresence", {"number": _NUMBER, "delay": 0, "presence": "composing"}, 201, {"presence": "composing"}),
        ("POST", "instance/setPresence", {"presence": "available"}, 201, {"presence": "available"}),
        (
            "POST",
            "chat/markMessageAsRead",
            {"readMessages": [{"id": "A", "fromMe": False, "remoteJid": _JID}]},
            201,
            {"message": "Read messages", "read": "success"},
        ),
        (
            "POST",
            "chat/archiveChat",
            {"archive": True, "lastMessage": {"key": {"id": "A", "fromMe": False, "remoteJid": _JID}}},
            201,
            {"chatId": _JID, "archived": True},
        ),
        (
            "POST",
            "chat/markChatUnread",
            {"lastMessage": {"key": {"id": "A", "fromMe": False, "remoteJid": _JID}}},
            201,
            {"chatId": _JID, "markedChatUnread": True},
        ),
        ("POST", "label/handleLabel", {"number": _NUMBER, "labelId": "1", "action": "add"}, 200, None),
        ("GET", "label/findLabels", None, 200, []),
    ],
)
def test_what_only_whatsapp_would_notice_is_answered_with_success(
    api: httpx.Client, open_instance: str, method: str, route: str, body: Any, status: int, answer: Any
) -> None:
    said = api.request(method, f"/{route}/shop", json=body)
    expected = {"numberJid": _JID, "labelId": "1", "add": True} if answer is None else answer
    assert (said.status_code, said.json()) == (status, expected)


def test_a_new_picture_connects_a_second_time_on_the_same_credentials(
    evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    _asked(api, "updateProfilePicture", {"picture": "https://a.example/a.png"})
    evolution.advance(5)
    assert [data["state"] for data in _told(evolution, listener, "connection.update")] == ["connecting", "open"]
    assert api.get("/instance/connectionState/shop").json()["instance"]["state"] == "open"


def test_privacy_settings_are_answered_as_they_were_given(
    evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    assert set(api.get("/chat/fetchPrivacySettings/shop").json().values()) == {"all"}
    wish = {
        "readreceipts": "none",
        "profile": "all",
        "status": "contacts",
        "online": "match_last_seen",
        "last": "none",
        "groupadd": "all",
    }
    assert _asked(api, "updatePrivacySettings", wish, status=201) == {"update": "success", "data": wish}
    evolution.advance(5)
    assert [data["state"] for data in _told(evolution, listener, "connection.update")] == ["connecting", "open"]


def test_groups_are_those_that_messages_came_from(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    assert api.get("/group/fetchAllGroups/shop?getParticipants=false").json() == []
    _send(api, number=_GROUP)
    [bare] = api.get("/group/fetchAllGroups/shop?getParticipants=false").json()
    [full] = api.get("/group/fetchAllGroups/shop?getParticipants=true").json()
    assert (bare["id"], "participants" in bare, len(full["participants"])) == (_GROUP, False, bare["size"])
    assert api.get(f"/group/findGroupInfos/shop?groupJid={_GROUP.split('@')[0]}").json()["id"] == _GROUP


def test_a_lid_is_told_as_its_telephone_and_stored_as_it_came(
    evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    raw = {"key": {"remoteJid": _LID, "remoteJidAlt": _JID, "id": "3A00000000000000000A"}, "message": {"conversation": "hi"}}
    evolution.incoming(open_instance, raw=raw)
    [told] = _told(evolution, listener, "messages.upsert")
    assert told["key"]["remoteJid"] == _JID
    assert [row["key"]["remoteJid"] for row in _records(api)] == [_LID]
    assert [row["remoteJid"] for row in _asked(api, "findContacts", {})] == [_JID]


def test_a_message_without_a_name_is_told_without_one_and_ones_own_has_the_servers_word(
    evolution: AnyFake, listener: Listener, open_instance: str
) -> None:
    key = {"remoteJid": _GROUP, "participant": f"{_OTHER}@s.whatsapp.net", "id": "3A00000000000000000A"}
    evolution.incoming(open_instance, raw={"key": key, "message": {"conversation": "hi"}})
    own = {"remoteJid": _JID, "fromMe": True, "id": "3A00000000000000000B"}
    evolution.incoming(open_instance, raw={"key": own, "message": {"conversation": "mine"}})
    names = {data["key"]["id"]: data["pushName"] for data in _told(evolution, listener, "messages.upsert")}
    assert names == {"3A00000000000000000A": _OTHER, "3A00000000000000000B": "Você"}


@pytest.mark.parametrize("reason", ["Bad MAC", "No matching sessions found for message", "Message absent from node"])
def test_what_could_not_be_decrypted_is_told_to_nobody(
    evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str, reason: str
) -> None:
    key = {"remoteJid": _JID, "id": "3A00000000000000000A"}
    evolution.incoming(
        open_instance, raw={"key": key, "message": {"conversation": "?"}, "messageStubParameters": [f"Error: {reason}"]}
    )
    assert _told(evolution, listener, "messages.upsert") == []
    assert _records(api) == []


@pytest.mark.parametrize(
    ("name", "payload", "event"),
    [
        ("presence.update", {"id": _GROUP, "presences": {}}, "presence.update"),
        ("groups.upsert", [{"id": _GROUP}], "groups.upsert"),
        ("group-participants.update", {"id": _GROUP, "participants": [], "action": "add"}, "group-participants.update"),
    ],
)
def test_who_ignores_groups_hears_nothing_of_them(
    evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str, name: str, payload: Any, event: str
) -> None:
    evolution.emit(open_instance, name, payload)
    assert len(_told(evolution, listener, event)) == 1
    switches = ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory")
    api.post("/settings/set/shop", json={**dict.fromkeys(switches, False), "groupsIgnore": True}).raise_for_status()
    evolution.emit(open_instance, name, payload)
    evolution.incoming(open_instance, _GROUP, "hi", participant=_OTHER)
    assert len(_told(evolution, listener, event)) == 1
    assert _told(evolution, listener, "messages.upsert") == []


def test_a_change_of_a_group_is_told_under_a_name_that_nobody_can_listen_to(
    evolution: AnyFake, listener: Listener, open_instance: str
) -> None:
    evolution.emit(open_instance, "groups.update", [{"id": _GROUP}])
    evolution.emit(open_instance, "groups.upsert", [{"id": _GROUP}])
    assert len(_told(evolution, listener, "groups.upsert")) == 1
    assert _told(evolution, listener, "groups.update") == []


def test_labels_are_told_with_the_instances_name(evolution: AnyFake, listener: Listener, open_instance: str) -> None:
    evolution.emit(open_instance, "labels.edit", {"id": "1", "name": "New", "color": 2, "deleted": False})
    association = {"type": "label_jid", "chatId": _JID, "labelId": "1"}
    evolution.emit(open_instance, "labels.association", {"type": "add", "association": association})
    assert _told(evolution, listener, "labels.edit") == [
        {"id": "1", "name": "New", "color": 2, "deleted": False, "instance": "shop"}
    ]
    assert _told(evolution, listener, "labels.association") == [
        {"instance": "shop", "type": "add", "chatId": _JID, "labelId": "1"}
    ]


def test_of_several_calls_at_once_the_first_is_told(evolution: AnyFake, listener: Listener, open_instance: str) -> None:
    evolution.emit(open_instance, "call", [{"id": "one", "status": "offer"}, {"id": "two", "status": "offer"}])
    assert [data["id"] for data in _told(evolution, listener, "call")] == ["one"]


def test_the_history_tells_chats_messages_and_named_contacts(
    evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    key = {"remoteJid": _JID, "fromMe": False, "id": "OLD"}
    message = {
        "key": key,
        "message": {"conversation": "old"},
        "messageTimestamp": 1_700_000_000,
    }
    history = {
        "chats": [{"id": _JID, "name": "Maria"}],
        "contacts": [{"id": _JID, "notify": "Maria"}, {"id": f"{_OTHER}@s.whatsapp.net"}],
        "messages": [message, {**message, "key": {**key, "id": "EMPTY"}, "message": None}],
        "progress": 50,
    }
    evolution.emit(open_instance, "messaging-history.set", history)
    evolution.quiesce()
    [told] = listener.bodies("messages.set")
    assert ([row["key"]["id"] for row in told["data"]], told["data"][0]["pushName"]) == (["OLD"], "Maria")
    assert (told["progress"], "isLatest" in told) == (50, False)
    assert [body["data"][0]["name"] for body in listener.bodies("chats.set")] == ["Maria"]
    assert [row["remoteJid"] for row in _told(evolution, listener, "contacts.upsert")[0]] == [_JID]
    assert [row["message"] for row in _records(api)] == [{"conversation": "old"}]
    # What is known already is not told again.
    evolution.emit(open_instance, "messaging-history.set", {**history, "isLatest": True})
    evolution.quiesce()
    again = listener.bodies("messages.set")[-1]
    assert (again["data"], again["isLatest"]) == ([], True)
