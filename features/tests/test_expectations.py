"""Comparing what a backend does with what it should do."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest

from features.expectations import Mismatch, becomes, same
from features.provider import WebhookAddress
from features.steps.messaging import SUBTLE_TEXT, same_text
from features.steps.onboarding import draw_qr_code, read_qr_code
from features.steps.tenancy import unlike
from features.tenants import Numbers, digits_in
from harness.target import RealPace


def test_a_mismatch_says_what_was_expected_what_was_seen_and_where_to_look() -> None:
    with pytest.raises(Mismatch, match=r"^status: expected 'connected', saw 'qr' \(request r-7\)$".replace("'", "")):
        same("status", expected="connected", seen="qr", request_id="r-7")


def test_what_does_not_come_in_time_is_a_mismatch_with_the_last_thing_seen() -> None:
    looks = iter(range(1_000_000))
    with pytest.raises(Mismatch, match=r"expected 2 within 0 s, saw 0"):
        becomes(RealPace(), lambda: next(looks), lambda seen: seen < 0, within_s=0.0, what="looks", expected=2)


@pytest.mark.parametrize(
    "change",
    [str.strip, lambda text: text.replace("e\u0301", "é"), lambda text: text.replace("\r\n", "\n"), lambda text: text[:-1]],
)
def test_texts_are_compared_byte_for_byte(change: Callable[[str], str]) -> None:
    with pytest.raises(Mismatch, match=r"^the text, from byte \d+ on"):
        same_text(change(SUBTLE_TEXT), SUBTLE_TEXT)
    same_text(SUBTLE_TEXT, SUBTLE_TEXT)


def test_a_drawn_qr_code_is_read_again() -> None:
    code, picture = draw_qr_code()
    assert read_qr_code(picture) == code


@pytest.mark.parametrize(
    "picture", [None, "", "data:image/png;base64,AAAA", "data:image/jpeg;base64,AAAA", "data:image/png;base64,%"]
)
def test_what_is_no_picture_of_a_qr_code_is_a_mismatch(picture: str | None) -> None:
    with pytest.raises(Mismatch, match="the QR code"):
        read_qr_code(picture)


@pytest.mark.parametrize(
    "identifier", ["3f2504e0-4f89-41d3-9a0c-0305e82c3301", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "42", "12345678901234567890"]
)
def test_an_id_that_names_nothing_has_the_form_of_one_that_does(identifier: str) -> None:
    other = unlike(identifier)
    assert other != identifier
    assert [character.isdigit() for character in other][:4] == [character.isdigit() for character in identifier][
        :4
    ] or identifier.isdigit()
    assert other.isdigit() == identifier.isdigit()
    assert other.count("-") == identifier.count("-")


def test_numbers_are_never_given_out_twice_and_all_are_on_whatsapp() -> None:
    numbers = Numbers(worker=3)
    taken = [numbers.take() for _ in range(999)]
    assert len(set(taken)) == 999
    assert all(len(number) == 13 and number.startswith("551193") and not number.endswith("0000") for number in taken)


def test_a_phone_is_found_however_it_is_punctuated() -> None:
    entry = json.load(io.StringIO('{"contact": {"phone": "+55 (11) 98888-7777"}, "n": [1, null]}'))
    assert "5511988887777" in digits_in(entry)


@pytest.mark.parametrize(
    "url",
    [
        "http://backend/webhooks/whatsapp/evolution/",
        "http://backend/webhooks/evolution/secret",
        "http://backend/webhooks/whatsapp/evolution/secret?token=1",
        "",
    ],
)
def test_a_webhook_address_of_another_form_is_a_mismatch(url: str) -> None:
    with pytest.raises(Mismatch, match="the registered webhook"):
        WebhookAddress.parse(url)


def test_a_webhook_address_is_taken_apart_and_put_together() -> None:
    address = WebhookAddress.parse("https://host:8443/api/webhooks/whatsapp/evolution/s3cr%2Ft")
    assert (address.provider, address.secret) == ("evolution", "s3cr/t")
    assert address.url() == "https://host:8443/api/webhooks/whatsapp/evolution/s3cr%2Ft"
    assert address.url(provider="other").endswith("/whatsapp/other/s3cr%2Ft")
    assert address.wrong_secret() != address.secret
    assert len(address.wrong_secret()) == len(address.secret)
