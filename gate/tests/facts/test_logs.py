"""Secrets and phones in a log are found, by kind and place, and what only looks like one is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gate.errors import GateError
from gate.facts.logs import LogScan, scan

KEY = "Vw8-kL2_qZr5/TnX9+sBd3"


def scanned(folder: Path, *lines: str | dict[str, Any]) -> LogScan:
    path = folder / "backend.log"
    text = "".join((line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    return scan([path], {"the API key": KEY, "the customer's phone": "+55 11 98765-4321"})


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("sent to 5511987650000", "a phone number"),
        ("sent to 5511987650000.", "a phone number"),
        ("sent to +55 (11) 98765-0000 now", "a phone number"),
        ("jid=5511987650000@s.whatsapp.net", "a phone number"),
        ("jid=5511987650000:12@s.whatsapp.net", "a phone number"),
        ("group 5511987650000-1612345678@g.us", "a phone number"),
        ("phone_5511987650000 to-5511987650000", "a phone number"),
        ({"remoteJid": "5511987650000@s.whatsapp.net"}, "a phone number"),
        ({"phone": 5511987650000}, "a phone number"),
        ({"5511987650000": "a key"}, "a phone number"),
        ({"body": {"list": ["x", {"n": "11987650000"}]}}, "a phone number"),
        ("Authorization: Bearer abcdefghijkl", "a value behind Bearer or Basic"),
        ({"token": "eyJhbGciOiJI.eyJzdWIiOiIx.abc"}, "a JSON Web Token"),
        ("postgresql://app:hunter22@db/app", "a password in a URL"),
        ({"apikey": "abc"}, "a value under 'apikey'"),
        ({"headers": {"x-api-key": "abc"}}, "a value under 'x-api-key'"),
        ({"webhookSecret": "abcdef"}, "a value under 'webhookSecret'"),
        ({"message": "api_key=abcdefgh"}, "a value behind the name of a secret"),
        ("hash $argon2id$v=19$m=19456", "an argon2 or bcrypt hash"),
        (f"key {KEY}", "the API key, unmasked"),
        ("key Vw8-kL2_qZr5%2FTnX9%2BsBd3", "the API key, unmasked"),
        ("to 5511987654321", "the customer's phone, unmasked"),
    ],
)
def test_a_leak_is_found(tmp_path: Path, line: str | dict[str, Any], what: str) -> None:
    found = scanned(tmp_path, {"level": "info"}, line)
    assert what in [leak.what for leak in found.leaks]
    assert {leak.line for leak in found.leaks} == {2}


@pytest.mark.parametrize(
    "line",
    [
        {"phone": "****9999", "apikey": "[MASKED]", "authorization": "Bearer [MASKED]"},
        {"time": "2026-01-22T10:00:00.123456+00:00", "timestamp": 1769076000, "ts_ms": 1769076000123, "epoch": "1769076000"},
        {"unitId": "5b0f4c1e-2f5a-4a8e-9b1d-550511987650", "request": "0123456789abcdef0123456789abcdef"},
        {"uptime": 12.3456789012, "duration": 0.12345678901234, "count": 12345},
        {"instance": "unit_5b0f4c1e-2f5a-4a8e-9b1d-123456789012"},
        {"token": None, "password": "", "secret": "********", "tokenType": "bearer"},
        {"event": "token refreshed", "detail": "password: null, secret=[MASKED]"},
        "connected to postgresql://app:***@db/app",
    ],
)
def test_what_is_masked_or_only_looks_alike_is_not_a_leak(tmp_path: Path, line: str | dict[str, Any]) -> None:
    assert scanned(tmp_path, line).leaks == ()


def test_no_leak_quotes_what_leaked(tmp_path: Path) -> None:
    found = scanned(tmp_path, f"key {KEY} to 5511987654321")
    told = " ".join(map(str, found.leaks))
    assert KEY not in told
    assert "98765" not in told


def test_what_was_read_is_counted(tmp_path: Path) -> None:
    found = scanned(tmp_path, {"a": 1}, "plain [MASKED]", "")
    assert (found.lines, found.structured, found.masked, found.canaries) == (2, 1, 1, 2)


def test_many_leaks_are_counted_and_not_all_kept(tmp_path: Path) -> None:
    found = scanned(tmp_path, *["to 5511987650000"] * 80)
    assert found.leaks_in_all == 80
    assert len(found.leaks) < 80


def test_a_log_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="cannot be read"):
        scan([tmp_path / "missing.log"], {})
