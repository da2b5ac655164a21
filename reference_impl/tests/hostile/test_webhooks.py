"""Rows 39 to 54: deliveries that are forged, repeated, out of order, poisoned, or far too many."""

from __future__ import annotations

import base64
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reference_impl.tests.hostile.fortress import Fortress, Tenant, resident_mb
from reference_impl.tests.system.conftest import System
from reference_impl.tests.system.test_webhooks import an_upsert

pytestmark = [pytest.mark.postgres, pytest.mark.process]


def inbound(fortress: Fortress, tenant: Tenant, identity: str) -> list[dict[str, Any]]:
    return fortress.rows("SELECT * FROM messages WHERE unit_id = :unit AND external_id = :id", unit=tenant.id, id=identity)


def quarantined(fortress: Fortress, tenant: Tenant) -> int:
    found = fortress.rows("SELECT count(*) AS n FROM webhook_quarantine WHERE unit_id = :unit", unit=tenant.id)
    return int(found[0]["n"])


def test_row_39_a_secret_that_is_wrong_in_every_way(fortress: Fortress) -> None:
    right, identity = fortress.a.secret, str(uuid4())
    body = {
        "event": "messages.upsert",
        "instance": fortress.a.instance,
        "data": fortress.upsert(fortress.number(), identity),
    }
    wrong = [
        right + "x",
        "x" + right,
        right[:-1],
        right[1:],
        right.swapcase(),
        right.lower() + "_",
        right[::-1],
        fortress.b.secret,
        "None",
        "null",
        "undefined",
        "%00",
        f"{right}%00",
        f"{right}%20",
        f"{right}%0a",
        f"%20{right}",
        "%ff%fe",
        "é",
        "*",
        ".",
        right[: len(right) // 2],
        "x" * 5000,
        quote("' OR '1'='1"),
    ]
    for secret in wrong:
        answer = fortress.ask("POST", f"/webhooks/whatsapp/evolution/{secret}", body)
        assert answer.status in (401, 404), f"{secret[:20]}: {answer.status}"
    for path in (
        "/webhooks/whatsapp/evolution",
        "/webhooks/whatsapp/evolution/",
        f"/webhooks/whatsapp/evolution?secret={right}",
        f"/webhooks/whatsapp/evolution/?secret={right}",
        f"/webhooks/whatsapp/evolution/x?secret={right}",
        f"/webhooks/whatsapp/evolution/{right}/",
        f"/webhooks/whatsapp/evolution//{right}",
        f"/webhooks/whatsapp/evolution/{right}/x",
        f"/WEBHOOKS/whatsapp/evolution/{right}",
    ):
        assert fortress.ask("POST", path, body).status == 401, path
    for headers in ({"apikey": right}, {"Authorization": f"Bearer {right}"}, {"X-Webhook-Secret": right}):
        assert fortress.ask("POST", "/webhooks/whatsapp/evolution/wrong", body, headers=headers).status == 401
    assert not inbound(fortress, fortress.a, identity)
    assert fortress.ask("POST", f"/webhooks/whatsapp/evolution/{right}", body).status == 200


@pytest.mark.thorough
def test_row_39_the_time_tells_nothing_about_a_secret(fortress: Fortress) -> None:
    right = fortress.a.secret
    guesses = {"first wrong": "!" + right[1:], "last wrong": right[:-1] + "!", "all wrong": "!" * len(right)}
    times: dict[str, list[float]] = {kind: [] for kind in guesses}
    body = {"event": "presence.update", "instance": fortress.a.instance, "data": {}}
    for _ in range(40):
        for kind, secret in guesses.items():
            begun = time.perf_counter()
            assert fortress.ask("POST", f"/webhooks/whatsapp/evolution/{secret}", body).status == 401
            times[kind].append(time.perf_counter() - begun)
    medians = sorted(statistics.median(found) for found in times.values())
    assert medians[-1] < 1.6 * medians[0], medians


@pytest.mark.parametrize(
    "provider", ["Evolution", "EVOLUTION", "evolution2", "twilio", "..", "%2e%2e", "null", "é", "evolution%00"]
)
def test_row_39_a_provider_that_is_none(fortress: Fortress, provider: str) -> None:
    answer = fortress.ask("POST", f"/webhooks/whatsapp/{provider}/{fortress.a.secret}", {"instance": fortress.a.instance})
    assert answer.status in (400, 401)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_row_39_another_method(fortress: Fortress, method: str) -> None:
    assert fortress.ask(method, f"/webhooks/whatsapp/evolution/{fortress.a.secret}").status == 405


@pytest.mark.parametrize(
    "instance",
    ["other", "unit_", "unit_%", "b's", "unit upper", {"instanceName": "b's"}, ["b's"], 5, "unit\x00", "\ud800", "u" * 10_000],
)
def test_row_39_an_instance_that_the_secret_is_not_of(fortress: Fortress, instance: Any) -> None:
    named = json.loads(
        json.dumps(instance).replace("b's", fortress.b.instance).replace("unit upper", fortress.a.instance.upper())
    )
    identity = str(uuid4())
    body = {"event": "messages.upsert", "instance": named, "data": fortress.upsert(fortress.number(), identity)}
    content = json.dumps(body).encode()
    answer = fortress.deliver_raw(fortress.a, content)
    assert answer.status in (200, 401)
    assert not inbound(fortress, fortress.b, identity)
    assert fortress.b.id.encode() not in answer.body


def test_row_43_one_recorded_body_a_hundred_times(fortress: Fortress) -> None:
    identity, phone = str(uuid4()), fortress.number()
    first = fortress.deliver(fortress.a, "messages.upsert", fortress.upsert(phone, identity))
    assert first.json() == {"success": True, "received": True}
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(
            lambda number: fortress.deliver(
                fortress.a,
                "messages.upsert",
                fortress.upsert(phone, identity, messageTimestamp=1795357299 + number * 3600),
                date_time=f"2026-11-{1 + number % 28:02d}T00:00:00.000Z",
            ),
            range(100),
        ):
            assert answer.json() == {"success": True, "received": True, "duplicate": True}
    assert len(inbound(fortress, fortress.a, identity)) == 1


def test_row_44_equal_deliveries_at_once_on_two_workers(fortress: Fortress) -> None:
    identities = [str(uuid4()) for _ in range(6)]
    phone = fortress.number()
    with ThreadPoolExecutor(24) as pool:
        answers = list(
            pool.map(
                lambda number: fortress.deliver(fortress.a, "messages.upsert", fortress.upsert(phone, identities[number % 6])),
                range(48),
            )
        )
    assert {answer.status for answer in answers} == {200}
    assert all(len(inbound(fortress, fortress.a, identity)) == 1 for identity in identities)
    found = fortress.rows(
        "SELECT count(*) AS n FROM conversations c JOIN contacts k ON k.id = c.contact_id WHERE k.phone = :phone", phone=phone
    )
    assert found[0]["n"] == 1


def test_row_45_twins_are_one_row_and_other_instances_are_others(fortress: Fortress) -> None:
    identity, phone = str(uuid4()), fortress.number()
    fortress.deliver(fortress.a, "messages.upsert", fortress.upsert(phone, identity))
    lid = fortress.upsert(phone, identity, key={"remoteJid": "77777@lid", "remoteJidAlt": f"{phone}@s.whatsapp.net"})
    assert fortress.deliver(fortress.a, "messages.upsert", lid).json()["duplicate"] is True
    assert "duplicate" not in fortress.deliver(fortress.b, "messages.upsert", fortress.upsert(phone, identity)).json()
    assert len(inbound(fortress, fortress.a, identity)) == len(inbound(fortress, fortress.b, identity)) == 1


def test_row_46_what_comes_in_the_wrong_order_ends_right(fortress: Fortress) -> None:
    phone = fortress.number()
    sent = fortress.as_a("POST", "/messages", {"phone": phone, "message": "in order"}).json()
    for status in ("READ", "DELIVERY_ACK", "SERVER_ACK", "ERROR", "PENDING", "READ"):
        update = {"keyId": sent["messageId"], "remoteJid": f"{phone}@s.whatsapp.net", "fromMe": True, "status": status}
        assert fortress.deliver(fortress.a, "messages.update", update).status == 200
        if status == "READ":
            assert fortress.as_a("GET", f"/messages/{sent['internalId']}").json()["status"] == "read"
    assert fortress.as_a("GET", f"/messages/{sent['internalId']}").json()["status"] == "read"
    # Before its message is known, and for nobody's.
    early = {"key": {"id": f"EARLY{uuid4().hex}", "fromMe": True}, "update": {"status": 4}}
    assert fortress.deliver(fortress.a, "messages.update", early).json()["received"] is True


def test_row_46_an_older_connection_event_never_wins(fortress: Fortress) -> None:
    tenant = fortress.tenant()
    newer = {"date_time": "2099-01-01T00:00:00.000Z"}
    older = {"date_time": "2098-01-01T00:00:00.000Z"}
    fortress.deliver(tenant, "connection.update", {"state": "close", "statusReason": 401}, **newer)
    fortress.deliver(tenant, "connection.update", {"state": "open", "wuid": f"{tenant.phone}@s.whatsapp.net"}, **older)
    status = fortress.ask("GET", f"/units/{tenant.id}/whatsapp/status", headers=tenant.headers).json()
    assert status["status"] in ("disconnected", "connected")
    # The poll asks the provider, which knows: this instance is open.
    fortress.eventually(
        lambda: (
            fortress.ask("GET", f"/units/{tenant.id}/whatsapp/status", headers=tenant.headers).json()["status"] == "connected"
            or None
        ),
        what="the poll has corrected it",
        within_s=90,
    )


NO_MESSAGES: list[dict[str, Any]] = [
    {"key": {"fromMe": True}},
    {"key": {"remoteJid": "status@broadcast"}},
    {"key": {"remoteJid": "120363041234567890@g.us", "participant": "5511988887777@s.whatsapp.net"}},
    {"key": {"remoteJid": "120363041234567890@newsletter"}},
    {"key": {"remoteJid": "5511988887777@broadcast"}},
    {"key": {"remoteJid": "@s.whatsapp.net"}},
    {"key": {"remoteJid": "1" * 10_000 + "@s.whatsapp.net"}},
    {"key": {"remoteJid": "1" * 10_000 + "@lid"}},
    {"key": {"remoteJid": "abc@s.whatsapp.net"}},
    {"key": {"remoteJid": "٥٥١١@s.whatsapp.net"}},
    {"key": {"remoteJid": 5}},
    {"key": {"remoteJid": None}},
    {"key": {"id": ""}},
    {"key": {"id": None}},
    {"key": {"id": 5}},
    {"key": {"id": "x" * 10_000}},
    {"key": {"id": "a\x00b"}},
    {"key": {"id": "\ud800"}},
    {"key": {"id": "with space"}},
    {"key": {"fromMe": "false"}},
    {"key": {"fromMe": 0}},
    {"message": {"reactionMessage": {"text": "👍"}}},
    {"message": {"protocolMessage": {"type": "REVOKE"}}},
    {"message": {"editedMessage": {"message": {"protocolMessage": {"editedMessage": {"conversation": "x"}}}}}},
    {"message": {"pollUpdateMessage": {}}},
    {"message": {"senderKeyDistributionMessage": {}}},
    {"message": {}},
    {"message": None},
    {"message": []},
    {"message": "text"},
    {"message": {"conversation": 5}},
    {"message": {"conversation": "a\x00b"}},
    {"message": {"conversation": "\ud83d"}},
    {"message": {"futureMessage": {"text": "from the future"}}},
    {"message": {"imageMessage": {"caption": "a\x00b"}}},
    {"message": {"extendedTextMessage": {"text": None}}},
]


@pytest.mark.parametrize("changes", NO_MESSAGES, ids=lambda changes: repr(changes)[:40])
def test_row_47_what_no_customer_wrote_makes_no_row(fortress: Fortress, changes: dict[str, Any]) -> None:
    identity, phone = str(uuid4()), fortress.number()
    before = fortress.rows("SELECT count(*) AS n FROM messages WHERE unit_id = :unit", unit=fortress.a.id)[0]["n"]
    content = json.dumps(
        {
            "event": "messages.upsert",
            "instance": fortress.a.instance,
            "data": fortress.upsert(phone, identity, **json.loads(json.dumps(changes))),
        }
    ).encode()
    answer = fortress.deliver_raw(fortress.a, content)
    assert answer.status == 200
    assert answer.json()["received"] is True
    assert fortress.rows("SELECT count(*) AS n FROM messages WHERE unit_id = :unit", unit=fortress.a.id)[0]["n"] == before


@pytest.mark.thorough
@pytest.mark.parametrize(
    "event",
    [
        "messages.upsert",
        "messages.update",
        "send.message",
        "connection.update",
        "qrcode.updated",
        "future.event",
        "",
        "x" * 10_000,
        "MESSAGES_UPSERT",
        "messages.delete",
        "call",
        "\x00",
        5,
        None,
        {},
        [],
    ],
)
@pytest.mark.parametrize(
    "data",
    [
        None,
        5,
        "x",
        [],
        {},
        [None],
        [[]],
        {"messages": 5},
        {"messages": [None, 5, "x", []]},
        {"key": 5},
        {"state": 5},
        {"qrcode": 5},
        {"qrcode": {"base64": "data:image/png;base64,\x00"}},
        {"keyId": "a\x00"},
    ],
)
def test_row_47_any_event_with_any_data(fortress: Fortress, event: Any, data: Any) -> None:
    content = json.dumps({"event": event, "instance": fortress.b.instance, "data": data}).encode()
    answer = fortress.deliver_raw(fortress.b, content)
    assert answer.status == 200
    assert answer.json()["received"] is True


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "nan", "x" * 10_000, 5, None, {}, "2026-02-30T00:00:00Z", "\x00"],
)
def test_row_47_times_that_cannot_be(fortress: Fortress, moment: Any) -> None:
    for event, data in (
        ("connection.update", {"state": "connecting"}),
        ("messages.upsert", fortress.upsert(fortress.number(), str(uuid4()))),
    ):
        assert fortress.deliver(fortress.b, event, data, date_time=moment).status == 200
    stamps: tuple[Any, ...] = (-1, 0, 10**30, "x", "9" * 40, {"low": -5, "high": 2**40}, [], None, True, 253402300799)
    for stamp in stamps:
        found = fortress.deliver(
            fortress.b, "messages.upsert", fortress.upsert(fortress.number(), str(uuid4()), messageTimestamp=stamp)
        )
        assert found.json() == {"success": True, "received": True}


POISON = {
    "nan": b'{"event":"messages.upsert","instance":"%s","data":NaN}',
    "infinity": b'{"event":"messages.upsert","instance":"%s","data":[Infinity,-Infinity]}',
    "overflow": b'{"event":"messages.upsert","instance":"%s","data":1e400}',
    "nul": b'{"event":"messages.upsert","instance":"%s","data":{"key":{"id":"\\u0000"}}}',
    "raw nul": b'{"event":"messages.upsert","instance":"%s","data":"\x00"}',
    "surrogate": b'{"event":"messages.upsert","instance":"%s","data":{"message":{"conversation":"\\ud800"}}}',
    "invalid utf-8": b'{"event":"messages.upsert","instance":"%s","data":"\xff\xfe"}',
    "bom": b'\xef\xbb\xbf{"event":"messages.upsert","instance":"%s","data":{}}',
    "huge number": b'{"event":"messages.upsert","instance":"%s","data":' + b"9" * 10_000 + b"}",
    "truncated": b'{"event":"messages.upsert","instance":"%s","data":{',
    "two": b'{"event":"messages.upsert","instance":"%s"}{"event":"x"}',
    "single quotes": b"{'event':'messages.upsert','instance':'%s'}",
    "empty": b"",
    "spaces": b"   ",
    "deep": b'{"event":"messages.upsert","instance":"%s","data":' + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"}",
}


@pytest.mark.parametrize("kind", POISON)
def test_row_49_poison_is_kept_as_bytes(fortress: Fortress, kind: str) -> None:
    content = POISON[kind].replace(b"%s", fortress.a.instance.encode())
    before = quarantined(fortress, fortress.a)
    answer = fortress.deliver_raw(fortress.a, content)
    assert (answer.status, answer.json()) == (200, {"received": True, "warning": "quarantined"})
    assert quarantined(fortress, fortress.a) == before + 1


def test_row_49_poison_keeps_no_secret(fortress: Fortress) -> None:
    key = "canary-key-of-an-instance"
    for content in (
        b'{"event":"x.y","instance":"%s","apikey":"%s","destination":"http://h/webhooks/whatsapp/evolution/%s","data":{"token":"%s"}}',
        b'{"event":"x.y","instance":"%s", "apikey" : "%s", "server_url":"%s", "Authorization": "%s"',
        b'{"event":"x.y","instance":"%s","\\u0061pikey":"a\\"%s","data":"%s {\\"token\\":\\"%s\\"}"}',
    ):
        filled = content % (fortress.a.instance.encode(), key.encode(), fortress.a.secret.encode(), key.encode())
        assert fortress.deliver_raw(fortress.a, filled).json()["warning"] == "quarantined"
    for told in fortress.environment_secrets():
        assert fortress.deliver(fortress.a, "x.y", f"a text with {told} in it").json()["warning"] == "quarantined"
    for row in fortress.rows("SELECT body FROM webhook_quarantine"):
        for secret in (key, fortress.a.secret, fortress.b.secret, *fortress.environment_secrets()):
            assert secret.encode() not in bytes(row["body"])


def test_row_49_what_is_cut_off_keeps_no_phone_and_no_half_of_a_secret(fortress: Fortress) -> None:
    phone = fortress.number()
    for kept, more in ((256 * 1024, 1000), (4096, 9 * 2**20)):
        head = b'{"event":"x.y","instance":"%s","phone":"%s","data":"' % (fortress.a.instance.encode(), phone.encode())
        content = head + b"x" * (kept - len(head) - 12) + fortress.a.secret.encode() + b"y" * more + b'"}'
        assert fortress.deliver_raw(fortress.a, content).status in (200, 413)
        (row,) = fortress.rows("SELECT body FROM webhook_quarantine ORDER BY received_at DESC LIMIT 1")
        assert bytes(row["body"]).startswith(b'{"event":"x.y"')
        assert fortress.a.secret[:12].encode() not in bytes(row["body"])
        assert phone.encode() not in bytes(row["body"])
        assert b"****" + phone[-4:].encode() in bytes(row["body"])


def test_row_50_five_megabytes_of_media(fortress: Fortress) -> None:
    identity, media = str(uuid4()), base64.b64encode(b"canary-media-bytes" * 200_000).decode()
    before = resident_mb(fortress.workers)
    message = {"imageMessage": {"caption": "look", "mimetype": "image/png", "jpegThumbnail": media}, "base64": media[:1_000_000]}
    answer = fortress.deliver(fortress.a, "messages.upsert", fortress.upsert(fortress.number(), identity, message=message))
    assert answer.json() == {"success": True, "received": True}
    assert inbound(fortress, fortress.a, identity)[0]["caption"] == "look"
    too_large = fortress.deliver(fortress.a, "messages.upsert", {"base64": media * 2})
    assert too_large.status == 413
    assert media[:40] not in fortress.outputs(new_only=True)
    assert resident_mb(fortress.workers) - before < 150


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "x" * 10_240, "\u202eevil\u202c", "👨‍👩‍👧", '"><img src=x>', "a\r\nb", "\x1b[31m", "' OR 1=1"],
)
def test_row_52_names_and_texts_are_stored_as_they_came(fortress: Fortress, text: str) -> None:
    identity, phone = str(uuid4()), fortress.number()
    assert fortress.deliver(fortress.a, "messages.upsert", fortress.upsert(phone, identity, text, pushName=text)).status == 200
    (row,) = inbound(fortress, fortress.a, identity)
    assert row["content"] == text
    (contact,) = fortress.rows(
        "SELECT name FROM contacts WHERE unit_id = :unit AND phone = :phone", unit=fortress.a.id, phone=phone
    )
    assert contact["name"] == text
    answer = fortress.as_a("GET", f"/conversations/{row['conversation_id']}/messages")
    assert answer.json()["items"][0]["content"] == text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.thorough
def test_row_53_a_flood_of_one_unit_is_not_the_others_problem(fortress: Fortress) -> None:
    body = json.dumps(
        {"event": "messages.upsert", "instance": fortress.a.instance, "data": fortress.upsert(fortress.number(), "FLOOD")}
    )
    until = time.monotonic() + 5
    path = f"{fortress.url}/webhooks/whatsapp/evolution/{fortress.a.secret}"

    def flood(_: int) -> set[int]:
        seen = set()
        with httpx.Client(timeout=30, trust_env=False, verify=False) as client:
            while time.monotonic() < until:
                seen.add(client.post(path, content=body).status_code)
        return seen

    times = []
    with ThreadPoolExecutor(24) as pool:
        running = [pool.submit(flood, number) for number in range(24)]
        while time.monotonic() < until:
            begun = time.monotonic()
            assert fortress.as_b("GET", "/contacts?limit=1").status == 200
            answer = fortress.deliver(fortress.b, "presence.update", {})
            assert answer.status == 200
            times.append(time.monotonic() - begun)
        seen = set().union(*(future.result() for future in running))
    assert seen <= {200, 429}
    assert statistics.median(times) < 2, times


def test_row_40_an_operator_rotates_a_secret_while_everybody_works(fortress: Fortress) -> None:
    tenant, unconnected = fortress.tenant(), fortress.tenant(connected=False)

    def rotate(unit: str, **changed: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
        environment = inherited | fortress.environment | {"PYTHONPATH": ":".join(sys.path)} | changed
        command = [sys.executable, "-m", "harness.cli", "backend", "rotate-webhook-secret", unit]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert "Traceback" not in done.stderr
        for secret in (registered(fortress, tenant), tenant.secret, *fortress.environment_secrets()):
            assert secret not in done.stdout + done.stderr
        return done

    nobody = {"EVOLUTION_API_URL": "http://127.0.0.1:9"}
    for unit, changed in ((str(uuid4()), {}), (unconnected.id, {}), (tenant.id, nobody), ("unit", {})):
        refused = rotate(unit, **changed)
        assert refused.returncode not in (0, -9), refused.stdout
        assert "unit" in refused.stderr
    assert registered(fortress, tenant) == tenant.secret
    done = rotate(tenant.id)
    assert (done.returncode, tenant.id in done.stdout) == (0, True), done.stderr
    fresh = registered(fortress, tenant)
    assert fresh != tenant.secret
    for secret, status in ((tenant.secret, 200), (fresh, 200), (fresh.upper(), 401), (f"{fresh}{tenant.secret}", 401)):
        assert fortress.deliver(tenant, "presence.update", {}, secret=secret).status == status
    fortress.rows(
        "UPDATE unit_whatsapp_connections SET previous_webhook_secret_expires_at = now() WHERE unit_id = :unit", unit=tenant.id
    )
    assert fortress.deliver(tenant, "presence.update", {}, secret=tenant.secret).status == 401
    assert fortress.deliver(tenant, "presence.update", {}, secret=fresh).status == 200


def registered(fortress: Fortress, tenant: Tenant) -> str:
    """The secret that the provider delivers with."""
    row = next(row for row in fortress.control.instances() if row["name"] == tenant.instance)
    return str(row["webhook"]["url"]).rpartition("/")[2]


def test_row_43_a_replay_days_later_is_one_row(on_postgres: System) -> None:
    unit, phone = on_postgres.connected(), on_postgres.number()
    for seconds in (0, 360, 90_000):
        on_postgres.clock.advance(seconds)
        data = an_upsert(phone, "REPLAYED", messageTimestamp=1795357299 + seconds)
        assert unit.deliver("messages.upsert", data).status_code == 200
    (found,) = on_postgres.rows(
        "SELECT count(*) AS n FROM messages WHERE unit_id = :unit AND external_id = 'REPLAYED'", unit=unit.id
    )
    assert found["n"] == 1


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["open", "close", "READ", "\x00"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "key",
                    "id",
                    "remoteJid",
                    "fromMe",
                    "message",
                    "conversation",
                    "state",
                    "status",
                    "keyId",
                    "update",
                    "qrcode",
                    "base64",
                    "messages",
                    "pushName",
                    "messageTimestamp",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(
    data=JSON_VALUES,
    event=st.sampled_from(["messages.upsert", "messages.update", "send.message", "connection.update", "qrcode.updated"]),
)
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_row_49_whatever_the_data_is_it_is_answered_with_200(fortress: Fortress, data: Any, event: str) -> None:
    content = json.dumps({"event": event, "instance": fortress.b.instance, "data": data}).encode("utf-8", "surrogatepass")
    answer = fortress.deliver_raw(fortress.b, content)
    assert answer.status == 200, content


@pytest.mark.thorough
@given(
    base=st.sampled_from(["upsert", "update", "connection"]),
    place=st.integers(0, 30),
    value=JSON_VALUES,
)
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_row_49_one_wrong_value_in_a_right_delivery_is_answered_with_200(
    fortress: Fortress, base: str, place: int, value: Any
) -> None:
    events: dict[str, tuple[str, Any]] = {
        "upsert": ("messages.upsert", fortress.upsert("5511970009999", "WRONG", "text")),
        "update": (
            "messages.update",
            {"keyId": "WRONG", "remoteJid": "5511970009999@s.whatsapp.net", "fromMe": True, "status": "READ", "instanceId": "x"},
        ),
        "connection": ("connection.update", {"state": "connecting", "statusReason": 200, "wuid": "5511970009999@s.whatsapp.net"}),
    }
    event, data = events[base]
    body: dict[str, Any] = {
        "event": event,
        "instance": fortress.b.instance,
        "data": data,
        "date_time": "2026-11-22T00:00:00Z",
        "sender": "x",
    }
    places: list[tuple[Any, Any]] = []

    def walk(holder: Any) -> None:
        for name in holder:
            if name != "instance":
                places.append((holder, name))
            if isinstance(holder[name], dict):
                walk(holder[name])

    walk(body)
    holder, name = places[place % len(places)]
    holder[name] = value
    answer = fortress.deliver_raw(fortress.b, json.dumps(body).encode("utf-8", "surrogatepass"))
    assert answer.status == 200, body


@pytest.mark.thorough
@given(content=st.binary(max_size=200))
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_row_49_any_bytes_are_answered_with_200(fortress: Fortress, content: bytes) -> None:
    assert fortress.deliver_raw(fortress.b, content).status == 200
