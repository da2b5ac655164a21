"""No secret and no whole phone survives masking, and ordinary text does."""

from __future__ import annotations

import re
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.masking import MASK, Masker

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("call +5511988887777 now", "call ****7777 now"),
        ("sent to 5511988887777.", "sent to ****7777."),
        ("5511988887777-1617181920@g.us", "****7777-****1920@g.us"),
        ("+55-11988887777", "+55-****7777"),
        ("5511988887777@s.whatsapp.net", "****7777@s.whatsapp.net"),
        ('{"phone":"5511988887777"}', '{"phone":"****7777"}'),
        (f"token {JWT} end", f"token {MASK} end"),
        ("Authorization: Bearer abcdefgh12345", f"Authorization: Bearer {MASK}"),
        ("postgresql://golive:s3cr3t-pw@localhost/x", f"postgresql://golive:{MASK}@localhost/x"),
        ('JWT_ACCESS_SECRET="0123456789abcdef"', f'JWT_ACCESS_SECRET="{MASK}"'),
        ("password=hunter22&x=1", f"password={MASK}&x=1"),
        ('"apikey": "B6D711FCDE4D4FD5936544120E713976"', f'"apikey": "{MASK}"'),
    ],
)
def test_secrets_and_phones_are_masked(text: str, masked: str) -> None:
    assert Masker().text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T16:48:40.123456+00:00",
        str(uuid.UUID("12345678-1234-4234-8234-123456789012")),
        "sha256 " + "0123456789abcdef" * 4,
        "latency 0.1234567890123 s",
        "rows 1200300 in 17 ms",
        "schema.idempotency-index passed",
        "no password is set",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert Masker().text(text) == text


@pytest.mark.parametrize("piece", ["word-", "password", "a+", "eyJabcdefgh.", "12345", "x://a"])
def test_a_long_text_costs_its_length_and_not_its_square(piece: str) -> None:
    def operations(text: str) -> float:
        began = time.process_time()
        Masker().text(text)
        return time.process_time() - began

    operations(piece)
    short, long = (min(operations(piece * count) for _ in range(3)) for count in (4_000, 16_000))
    assert long < 0.05 or long < short * 10


def test_known_secrets_are_masked_whatever_their_shape_longest_first() -> None:
    masker = Masker(["plain word", "plain word and more", "short"])
    assert masker.text("say plain word and more, plain word, short") == f"say {MASK}, {MASK}, short"


def test_what_is_masked_stays_so_whatever_is_learned() -> None:
    assert Masker(["MASKED", "secret word"]).text("the secret word") == f"the {MASK}"


def test_a_secret_learned_costs_what_it_is_and_not_all_that_were_learned_before() -> None:
    def work(count: int) -> float:
        masker, began = Masker(), time.process_time()
        for number in range(count):
            masker.learn([f"{number:06d}" + "abcdefghij" * 30])
            masker.text(f"{number:06d}")
        return time.process_time() - began

    work(10)
    assert work(400) < 1.0


def test_values_under_a_secrets_key_are_replaced_at_any_depth() -> None:
    value = {"db": [{"password": "a"}, {"user": "golive"}], "apiKey": "", "n": 3, "set": {"5511988887777"}}
    assert Masker().value(value) == {"db": [{"password": MASK}, {"user": "golive"}], "apiKey": "", "n": 3, "set": ["****7777"]}


@given(st.text(), st.from_regex(r"55[1-9][1-9]9[0-9]{8}", fullmatch=True), st.text())
def test_a_brazilian_phone_never_survives_between_any_words(before: str, phone: str, after: str) -> None:
    assert phone not in Masker().text(f"{before} {phone} {after}")


@given(st.text(alphabet="abcXYZ019 -_=:./", max_size=60))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = Masker().text(text)
    assert Masker().text(once) == once


@given(st.from_regex(r"[A-Za-z0-9+/_-]{16,40}", fullmatch=True))
def test_a_known_secret_never_survives(secret: str) -> None:
    assert re.search(re.escape(secret), Masker([secret]).text(f"x{secret}y {secret}")) is None
