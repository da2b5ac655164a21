"""What becomes of a number: the laws behind section 4.7 of the contract, for any number."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock import VirtualClock
from harness.evolution.jids import number_to_jid, other_form, same_subscriber
from harness.evolution.state import NumberCache

_DIGITS = st.text("0123456789", min_size=1, max_size=17)
_BRAZILIAN = st.tuples(st.integers(11, 99), st.sampled_from("0123456789"), st.text("0123456789", min_size=8, max_size=8))
_SERVERS = st.sampled_from(["s.whatsapp.net", "lid", "g.us", "broadcast"])


@given(st.text(max_size=40))
def test_any_text_becomes_an_address_or_stays_one(text: str) -> None:
    jid = number_to_jid(text)
    assert any(jid.endswith(server) or server in text for server in ("@s.whatsapp.net", "@g.us", "@lid", "@broadcast"))


@given(st.text(max_size=40))
def test_what_has_become_an_address_stays_as_it_is(text: str) -> None:
    jid = number_to_jid(text)
    # Only the first device is taken away: a second one goes at the next time.
    assert number_to_jid(jid) == jid or len(re.findall(r":\d", text)) > 1


@given(st.text("0123456789", max_size=20), _SERVERS)
def test_an_address_is_not_touched(digits: str, server: str) -> None:
    assert number_to_jid(f"{digits}@{server}") == f"{digits}@{server}"


@given(_DIGITS, st.integers(0, 99), _SERVERS)
def test_only_the_device_is_taken_out_of_an_address(digits: str, device: int, server: str) -> None:
    assert number_to_jid(f"{digits}:{device}@{server}") == f"{digits}@{server}"


@given(_DIGITS, st.lists(st.sampled_from("+ ()"), max_size=6))
def test_how_a_number_is_written_does_not_matter(digits: str, marks: list[str]) -> None:
    written = "".join(f"{mark}{digit}" for mark, digit in zip([*marks, *[""] * len(digits)], digits, strict=False))
    assert number_to_jid(written) == number_to_jid(digits)


@given(_BRAZILIAN)
def test_the_ninth_digit_goes_exactly_where_brazil_writes_it_without(number: tuple[int, str, str]) -> None:
    area, ninth, local = number
    jid = number_to_jid(f"55{area}{ninth}{local}")
    without = area >= 31 and int(local[0]) >= 7
    assert jid == f"55{area}{'' if without else ninth}{local}@s.whatsapp.net"


@given(st.sampled_from(["52", "54"]), st.text("0123456789", min_size=11, max_size=11))
def test_mexico_and_argentina_lose_the_third_of_thirteen_digits(country: str, rest: str) -> None:
    assert number_to_jid(country + rest) == f"{country}{rest[1:]}@s.whatsapp.net"


@given(st.text("0123456789", max_size=17).filter(lambda digits: len(digits) != 13))
def test_no_other_number_is_changed_and_no_country_is_guessed(digits: str) -> None:
    assert number_to_jid(digits) == f"{digits}@s.whatsapp.net"


@given(st.text("0123456789", min_size=18, max_size=30))
def test_eighteen_digits_are_a_group(digits: str) -> None:
    assert number_to_jid(digits) == f"{digits}@g.us"


@given(st.text("0123456789", min_size=10, max_size=16), st.text("0123456789", min_size=10, max_size=16))
def test_an_old_groups_name_keeps_its_dash_when_it_is_long_enough(creator: str, made: str) -> None:
    jid = number_to_jid(f"{creator}-{made}")
    assert jid == (f"{creator}-{made}@g.us" if len(creator) + len(made) >= 23 else f"{creator}{made}@g.us")


@given(st.text(st.characters(exclude_characters="0123456789@:-"), max_size=20))
def test_what_has_no_digit_becomes_an_empty_address(text: str) -> None:
    assert number_to_jid(text) == "@s.whatsapp.net"


@given(st.sampled_from(["55", "52", "54"]), st.text("0123456789", min_size=10, max_size=10))
def test_the_other_form_of_the_other_form_is_the_first(country: str, local: str) -> None:
    jid = f"{country}{local}@s.whatsapp.net"
    assert other_form(str(other_form(jid))) == jid


@given(_BRAZILIAN)
def test_brazils_two_forms_are_one_subscriber(number: tuple[int, str, str]) -> None:
    area, _, local = number
    assert same_subscriber(f"55{area}9{local}", f"55{area}{local}")
    assert same_subscriber(f"55{area}{local}", f"55{area}9{local}")


@pytest.mark.parametrize(
    ("confirmed", "asked"),
    [
        ("553188887777", "5531988887777"),
        ("5531988887777", "553188887777"),
        ("521234567890", "5211234567890"),
        ("5491112345678", "541112345678"),
    ],
)
def test_a_confirmed_number_is_known_in_both_forms_and_by_the_confirmed_one(confirmed: str, asked: str) -> None:
    cache = NumberCache(VirtualClock(frozen=True))
    cache.add(f"{confirmed}@s.whatsapp.net")
    assert cache.find(f"{asked}@s.whatsapp.net") == f"{confirmed}@s.whatsapp.net"
    assert cache.find("351912345678@s.whatsapp.net") is None
