from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl.domain.masking import MASK, mask_phone, mask_text, mask_value

SECRET = "tK9vQ2mZ7xLs0PwR4yB1"
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(st.text(), st.from_regex(r"\+?[0-9]{8,15}", fullmatch=True), st.text())
def test_no_long_run_of_digits_is_left(before: str, phone: str, after: str) -> None:
    assert re.search(r"[0-9]{8,}", mask_text(f"{before} {phone} {after}", ())) is None


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_known_secret_is_never_left(before: str, after: str) -> None:
    assert SECRET not in mask_text(f"{before}{SECRET}{after}", (SECRET,))


@given(
    documents, st.sampled_from(["apikey", "password", "accessToken", "webhook_secret", "Authorization", "qrCode", "x-api-key"])
)
def test_a_value_under_a_secret_name_is_never_left(document: Any, key: str) -> None:
    masked = mask_value({"outer": [{key: SECRET}], "rest": document})
    assert SECRET not in json.dumps(masked)
    assert masked["outer"][0][key] == MASK


@given(documents)
def test_masking_twice_changes_nothing_more(document: Any) -> None:
    once = mask_value(document, (SECRET,))
    assert mask_value(once, (SECRET,)) == once


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"POST /webhooks/whatsapp/evolution/{SECRET} HTTP/1.1",
        f"postgresql://app:{SECRET}@db/app failed",
        f"{{'apikey': '{SECRET}'}}",
        f'{{"refreshToken":"{SECRET}"}}',
        f"(b'apikey', b'{SECRET}')",
        f"token={SECRET}&x=1",
        f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
        f"data:image/png;base64,{SECRET}",
        f"password: {SECRET}",
    ],
)
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(text: str) -> None:
    assert SECRET not in mask_text(text)


@pytest.mark.parametrize("phone", ["5511988887777", "+55 (11) 98888-7777", "55 11 98888 7777", "+1-415-555-2671"])
def test_a_phone_keeps_its_last_four_digits_alone(phone: str) -> None:
    shown = mask_text(f"sent to {phone}.")
    assert shown == f"sent to ****{phone[-4:]}."
    assert mask_phone(phone) == f"****{phone[-4:]}"


def test_ids_and_short_numbers_stay_readable() -> None:
    text = "unit 9d8daf8c-5265-483c-a059-570012345678 took 1234 ms"
    assert mask_text(text) == text


def test_a_phone_under_its_name_is_masked_even_as_a_number() -> None:
    assert mask_value({"phone": 5511988887777, "remoteJid": "5511988887777@s.whatsapp.net", "count": 12}) == {
        "phone": "****7777",
        "remoteJid": "****7777",
        "count": 12,
    }
