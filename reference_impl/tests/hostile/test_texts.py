"""Rows 21 to 31: keys, texts and phones that nobody should write, and some that people do."""

from __future__ import annotations

import base64
import json
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from reference_impl.tests.hostile.fortress import Fortress

pytestmark = [pytest.mark.postgres, pytest.mark.process]
JSON = {"Content-Type": "application/json"}


def sent_to(fortress: Fortress, phone: str) -> list[dict[str, Any]]:
    return [send for send in fortress.control.ledger(instance=fortress.a.instance) if send["number"] == phone]


def test_row_21_fifty_of_one_key_at_once_are_one_send(fortress: Fortress) -> None:
    phone, key = fortress.number(), str(uuid4())
    body = {"phone": phone, "message": "once", "clientMessageId": key}
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: fortress.as_a("POST", "/messages", body), range(50)))
    assert {answer.status for answer in answers} <= {200, 409}
    found = {answer.json().get("internalId") or answer.json()["details"]["internalId"] for answer in answers}
    assert len(found) == 1
    assert all("retry-after" in answer.headers for answer in answers if answer.status == 409)
    assert len(sent_to(fortress, phone)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"message": "other"},
        {"phone": "5511988880001"},
        {"message": "once "},
        {"message": 5},
        {"message": None},
        {"phone": 5511988880002},
    ],
)
def test_row_22_one_key_with_other_contents(fortress: Fortress, change: dict[str, Any]) -> None:
    phone, key = fortress.number(), str(uuid4())
    body = {"phone": phone, "message": "once", "clientMessageId": key}
    first = fortress.as_a("POST", "/messages", body).json()
    assert fortress.as_a("POST", "/messages", body | change).status == 422
    again = fortress.as_a("POST", "/messages", body).json()
    assert (again["internalId"], again["deduplicated"]) == (first["internalId"], True)
    assert [send["text"] for send in sent_to(fortress, phone)] == ["once"]


def test_row_23_one_key_while_the_first_is_in_flight(fortress: Fortress) -> None:
    phone, key = fortress.number(), str(uuid4())
    body = {"phone": phone, "message": "slowly", "clientMessageId": key}
    fortress.control.inject("slow-answer", route="message/sendText", instance=fortress.a.instance, count=1, seconds=2)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(fortress.as_a, "POST", "/messages", body)
        fortress.eventually(
            lambda: fortress.control.requests(path=f"/message/sendText/{fortress.a.instance}", number=phone) or None,
            what="the first is in flight",
        )
        second = fortress.as_a("POST", "/messages", body)
        first = running.result()
    assert first.status == 200
    assert second.status == 409
    assert second.json()["details"]["internalId"] == first.json()["internalId"]
    assert len(sent_to(fortress, phone)) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("key", ["", " ", "\x00", "a\x00b", "\n", "k" * 201, "\ud800", 5, [], {}, True, "\u202e", "\x1b[31m"])
def test_row_23_a_key_that_is_none(fortress: Fortress, key: Any) -> None:
    body = {"phone": fortress.number(), "message": "x", "clientMessageId": key}
    answer = fortress.as_a("POST", "/messages", content=json.dumps(body).encode(), headers=JSON)
    assert answer.status in ((200,) if key == " " else (400, 422))


@pytest.mark.thorough
@pytest.mark.parametrize("path", ["/messages", "/contacts", "/api/campaigns", "/admin/units", "/admin/users", "/admin/login"])
@pytest.mark.parametrize(
    "encoding",
    [
        "nul",
        "surrogate",
        "half pair",
        "invalid utf-8",
        "overlong",
        "latin-1",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "bom",
        "utf-7",
        "cesu",
    ],
)
def test_row_25_text_that_is_no_unicode(fortress: Fortress, path: str, encoding: str) -> None:
    text = {"nul": "a\x00b", "surrogate": "a\ud800b", "half pair": "\udc00\ud800"}.get(encoding, "é")
    body: dict[str, Any] = dict.fromkeys(("message", "name", "content", "email", "password", "slug"), text)
    body |= {"phone": fortress.number(), "contactIds": [fortress.a.ids["contact_id"]], "role": "super_admin"}
    written = json.dumps(body).encode()
    plain = json.dumps(body, ensure_ascii=False) if encoding not in ("nul", "surrogate", "half pair") else ""
    wrong = {
        "nul": written,
        "surrogate": written,
        "half pair": written,
        "invalid utf-8": plain.encode().replace("é".encode(), b"\xff\xfe"),
        "overlong": plain.encode().replace("é".encode(), b"\xc0\x80"),
        "cesu": plain.encode().replace("é".encode(), b"\xed\xa0\x80\xed\xb0\x80"),
        "utf-7": plain.encode("utf-7"),
        "bom": b"\xef\xbb\xbf" + plain.encode(),
    }
    content = wrong[encoding] if encoding in wrong else plain.encode(encoding)
    answer = fortress.ask(
        "POST", path, content=content, headers=fortress.admin | JSON if path.startswith("/admin") else fortress.a.headers | JSON
    )
    assert 400 <= answer.status < 500 or encoding == "utf-7", f"{encoding}: {answer.status}"
    if encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "bom"):
        assert answer.status == 400, "one documented answer for other encodings of JSON"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\t ",
        "\u200b\u200b",
        "\u200d",
        "\ufeff",
        "\u2060",
        "\u00a0\u3000",
        "\u2800",
        "\u180e",
        "x" * 65_537,
        "é" * 65_537,
        "👍" * 65_537,
        5,
        None,
        [],
        {},
        True,
        1.5,
    ],
    ids=lambda text: repr(text)[:12],
)
def test_row_26_a_text_that_nobody_can_see_or_that_is_too_long(fortress: Fortress, text: Any) -> None:
    assert fortress.as_a("POST", "/messages", {"phone": fortress.number(), "message": text}).status == 422
    campaign = {"name": "n", "content": text, "contactIds": [fortress.a.ids["contact_id"]]}
    assert fortress.as_a("POST", "/api/campaigns", campaign).status == 422


STORED = {
    "emoji": "👨‍👩‍👧‍👦🏳️‍🌈",
    "rtl": "abc\u202edef\u202c",
    "combining": "Z" + "\u0300\u0301\u0302" * 300,
    "decomposed": unicodedata.normalize("NFD", "ação é São Paulo"),
    "arabic": "مرحبا بالعالم",
    "spaces": "  kept  \n\t ",
    "longest": "👍" * 65_536,
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "crlf": "a\r\nb\rc",
    "bell": "a\x07b\x1b[31mred\x1b[0m",
    "noncharacter": "a\uffffb\ufdd0",
    "private": "\ue000\U0010ffff",
}


@pytest.mark.parametrize("kind", STORED)
def test_row_26_a_text_is_stored_and_sent_as_written(fortress: Fortress, kind: str) -> None:
    text, phone = STORED[kind], fortress.number()
    answer = fortress.as_a("POST", "/messages", {"phone": phone, "message": text})
    assert answer.status == 200, answer.body[:200]
    assert fortress.as_a("GET", f"/messages/{answer.json()['internalId']}").json()["content"] == text
    assert [send["text"] for send in sent_to(fortress, phone)] == [text]


INJECTIONS = [
    'canary-text\r\n{"level": "error", "message": "forged"}',
    "canary-text\n2026-11-22 ERROR forged line",
    "canary-text\u2028forged\u2029forged",
    "canary-text\x1b[2J\x1b]0;title\x07",
    "canary-text %s %d %n %(password)s",
    "canary-text ${jndi:ldap://127.0.0.1/a} ${env:JWT_ACCESS_SECRET}",
    "canary-text {0.__class__.__init__.__globals__} {self._settings}",
    "canary-text {{7*7}} <%= 7*7 %> #{7*7}",
    "canary-text $(id) `id` ; id | id",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_row_27_a_text_forges_no_log_line(fortress: Fortress, text: str) -> None:
    phone = fortress.number()
    assert fortress.as_a("POST", "/messages", {"phone": phone, "message": text, "clientMessageId": "x"}).status in (200, 422)
    fortress.as_a("POST", "/contacts", {"phone": phone, "name": text})
    fortress.ask("POST", "/admin/login", {"email": f"{text}@x.yz", "password": text})
    fortress.as_a("GET", f"/messages/{quote(text, safe='')}")
    fortress.as_a("GET", f"/contacts?cursor={quote(text, safe='')}")
    fortress.ask("POST", f"/webhooks/whatsapp/evolution/{quote(text, safe='')}", {"event": text, "instance": text, "data": text})
    fortress.deliver(fortress.a, text, {"x": text})
    fortress.deliver(fortress.a, "messages.upsert", fortress.upsert(phone, str(uuid4()), text, pushName=text))
    fortress.ask("GET", "/health", headers={"User-Agent": quote(text), "X-Request-Id": quote(text), "Referer": quote(text)})
    written = fortress.outputs(new_only=True)
    assert "forged" not in written
    assert "canary-text" not in written
    assert "\x1b" not in written
    for line in written.splitlines():
        assert "message" in json.loads(line)


SQL = [
    "' OR '1'='1",
    "'; DROP TABLE messages; --",
    '" OR ""="',
    "1; SELECT pg_sleep(10)",
    "1' AND (SELECT 1 FROM pg_sleep(5)) --",
    "\\'; SELECT 1; --",
    "%' OR 1=1 --",
    "$$; SELECT 1; $$",
    "/* */ UNION SELECT password_hash FROM users",
    '{"$ne": null}',
    "') ON CONFLICT DO NOTHING; --",
    "app.scope = 'system'",
]


@pytest.mark.parametrize("text", SQL)
def test_row_28_sql_is_a_text_like_any_other(fortress: Fortress, text: str) -> None:
    phone = fortress.number()
    before = fortress.rows("SELECT count(*) AS n FROM messages")[0]["n"]
    answer = fortress.as_a("POST", "/messages", {"phone": phone, "message": text, "clientMessageId": text})
    assert answer.status in (200, 422)
    if answer.status == 200:
        assert [send["text"] for send in sent_to(fortress, phone)] == [text]
    assert fortress.as_a("POST", "/messages", {"phone": text, "message": "x"}).status == 422
    assert fortress.as_a("POST", "/contacts", {"phone": phone, "name": text}).json()["name"] == text
    cursor = base64.urlsafe_b64encode(f"{text}|{text}".encode()).decode().rstrip("=")
    for query in ("cursor", "limit"):
        assert fortress.as_a("GET", f"/contacts?{query}={quote(text)}").status == 422
        assert fortress.as_a("GET", f"/contacts?{query}={quote(cursor)}").status == 422
    for name in ("sort", "order", "filter", "where", "q", "fields"):
        plain, asked = fortress.as_a("GET", "/contacts?limit=1"), fortress.as_a("GET", f"/contacts?limit=1&{name}={quote(text)}")
        assert (asked.status, asked.body) == (200, plain.body)
    assert fortress.deliver(fortress.a, "messages.upsert", fortress.upsert(phone, "K" + quote(text)[:100], text)).status == 200
    ghost = {"event": "messages.upsert", "instance": text, "data": {}}
    assert fortress.ask("POST", f"/webhooks/whatsapp/evolution/{quote(text, safe='')}", ghost).status in (200, 401)
    assert fortress.rows("SELECT count(*) AS n FROM messages")[0]["n"] <= before + 2


@pytest.mark.thorough
@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+00:00",
        "9999-12-31T23:59:59+00:00",
        "2026-01-01",
        "nan",
        "2026-02-30T00:00:00+00:00",
    ],
)
@pytest.mark.parametrize("path", ["/contacts", "/conversations", "/api/campaigns", "conversation"])
def test_row_28_a_cursor_made_by_hand(fortress: Fortress, moment: str, path: str) -> None:
    target = f"/conversations/{fortress.a.ids['conversation_id']}/messages" if path == "conversation" else path
    for identity in (str(uuid4()), "0" * 32, "x", "", "\u0660", "{" + str(uuid4()) + "}"):
        cursor = base64.urlsafe_b64encode(f"{moment}|{identity}".encode()).decode().rstrip("=")
        assert fortress.as_a("GET", f"{target}?cursor={cursor}").status in (200, 422)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "limit", ["0", "-1", "101", "1e2", "1.0", "0x10", "٣", "null", "9" * 400, "1&limit=1000", "", "+5", " 5", "%00", "NaN"]
)
def test_row_28_a_limit_that_is_none(fortress: Fortress, limit: str) -> None:
    for path in ("/contacts", "/conversations", "/api/campaigns"):
        answer = fortress.as_a("GET", f"{path}?limit={limit}")
        assert answer.status in (200, 422)
        if answer.status == 200:
            assert len(answer.json()["items"]) <= 100


REFUSED = [
    "abc",
    "+",
    "",
    " ",
    "123",
    "1111111111111111111111111111111111111111",
    "1111111111111111",
    "120363041234567890@g.us",
    "status@broadcast",
    "123456789@lid",
    "5511988887777@s.whatsapp.net",
    "\u0665\u0665\u0661\u0661\u0669\u0668\u0668\u0668\u0668\u0667\u0667\u0667\u0667",
    "\uff15\uff15\uff11\uff11\uff19\uff18\uff18\uff18\uff18\uff17\uff17\uff17\uff17",
    "55 11 9888\u096e7777",
    "0",
    "00",
    "+0",
    "-5511988887777x",
    "5511988887777,5511988887778",
    "5511988887777;5511988887778",
    "\x005511988887777",
    "tel:+5511988887777",
    "5511988887777 ext 5",
    "0x1F",
    "1e12",
    "++5511988887777",
    "+55+11988887777",
    "broadcast",
    "null",
    "undefined",
    5511988887777,
    5500000000000.0,
    None,
    True,
    [],
    ["5511988887777"],
    {},
    {"number": "5511988887777"},
    "5511988887777\u202e",
    "551198888\u200b7777",
    "@s.whatsapp.net",
]


@pytest.mark.thorough
@pytest.mark.parametrize("phone", REFUSED, ids=repr)
def test_row_31_a_phone_that_is_none(fortress: Fortress, phone: Any) -> None:
    before = len(fortress.control.ledger(instance=fortress.a.instance))
    sent = fortress.as_a("POST", "/messages", {"phone": phone, "message": "never sent"})
    assert sent.status == 422
    assert fortress.as_a("POST", "/contacts", {"phone": phone}).status == 422
    assert len(fortress.control.ledger(instance=fortress.a.instance)) == before


def test_row_31_a_brazilian_phone_in_all_its_forms_is_one_number(fortress: Fortress) -> None:
    digits = fortress.number()
    local = digits[2:]
    forms = (
        digits,
        f"+{digits}",
        f"+55 ({digits[2:4]}) {digits[4:9]}-{digits[9:]}",
        local,
        f"({digits[2:4]}) {digits[4:]}",
        f"00{digits}",
        f" {digits} ",
    )
    found = {fortress.as_a("POST", "/contacts", {"phone": form}).json()["id"] for form in forms}
    without_ninth = digits[:4] + digits[5:]
    found.add(fortress.as_a("POST", "/contacts", {"phone": without_ninth}).json()["id"])
    assert len(found) == 1
