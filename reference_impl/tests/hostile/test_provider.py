"""Rows 55 to 62: a provider that lies, hangs or lures, and people who connect in every wrong way."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from reference_impl.tests.hostile.fortress import Answer, Fortress

pytestmark = [pytest.mark.postgres, pytest.mark.process]
ACCEPTED = {"key": {"remoteJid": "5511988887777@s.whatsapp.net", "fromMe": True, "id": "WOLF0"}, "status": "PENDING"}


def an_answer(status: str, body: bytes | Any, *headers: str, length: int | None = None) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content) if length is None else length}", *headers]
    if not any(header.lower().startswith("content-type") for header in headers):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode() + content


DOUBTFUL: dict[str, bytes | None] = {
    "closes without a word": None,
    "half a head": b"HTTP/1.1 20",
    "half a body": an_answer("201 Created", b'{"key":', length=5000),
    "no http": b"hello there\r\n\r\n",
    "html": an_answer("200 OK", b"<html>fine</html>", "Content-Type: text/html"),
    "created html": an_answer("201 Created", b"<html>fine</html>"),
    "empty": an_answer("201 Created", b""),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "no id": an_answer("201 Created", {"key": {"remoteJid": "x"}}),
    "empty id": an_answer("201 Created", {"key": {"id": ""}}),
    "number as id": an_answer("201 Created", {"key": {"id": 5}}),
    "list": an_answer("201 Created", [ACCEPTED]),
    "null": an_answer("201 Created", b"null"),
    "nul in the id": an_answer("201 Created", {"key": {"id": "a\x00b"}}),
    "surrogate in the id": an_answer("201 Created", b'{"key":{"id":"\\ud800"}}'),
    "endless id": an_answer("201 Created", {"key": {"id": "x" * 100_000}}),
    "nan": an_answer("201 Created", b'{"key":NaN}'),
    "deep": an_answer("201 Created", b'{"key":' * 50_000),
    "utf-16": an_answer("201 Created", json.dumps(ACCEPTED).encode("utf-16")),
    "gzip garbage": an_answer("201 Created", b"\x1f\x8b garbage", "Content-Encoding: gzip"),
    "gzip bomb": an_answer("201 Created", gzip.compress(b"x" * 200_000_000), "Content-Encoding: gzip"),
    "thirty megabytes": an_answer("201 Created", b'{"key":"' + b"x" * 30_000_000 + b'"}'),
    "bad chunks": b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "server error": an_answer("500 Internal Server Error", {"status": 500, "error": "boom"}),
    "bad gateway": an_answer("502 Bad Gateway", b"<html>bad gateway</html>"),
    "strange 400": an_answer("400 Bad Request", {"status": 400, "response": {"message": ["Connection Closed"]}}),
    "proxy 404": an_answer("404 Not Found", b"<html>not found</html>"),
    "teapot": an_answer("418 I'm a teapot", b"{}"),
    "status 999": an_answer("999 Whatever", b"{}"),
    "early hints only": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "redirect": an_answer("302 Found", b"", "Location: http://169.254.169.254/latest/meta-data"),
}


@pytest.mark.parametrize("kind", DOUBTFUL)
def test_row_55_an_answer_that_proves_nothing_is_no_send_and_no_failure(fortress: Fortress, kind: str) -> None:
    phone = fortress.number()
    fortress.wolf.bites("/message/sendText/", DOUBTFUL[kind])
    answer = fortress.as_a("POST", "/messages", {"phone": phone, "message": "doubtful", "clientMessageId": str(uuid4())})
    assert (answer.status, answer.json()["status"]) == (202, "unknown"), answer.body
    message = fortress.as_a("GET", f"/messages/{answer.json()['internalId']}").json()
    assert (message["status"], message["messageId"], message["attempts"]) == ("unknown", None, 1)
    assert len(fortress.wolf.seen) == 1, "nothing is sent again before it is looked up"


def test_row_55_an_id_that_another_message_has_proves_nothing(fortress: Fortress) -> None:
    accepted = {"key": {"remoteJid": "5511988887777@s.whatsapp.net", "fromMe": True, "id": f"TWICE{uuid4().hex}"}}
    fortress.wolf.bites("/message/sendText/", an_answer("201 Created", accepted))
    first = fortress.as_a("POST", "/messages", {"phone": fortress.number(), "message": "one"})
    second = fortress.as_a("POST", "/messages", {"phone": fortress.number(), "message": "two"})
    assert (first.status, second.status) == (200, 202)
    assert second.json()["status"] == "unknown"


@pytest.mark.parametrize("number", range(6))
@pytest.mark.answers(502)
def test_row_55_a_certain_failure_is_told_as_one(fortress: Fortress, number: int) -> None:
    messages: list[dict[str, Any]] = [
        {"response": {"message": [{"exists": False, "number": "5511970000000", "jid": "5511970000000@s.whatsapp.net"}]}},
        {"response": {"message": [['instance requires property "canary-schema"']]}},
    ]
    body = {"status": 400, "error": "Bad Request", **messages[number % 2]}
    fortress.wolf.bites("/message/sendText/", an_answer("400 Bad Request", body))
    answer = fortress.as_a("POST", "/messages", {"phone": fortress.number(), "message": "refused"})
    assert answer.status == 502
    assert answer.json()["attempts"] == 1
    assert b"canary" not in answer.body
    assert b"5511970000000" not in answer.body


@pytest.mark.thorough
@pytest.mark.parametrize("fault", ["send-timeout-after-sending", "send-error-after-sending", "connection-reset-after-sending"])
def test_row_56_what_was_sent_behind_an_error_is_found_and_never_sent_again(fortress: Fortress, fault: str) -> None:
    phone = fortress.number()
    options = {"seconds": 7} if "timeout" in fault else {}
    fortress.control.inject(fault, instance=fortress.a.instance, count=1, **options)
    answer = fortress.as_a("POST", "/messages", {"phone": phone, "message": f"behind {fault}"})
    assert answer.status in (200, 202)
    path = f"/messages/{answer.json()['internalId']}"
    fortress.eventually(
        lambda: fortress.as_a("GET", path).json()["status"] in ("sent", "delivered", "read") or None, what="found"
    )
    assert len([send for send in fortress.control.ledger(instance=fortress.a.instance) if send["number"] == phone]) == 1


@pytest.fixture
def lure() -> Iterator[tuple[str, list[bytes]]]:
    """An address that must never be called, and what came there all the same."""
    came: list[bytes] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        listener.settimeout(0.2)
        ended = threading.Event()

        def watch() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(2)
                    came.append(connection.recv(65_536))

        thread = threading.Thread(target=watch)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", came
        ended.set()
        thread.join()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent", "300 Multiple"])
@pytest.mark.answers(502, 503)
def test_row_58_a_redirect_is_not_followed_and_takes_no_key_along(
    fortress: Fortress, lure: tuple[str, list[bytes]], status: str
) -> None:
    address, came = lure
    answer = an_answer(status, b"", f"Location: http://{address}/steal", f"Refresh: 0; url=http://{address}/steal")
    for path in ("/message/sendText/", "/instance/", "/chat/", "/webhook/"):
        fortress.wolf.bites(path, answer)
    fresh = fortress.tenant(connected=False)
    fortress.as_a("POST", "/messages", {"phone": fortress.number(), "message": "lured"})
    connect = fortress.ask("POST", f"/units/{fresh.id}/whatsapp/connect", {"provider": "evolution"}, headers=fresh.headers)
    assert connect.status == 502
    fortress.as_a("DELETE", f"/units/{fortress.a.id}/whatsapp/disconnect")
    fortress.ask("GET", "/ready")
    assert came == []
    assert fortress.wolf.seen


ADDRESSES = [
    "http://{lure}",
    "http://[::ffff:127.0.0.1]:{port}",
    "http://0x7f.1:{port}",
    "http://2130706433:{port}",
    "http://user@{lure}",
    "http://localhost:{port}",
    "http://0:{port}",
    "http://127.1:{port}",
    "//{lure}",
    "file:///etc/passwd",
    "gopher://{lure}/_GET",
    "ftp://{lure}",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_row_59_no_address_of_a_tenant_is_ever_called(fortress: Fortress, lure: tuple[str, list[bytes]], address: str) -> None:
    where, came = lure
    url = address.format(lure=where, port=where.partition(":")[2])
    names = "url apiUrl baseUrl serverUrl webhook webhookUrl host proxy callback instanceName token"
    named = dict.fromkeys(names.split(), url)
    fresh = fortress.tenant(connected=False)
    body = {"provider": "evolution", "credentials": named, **named}
    answer = fortress.ask("POST", f"/units/{fresh.id}/whatsapp/connect", body, headers=fresh.headers | {"Host": where})
    assert answer.status in (201, 422)
    for path, more in (
        ("/messages", {"phone": fortress.number(), "message": url, "mediaUrl": url, "callbackUrl": url}),
        ("/contacts", {"phone": fortress.number(), "name": url, "avatarUrl": url}),
        ("/api/campaigns", {"name": url, "content": url, "contactIds": [fortress.a.ids["contact_id"]], "mediaUrl": url}),
    ):
        assert fortress.as_a("POST", path, more).status in (200, 201, 422)
    media = {"imageMessage": {"url": url, "directPath": url, "caption": url}}
    assert (
        fortress.deliver(
            fortress.a, "messages.upsert", fortress.upsert(fortress.number(), str(uuid4()), message=media), server_url=url
        ).status
        == 200
    )
    assert came == []
    for call in fortress.control.requests(path="/instance/create"):
        assert where not in json.dumps(call["body"])


@pytest.mark.parametrize(
    "provider", ["Evolution", "evolution ", "", "x" * 65, 5, None, [], {}, "\x00", "twilio", "http://127.0.0.1"]
)
def test_row_59_a_provider_that_is_none(fortress: Fortress, provider: Any) -> None:
    fresh = fortress.b
    answer = fortress.ask("POST", f"/units/{fresh.id}/whatsapp/connect", {"provider": provider}, headers=fresh.headers)
    assert answer.status in (400, 422)


def test_row_61_parallel_connects_make_one_instance(fortress: Fortress) -> None:
    fresh = fortress.tenant(connected=False)
    path = f"/units/{fresh.id}/whatsapp/connect"

    def connect(_: int) -> Answer:
        return fortress.ask("POST", path, {"provider": "evolution", "credentials": {}}, headers=fresh.headers)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(connect, range(10)))
    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.json()["connection"]["id"] for answer in answers if answer.status == 201}) == 1
    creates = [
        call for call in fortress.control.requests(path="/instance/create") if call["body"]["instanceName"] == fresh.instance
    ]
    assert len(creates) == 1
    again = connect(0)
    assert again.status == 201
    assert again.json()["connection"]["id"] == next(a for a in answers if a.status == 201).json()["connection"]["id"]


def test_row_61_connect_while_open_after_disconnect_and_a_qr_of_another_unit(fortress: Fortress) -> None:
    fresh = fortress.tenant()
    path = f"/units/{fresh.id}/whatsapp"
    open_again = fortress.ask("POST", f"{path}/connect", {"provider": "evolution"}, headers=fresh.headers)
    assert (open_again.status, open_again.json()["connection"]["status"]) == (201, "connected")
    assert fortress.ask("GET", f"{path}/qrcode", headers=fresh.headers).status == 404
    assert fortress.ask("DELETE", f"{path}/disconnect", headers=fresh.headers).status == 200
    anew = fortress.ask("POST", f"{path}/connect", {"provider": "evolution"}, headers=fresh.headers)
    assert anew.status == 201
    assert anew.json()["connection"]["id"] == open_again.json()["connection"]["id"]
    assert fortress.as_a("GET", f"{path}/qrcode").status == 404
    assert fortress.ask("GET", f"{path}/qrcode", headers=fresh.headers).status == 200


def test_row_62_a_qr_is_in_no_log_no_measurement_and_no_cache(fortress: Fortress) -> None:
    fresh = fortress.tenant(connected=False)
    path = f"/units/{fresh.id}/whatsapp"
    connected = fortress.ask("POST", f"{path}/connect", {"provider": "evolution"}, headers=fresh.headers)
    shown = fortress.ask("GET", f"{path}/qrcode", headers=fresh.headers)
    status = fortress.ask("GET", f"{path}/status", headers=fresh.headers)
    for answer in (connected, shown, status):
        assert answer.headers["cache-control"] == "no-store"
    qr = shown.json()["qrcode"].partition("base64,")[2]
    assert len(qr) > 100
    measured = fortress.ask("GET", "/metrics", headers={"Authorization": f"Bearer {fortress.environment['METRICS_TOKEN']}"})
    assert measured.status == 200
    for text in (fortress.outputs(), measured.body.decode()):
        assert qr[:60] not in text
