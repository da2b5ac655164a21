from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl.domain.phones import PhoneError, is_customer_jid, jid_digits, normalise_phone, phone_variants

digits_with_country = st.from_regex(r"[1-9][0-9]{7,14}", fullmatch=True)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("+55 (11) 98888-7777", "5511988887777"),
        ("5511988887777", "5511988887777"),
        ("11988887777", "5511988887777"),
        ("11 3888-7777", "551138887777"),
        ("551188887777", "551188887777"),
        ("+1 415 555 2671", "14155552671"),
        ("14155552671", "14155552671"),
        ("+7 999 123-45-67", "79991234567"),
        ("0044 20 7946 0958", "442079460958"),
    ],
)
def test_a_written_number_becomes_digits_with_the_country(written: str, expected: str) -> None:
    assert normalise_phone(written) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "123",
        "4" * 40,
        "988887777",
        "0119888877",
        "abc",
        "55119888x7777",
        "120363041234567890@g.us",
        "status@broadcast",
        "98765@lid",
        "5511988887777@s.whatsapp.net",
        "\u0665\u0665\u0661\u0661\u0669\u0668\u0668\u0668\u0668\u0667\u0667\u0667\u0667",
        "5511988887777,5511988886666",
        "+55\n11988887777\n",
        "1\u200b1988887777",
    ],
)
def test_what_is_no_phone_number_is_refused(text: str) -> None:
    with pytest.raises(PhoneError):
        normalise_phone(text)


@given(digits_with_country)
def test_a_normalised_number_stays_what_it_is(digits: str) -> None:
    once = normalise_phone(f"+{digits}")
    assert once == digits
    assert normalise_phone(f"+{once}") == once


@given(st.text(max_size=40))
def test_any_text_gives_plain_digits_or_an_error(text: str) -> None:
    try:
        result = normalise_phone(text)
    except PhoneError:
        return
    assert result.isascii()
    assert result.isdigit()
    assert 8 <= len(result) <= 15


@given(digits_with_country)
def test_the_other_form_of_a_number_leads_back_to_it(digits: str) -> None:
    for variant in phone_variants(digits):
        assert digits in phone_variants(variant)


def test_a_brazilian_mobile_number_is_known_with_and_without_the_ninth_digit() -> None:
    assert phone_variants("5531988887777") == ("5531988887777", "553188887777")
    assert phone_variants("553188887777") == ("553188887777", "5531988887777")
    assert phone_variants("551133334444") == ("551133334444",)
    assert phone_variants("14155552671") == ("14155552671",)


@pytest.mark.parametrize(
    ("jid", "customer"),
    [
        ("5511988887777@s.whatsapp.net", True),
        ("5511988887777:12@s.whatsapp.net", True),
        ("98765432101234@lid", True),
        ("5511988887777@c.us", True),
        ("120363041234567890@g.us", False),
        ("status@broadcast", False),
        ("120363@newsletter", False),
        ("@s.whatsapp.net", False),
        ("abc@s.whatsapp.net", False),
        ("5511988887777", False),
        ("5511988887777:x@s.whatsapp.net", False),
        ("5511988887777:\x00@s.whatsapp.net", False),
        ("5511988887777:@s.whatsapp.net", False),
        ("5511988887777:123456@s.whatsapp.net", False),
        ("5511988887777@s.whatsapp.net\n", False),
        ("1" * 30 + "@lid", True),
        ("1" * 31 + "@lid", False),
    ],
)
def test_only_single_people_are_customers(jid: str, customer: bool) -> None:
    assert is_customer_jid(jid) is customer


def test_a_jid_gives_its_number_without_device() -> None:
    assert jid_digits("5511988887777:12@s.whatsapp.net") == "5511988887777"
