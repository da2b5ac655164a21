from __future__ import annotations

import json
import uuid

import pytest

from gate.masking import Masker
from harness.monitor.leaks import LeakDetector

SECRET = "s3cr3t-value/of=ours"
DETECTOR = LeakDetector(secrets=[SECRET, "abc"], phones=["5511987654321", "+1 (202) 555-0143"])


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (f"key is {SECRET}", "a known secret"),
        ("key is s3cr3t-value%2Fof%3Dours", "a known secret"),
        (json.dumps({"message": f"key is {SECRET}"}), "a known secret"),
        ("to 5511987654321", "a known phone number"),
        ("to +551187654321 without its ninth digit", "a known phone number"),
        ("to 11987654321 at home", "a known phone number"),
        ("call 12025550143", "a known phone number"),
        ("unknown 5521912345678 here", "a phone number"),
        ('{"message": "+442071838750"}', "a phone number"),
        ("jid 442071838750@s.whatsapp.net", "a WhatsApp address"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "a JSON Web Token"),
        ("Authorization: Bearer abcdefghijkl", "credentials of an Authorization header"),
        ("postgresql://app:hunter22@db/app", "a password in a URL"),
        ("POST /webhooks/whatsapp/evolution/Zx81kPq22 200", "the secret of a webhook URL"),
        ("retry with api_key=abcdef123456", "a value of a name that says it is secret"),
        ('{"password": "hunter22"}', "a value under the key 'password'"),
        ('{"headers": {"X-Api-Key": "x", "apikey": "0123456789"}}', "a value under the key 'apikey'"),
        ('{"request": {"phone": "442071838750"}}', "a phone number under the key 'phone'"),
        ('{"number": 442071838750}', "a phone number under the key 'number'"),
        ('{"qrCode": "data:image/png;base64,' + "A" * 60 + '"}', "a QR code"),
    ],
)
def test_what_must_be_masked_is_found(line: str, rule: str) -> None:
    assert rule in DETECTOR.find(line)


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({"time": "2026-11-22T17:33:11.944Z", "requestId": uuid.uuid4().hex, "unitId": str(uuid.uuid4())}),
        '{"time": 1795368791944, "duration": 0.551198765432, "size": 123456789012}',
        '{"instance": "unit_4a811ce8-14c5-44d3-a3f7-551198765432", "keyId": "3EB0551198765432AB"}',
        '{"to": "****9999", "apikey": "[MASKED]", "password": ""}',
        "POST /webhooks/whatsapp/evolution/[MASKED] 200",
        "POST /webhooks/whatsapp/evolution/%5BMASKED%5D 200",
        "POST /webhooks/whatsapp/{provider}/{secret} 200",
        "postgresql://app:[MASKED]@db/app and https://db.example.invalid/path",
        "Bearer [MASKED]",
        '{"tokens": 12, "tokenCount": "1234567", "message": "abc"}',
        "",
        "not JSON at all",
    ],
)
def test_a_healthy_line_is_clean(line: str) -> None:
    assert DETECTOR.find(line) == []


def test_what_the_masker_of_the_journal_leaves_is_clean() -> None:
    line = f"sent {SECRET} to 5511987654321 with Bearer abcdefghijkl"
    assert DETECTOR.find(Masker([SECRET]).text(line)) == []


def test_the_answer_never_holds_what_was_found() -> None:
    rules = " ".join(DETECTOR.find(json.dumps({"password": "hunter22", "message": f"{SECRET} 5511987654321"})))
    assert "hunter22" not in rules
    assert SECRET not in rules
    assert "5511987654321" not in rules
