from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl.domain.connections import EventKind
from reference_impl.domain.messages import MessageStatus
from reference_impl.domain.webhooks import (
    InboundMessage,
    MalformedEventError,
    NoInstanceError,
    StatusUpdate,
    connection_event,
    echo,
    inbound_messages,
    parse_event,
    status_updates,
    strip_secrets,
)

JID = "5511988887777@s.whatsapp.net"


def an_entry(message: Any, **key: Any) -> dict[str, Any]:
    return {
        "key": {"remoteJid": JID, "fromMe": False, "id": "3A01"} | key,
        "pushName": "Maria",
        "message": message,
        "messageTimestamp": 1795357299,
    }


def only(data: Any) -> InboundMessage:
    (found,) = inbound_messages(data)
    assert isinstance(found, InboundMessage)
    return found


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe{",
        '{"event":"x","instance":"i"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"event":"x","instance":"i"}',
        b'{"event":"x","instance":"i","data":NaN}',
        b'{"event":"x","instance":"i","data":Infinity}',
        b'{"event":"x","instance":"i","data":1e400}',
        b'{"event":"x","instance":5}',
        b'{"event":"x","instance":"a\\u0000b"}',
        b'{"event":7,"instance":"i"}',
        b'{"instance":"i"}',
        b'{"event":"x","instance":"i","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"event":"x","instance":"i","data":' + b"9" * 10_000 + b"}",
    ],
)
def test_a_body_that_is_no_event_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedEventError):
        parse_event(raw)


@pytest.mark.parametrize("raw", [b"{}", b'{"event":"x"}', b'{"event":"x","instance":""}', b'{"event":"x","instance":null}'])
def test_a_body_without_instance_says_so(raw: bytes) -> None:
    with pytest.raises(NoInstanceError):
        parse_event(raw)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_one_of_two_errors(raw: bytes) -> None:
    try:
        parse_event(raw)
    except (MalformedEventError, NoInstanceError):
        return


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["key", "id", "remoteJid", "fromMe", "message", "conversation", "imageMessage", "caption", "status", "keyId", "x"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(json_values)
def test_any_data_gives_messages_updates_or_errors(data: Any) -> None:
    for found in inbound_messages(data):
        assert isinstance(found, InboundMessage | MalformedEventError)
    for update in status_updates(data):
        assert isinstance(update, StatusUpdate | MalformedEventError)
    echo(data)


@pytest.mark.parametrize(
    ("content", "kind", "text", "caption"),
    [
        ({"conversation": "Oi"}, "text", "Oi", None),
        ({"conversation": "Oi", "messageContextInfo": {}}, "text", "Oi", None),
        ({"extendedTextMessage": {"text": "Oi"}}, "text", "Oi", None),
        ({"ephemeralMessage": {"message": {"extendedTextMessage": {"text": "Oi"}}}}, "text", "Oi", None),
        ({"viewOnceMessage": {"message": {"imageMessage": {"caption": "c", "mimetype": "image/png"}}}}, "image", "c", "c"),
        ({"imageMessage": {"mimetype": "image/jpeg"}}, "image", "", None),
        ({"videoMessage": {"caption": "v"}}, "video", "v", "v"),
        ({"audioMessage": {}}, "audio", "", None),
        ({"documentMessage": {"caption": "d"}}, "document", "d", "d"),
        ({"stickerMessage": {}}, "sticker", "", None),
        ({"locationMessage": {"name": "Home"}}, "location", "Home", None),
    ],
)
def test_each_kind_of_message_keeps_type_text_and_caption(content: Any, kind: str, text: str, caption: str | None) -> None:
    found = only(an_entry(content))
    assert (found.message_type, found.text, found.caption) == (kind, text, caption)
    assert (found.phone, found.lid, found.push_name, found.external_id) == ("5511988887777", None, "Maria", "3A01")


@pytest.mark.parametrize("shape", ["object", "list", "messages"])
def test_every_entry_counts_whatever_the_shape(shape: str) -> None:
    entries = [an_entry({"conversation": "a"}, id="1"), an_entry({"conversation": "b"}, id="2")]
    data: Any = {"object": entries[0], "list": entries, "messages": {"messages": entries}}[shape]
    found = [entry.text for entry in inbound_messages(data) if isinstance(entry, InboundMessage)]
    assert found == (["a"] if shape == "object" else ["a", "b"])


@pytest.mark.parametrize(
    "key",
    [
        {"fromMe": True},
        {"remoteJid": "status@broadcast"},
        {"remoteJid": "120363041234567890@g.us"},
        {"remoteJid": "1@newsletter"},
    ],
)
def test_what_no_customer_wrote_is_no_inbound_message(key: dict[str, Any]) -> None:
    assert list(inbound_messages(an_entry({"conversation": "x"}, **key))) == []


@pytest.mark.parametrize("content", [{"reactionMessage": {"text": "👍"}}, {"protocolMessage": {}}, {"editedMessage": {}}])
def test_what_comments_another_message_is_none_itself(content: Any) -> None:
    assert list(inbound_messages(an_entry(content))) == []


@pytest.mark.parametrize(
    "entry",
    [
        None,
        5,
        {},
        {"key": None},
        an_entry(None),
        an_entry({"conversation": 5}),
        an_entry({"conversation": "a\x00b"}),
        an_entry({"conversation": "\ud800"}),
        an_entry({"futureMessage": {}}),
        an_entry({"conversation": "x"}, id=None),
        an_entry({"conversation": "x"}, id=""),
        an_entry({"conversation": "x"}, remoteJid="abc@s.whatsapp.net"),
        an_entry({"conversation": "x"}, remoteJid="5511988887777:\x00@s.whatsapp.net"),
    ],
)
def test_one_poison_entry_is_told_and_the_rest_goes_on(entry: Any) -> None:
    found = list(inbound_messages([entry, an_entry({"conversation": "good"}, id="good")]))
    assert isinstance(found[0], MalformedEventError)
    assert isinstance(found[1], InboundMessage)


def test_a_hidden_id_with_its_phone_is_that_phone() -> None:
    found = only(an_entry({"conversation": "x"}, remoteJid="98765@lid", remoteJidAlt=JID))
    assert (found.phone, found.lid) == ("5511988887777", None)


def test_a_hidden_id_without_phone_stays_hidden() -> None:
    found = only(an_entry({"conversation": "x"}, remoteJid="98765@lid"))
    assert (found.phone, found.lid) == (None, "98765")


@pytest.mark.parametrize(
    "data",
    [
        {"keyId": "3EB0", "fromMe": True, "status": "DELIVERY_ACK", "messageId": "cuid"},
        {"key": {"id": "3EB0", "fromMe": True}, "update": {"status": 3}},
        {"key": {"id": "3EB0"}, "status": "DELIVERY_ACK"},
        [{"keyId": "3EB0", "status": "DELIVERY_ACK"}],
    ],
)
def test_an_update_is_understood_in_each_of_its_forms(data: Any) -> None:
    assert list(status_updates(data)) == [StatusUpdate(external_id="3EB0", status=MessageStatus.DELIVERED)]


@pytest.mark.parametrize("data", [{"keyId": "3A", "fromMe": False, "status": "READ"}, {"keyId": "3A", "status": "DELETED"}])
def test_an_update_about_nothing_of_ours_is_passed_over(data: Any) -> None:
    assert list(status_updates(data)) == []


@pytest.mark.parametrize(
    ("event", "data", "kind"),
    [
        ("connection.update", {"state": "connecting", "statusReason": 200}, EventKind.CONNECTING),
        ("connection.update", {"state": "open", "wuid": JID}, EventKind.OPEN),
        ("connection.update", {"state": "close", "statusReason": 401}, EventKind.CLOSE),
        ("connection.update", {"state": "refused", "statusReason": 428}, EventKind.QR_EXPIRED),
        ("qrcode.updated", {"qrcode": {"base64": "data:image/png;base64,AA"}}, EventKind.QR),
        ("qrcode.updated", {"message": "limit", "statusCode": 500}, EventKind.QR_EXPIRED),
        ("QRCODE_UPDATED", {"message": "limit", "statusCode": 500}, EventKind.QR_EXPIRED),
    ],
)
def test_a_connection_event_is_read(event: str, data: Any, kind: EventKind) -> None:
    body = {"event": event, "instance": "unit_x", "data": data, "date_time": "2026-11-22T11:34:36.000Z"}
    found = connection_event(parse_event(json.dumps(body).encode()))
    assert found is not None
    assert found.kind is kind
    assert found.occurred_at is not None
    assert (found.phone, found.code) == (
        "5511988887777" if kind is EventKind.OPEN else None,
        401 if kind is EventKind.CLOSE else None,
    )


@pytest.mark.parametrize(
    "raw",
    [
        b'{"apikey":"abc\\"CANARY","data":1}',
        b'{"apikey":"CANARY\\\\","data":"x"}',
        b'{"\\u0061pi\\u004Bey" : "CANARY"}',
        b'{"API_KEY":"CANARY"}',
        b'{"hash":"CANARY","data":{"accessToken":"CANARY","password":"CANARY","webhookSecret":"CANARY"}}',
        json.dumps({"data": json.dumps({"apikey": 'a"CANARY', "next": "kept"})}).encode(),
        json.dumps({"data": json.dumps({"data": json.dumps({"token": "CANARY"})})}).encode(),
        b'{"data":{"qrcode":{"code":"CANARY","base64":"data:image/png;base64,CANARY","pairingCode":"CANARY"}}}',
        '{"apikey":"CANARY"}'.encode("utf-16"),
        '{"apikey":"CANARY"}'.encode("utf-16-le"),
        '{"apikey":"CANARY"}'.encode("utf-16-be"),
        b'{"apikey":"CANARY',
        b"key is CANARY-VALUE",
        "key is CANARY-VALUE".encode("utf-16-be"),
    ],
)
def test_a_secret_is_stripped_however_it_is_written(raw: bytes) -> None:
    stripped = strip_secrets(raw, ("CANARY-VALUE",))
    assert b"CANARY" not in stripped.replace(b"\0", b"")
    assert b"[MASKED]" in stripped


@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.one_of(st.none(), st.integers(), st.text(max_size=20)),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz", max_size=4), inner, max_size=3),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_bytes_without_a_secret_are_kept_as_they_are(raw: bytes) -> None:
    assert strip_secrets(raw, ("CANARY-VALUE",)) == raw


def test_stored_bytes_hold_no_secret() -> None:
    raw = b'{"apikey":"INSTANCE-TOKEN","destination":"http://h/webhooks/whatsapp/evolution/path-secret","x":"known-secret"}'
    stripped = strip_secrets(raw, ("known-secret",))
    for secret in (b"INSTANCE-TOKEN", b"path-secret", b"known-secret"):
        assert secret not in stripped
    assert json.loads(stripped)
