"""Secrets and phones in every slot that somebody can fill, and a search of everything that came out."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.datastores import Database
from reference_impl.adapters.queue import apply_schema
from reference_impl.tests.hostile.fortress import DATABASE_PASSWORD, PASSWORD, Fortress, besieged

pytestmark = [pytest.mark.postgres, pytest.mark.process]
_LISTED = (
    "http_requests",
    "messages_sent",
    "message_retries",
    "whatsapp_unknown_instance",
    "whatsapp_webhooks",
    "inbound_latency_seconds",
    "status_latency_seconds",
    "queue_oldest_age_seconds",
    "campaigns",
    "campaigns_stuck",
    "webhook_quarantine_open",
    "messages_unknown",
    "throttled_requests",
)


def planted() -> str:
    return f"canary-{secrets.token_urlsafe(24)}"


def measured(fortress: Fortress) -> str:
    answer = fortress.ask("GET", "/metrics", headers={"Authorization": f"Bearer {fortress.environment['METRICS_TOKEN']}"})
    assert answer.status == 200
    return answer.body.decode()


@pytest.mark.answers(502, 503)
def test_no_output_shows_what_was_planted_in_any_slot(fortress: Fortress) -> None:
    words = [planted() for _ in range(12)]
    phones = [fortress.number() for _ in range(6)]
    everywhere = {
        "Authorization": f"Bearer {words[0]}",
        "Cookie": f"s={words[1]}",
        "apikey": words[2],
        "X-Secret": words[3],
        "User-Agent": words[4],
    }
    # Slots of requests: headers, tokens, paths, queries, bodies good and bad.
    for method, path in (
        ("GET", f"/contacts?token={words[5]}&phone={phones[0]}"),
        ("GET", f"/{words[5]}/{phones[0]}"),
        ("POST", "/messages"),
    ):
        fortress.ask(method, path, headers=everywhere)
        fortress.as_a(method, path, headers={name: value for name, value in everywhere.items() if name != "Authorization"})
    fortress.ask("POST", "/admin/login", {"email": f"{words[6]}@x.yz", "password": words[7]})
    fortress.ask("POST", "/admin/refresh", {"refreshToken": words[7]})
    fortress.as_a("POST", "/messages", {"phone": phones[1], "message": words[8], "clientMessageId": words[9]})
    fortress.as_a("POST", "/messages", {"phone": f"+{phones[1][:2]} ({phones[1][2:4]}) {phones[1][4:]}", "message": words[8]})
    fortress.as_a("POST", "/messages", {"phone": {"n": phones[2]}, "message": [words[8]]})
    fortress.as_a("POST", "/contacts", {"phone": phones[2], "name": words[10]})
    body = {"provider": "evolution", "credentials": {"apiKey": words[2], "token": words[3], "password": words[7]}}
    fortress.as_a("POST", f"/units/{fortress.a.id}/whatsapp/connect", body)
    # Slots of the provider: its answers, in and beside what is expected of them.
    leaky = {
        "status": 400,
        "error": words[11],
        "response": {"message": [f"number {phones[3]} with {words[11]}"]},
        "apikey": words[2],
    }
    for status in ("400 Bad Request", "401 Unauthorized", "500 Internal Server Error"):
        told = json.dumps(leaky | {"status": int(status[:3])}).encode()
        lines = [f"HTTP/1.1 {status}", f"X-Token: {words[3]}", "Content-Type: application/json", f"Content-Length: {len(told)}"]
        fortress.wolf.bites("/message/sendText/", "\r\n".join([*lines, "", ""]).encode() + told)
        fortress.as_b("POST", "/messages", {"phone": phones[3], "message": words[8]})
    fortress.wolf.sleeps()
    # Slots of webhooks: known, unknown, wrong, poisoned.
    for secret in (fortress.a.secret, words[0]):
        for instance in (fortress.a.instance, f"unit_{words[1]}"):
            for data in (
                fortress.upsert(phones[4], str(uuid4()), words[8], pushName=words[10]),
                {"token": words[3], "phone": phones[5]},
                words[8],
            ):
                content = {
                    "event": "messages.upsert",
                    "instance": instance,
                    "data": data,
                    "apikey": words[2],
                    "sender": phones[4],
                }
                fortress.ask("POST", f"/webhooks/whatsapp/evolution/{secret}", content)
    fortress.deliver_raw(fortress.a, b'{"apikey":"%s","phone":"%s"' % (words[2].encode(), phones[5].encode()))
    # An error of the database, which knows every value of the statement that failed.
    fortress.rows(
        "ALTER TABLE contacts ADD CONSTRAINT hostile CHECK (name <> :name) NOT VALID".replace(":name", "'canary-constraint'")
    )
    try:
        refused = fortress.as_a("POST", "/contacts", {"phone": phones[5], "name": "canary-constraint"})
        assert refused.status == 500
    finally:
        fortress.rows("ALTER TABLE contacts DROP CONSTRAINT hostile")
        # What such a constraint refuses is a mistake of ours: 500, and told without any value.
        fortress.answers[:] = [(label, answer) for label, answer in fortress.answers if answer.status != 500]
    secret_words = (
        *words,
        *phones,
        PASSWORD,
        DATABASE_PASSWORD,
        fortress.a.secret,
        fortress.b.secret,
        *fortress.environment_secrets(),
    )
    for text in (fortress.outputs(), measured(fortress)):
        for word in (*secret_words, "canary-constraint"):
            assert word not in text
    for label, answer in fortress.answers:
        if answer.status >= 400:
            assert not [word for word in secret_words if word.encode() in answer.body], label
    kept = b"".join(bytes(row["body"]) for row in fortress.rows("SELECT body FROM webhook_quarantine"))
    assert kept
    for word in (words[2], words[3], fortress.a.secret, fortress.b.secret, *fortress.environment_secrets()):
        assert word.encode() not in kept


def test_the_measurements_are_well_formed_complete_and_name_nobody(fortress: Fortress) -> None:
    text = measured(fortress)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert not [name for name in _LISTED if name not in families]
    for name in ("inbound_latency_seconds", "status_latency_seconds"):
        assert families[name].type == "histogram"
    labels: set[tuple[str, str]] = {
        (name, value) for family in families.values() for sample in family.samples for name, value in sample.labels.items()
    }
    shown: Any = json.dumps(sorted(labels))
    for tenant in (fortress.a, fortress.b):
        for word in (tenant.slug, tenant.email, tenant.phone, tenant.secret):
            assert word not in shown
    routes = {value for name, value in labels if name == "route"}
    assert "unmatched" in routes
    assert not [route for route in routes if any(part.isdigit() and len(part) > 4 for part in route.split("/"))]


@pytest.mark.thorough
def test_a_backend_that_leaks_is_found_out(migrated: Database, tmp_path: Path) -> None:
    apply_schema(migrated.url)
    with besieged(migrated.url, tmp_path, CHAFF="phone-in-the-access-log") as leaking:
        leaking.begin()
        leaking.as_a("POST", "/messages", {"phone": leaking.number(), "message": "x"})
        with pytest.raises(AssertionError, match="canary is in the log"):
            leaking.stands()
