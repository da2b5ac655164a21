"""Parts that need no server: addresses, the validator's words, bounded records, content, settings."""

from __future__ import annotations

import pytest

from harness.clock import VirtualClock
from harness.evolution.content import decoded, in_database, long, on_wire, source_of
from harness.evolution.events import EVENT_NAMES, configuration_name, path_suffix
from harness.evolution.identity import Identity
from harness.evolution.jids import number_to_jid, other_form, same_subscriber
from harness.evolution.ledger import Bounded
from harness.evolution.schema import faults_of
from harness.evolution.settings import ServerSettings
from harness.evolution.state import NumberCache


@pytest.mark.parametrize(
    ("number", "jid"),
    [
        ("553188887777", "553188887777@s.whatsapp.net"),
        ("5531988887777", "553188887777@s.whatsapp.net"),
        ("5531968887777", "5531968887777@s.whatsapp.net"),
        ("5491112345678", "541112345678@s.whatsapp.net"),
        ("5511988887777:12@s.whatsapp.net", "5511988887777@s.whatsapp.net"),
        ("5511988887777@c.us", "5511988887777@s.whatsapp.net"),
        ("1234567890-1234567890", "12345678901234567890@g.us"),
        ("5511999990000-1234567890", "5511999990000-1234567890@g.us"),
        ("status@broadcast", "status@broadcast"),
        ("abc", "@s.whatsapp.net"),
        ("", "@s.whatsapp.net"),
    ],
)
def test_a_number_becomes_this_jid(number: str, jid: str) -> None:
    assert number_to_jid(number) == jid


def test_brazilians_are_the_same_with_and_without_the_ninth_digit() -> None:
    assert same_subscriber("5511988887777@s.whatsapp.net", "551188887777")
    assert not same_subscriber("5511988887777", "5521988887777")
    assert not same_subscriber("", "")
    assert other_form("551188887777@s.whatsapp.net") == "5511988887777@s.whatsapp.net"
    assert other_form("521234567890@s.whatsapp.net") == "5211234567890@s.whatsapp.net"
    assert other_form("5491112345678@s.whatsapp.net") == "541112345678@s.whatsapp.net"
    assert other_form("351912345678@s.whatsapp.net") is None


def test_the_cache_of_numbers_forgets_after_seven_days_and_knows_both_forms() -> None:
    clock = VirtualClock(frozen=True)
    cache = NumberCache(clock)
    assert cache.find("5511988887777@s.whatsapp.net") is None
    cache.add("551188887777@s.whatsapp.net")
    assert cache.find("5511988887777@s.whatsapp.net") == "551188887777@s.whatsapp.net"
    clock.advance(7 * 24 * 3600 - 1)
    assert cache.find("551188887777@s.whatsapp.net") is not None
    clock.advance(1)
    assert cache.find("551188887777@s.whatsapp.net") is None


@pytest.mark.parametrize(
    ("schema", "body", "faults"),
    [
        ({"required": ["a", "b"]}, {"b": 1}, ['instance requires property "a"']),
        ({"properties": {"a": {"type": "boolean"}}}, {"a": "true"}, ["a is not of a type(s) boolean"]),
        ({"properties": {"a": {"type": "integer"}}}, {"a": True}, ["a is not of a type(s) integer"]),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 2.0}, []),
        ({"properties": {"a": {"type": "string", "description": "Say it"}}}, {"a": 1}, ["Say it"]),
        ({"properties": {"a": {"enum": ["x", "y"]}}}, {"a": "z"}, ["a is not one of enum values: x,y"]),
        ({"properties": {"a": {"minItems": 2}}}, {"a": [1]}, ["a does not meet minimum length of 2"]),
        ({"properties": {"a": {"uniqueItems": True}}}, {"a": [1, 1]}, ["a contains duplicate item"]),
        ({"properties": {"a": {"items": {"type": "string"}}}}, {"a": ["x", 1]}, ["a[1] is not of a type(s) string"]),
        ({"properties": {"a": {"required": ["b"]}}}, {"a": {}}, ['a requires property "b"']),
        ({"properties": {"a": {"pattern": r"^\d+"}}}, {"a": "x"}, ['a does not match pattern "^\\\\d+"']),
        ({"properties": {"a": {"minimum": 1, "maximum": 3}}}, {"a": 4}, ["a must be less than or equal to 3"]),
    ],
)
def test_the_validator_says_it_in_these_words(schema: dict[str, object], body: object, faults: list[str]) -> None:
    assert faults_of(body, {"type": "object", **schema}) == faults


def test_a_bounded_record_says_what_it_dropped() -> None:
    records: Bounded[int] = Bounded(3)
    for number in range(5):
        records.append(number)
    assert (list(records), records.dropped, len(records)) == ([2, 3, 4], 2, 3)
    records.clear()
    assert (list(records), records.dropped) == ([], 0)


def test_bytes_are_an_object_on_the_wire_and_base64_in_the_database() -> None:
    content = decoded({"imageMessage": {"mediaKey": "AAEC", "fileLength": "12345"}})
    assert content["imageMessage"]["mediaKey"] == b"\x00\x01\x02"
    assert on_wire(content)["imageMessage"]["mediaKey"] == {"0": 0, "1": 1, "2": 2}
    assert in_database(content)["imageMessage"]["mediaKey"] == "AAEC"
    assert content["imageMessage"]["fileLength"] == {"low": 12345, "high": 0, "unsigned": True}
    assert content["imageMessage"]["annotations"] == []


def test_a_long_number_is_split_as_javascript_does() -> None:
    assert long(12345, unsigned=True) == {"low": 12345, "high": 0, "unsigned": True}
    assert long((5 << 32) + 7) == {"low": 7, "high": 5, "unsigned": False}
    assert long(0xFFFFFFFF) == {"low": -1, "high": 0, "unsigned": False}


@pytest.mark.parametrize(
    ("key_id", "source"),
    [
        ("3A" + "0" * 18, "ios"),
        ("3E" + "0" * 20, "web"),
        ("0" * 32, "android"),
        ("0" * 21, "android"),
        ("0" * 40, "unknown"),
        ("x", "unknown"),
        ("3F" + "0" * 8, "desktop"),
        ("0" * 18, "desktop"),
    ],
)
def test_the_device_is_guessed_from_the_id(key_id: str, source: str) -> None:
    assert source_of(key_id) == source


def test_event_names_have_three_forms() -> None:
    assert len(EVENT_NAMES) == len(set(EVENT_NAMES)) == 31
    assert configuration_name("group-participants.update") in EVENT_NAMES
    assert configuration_name("groups.update") not in EVENT_NAMES
    assert path_suffix("group-participants.update") == "/group-participants-update"


def test_one_instances_draws_do_not_shift_anothers() -> None:
    one, other = Identity(1), Identity(1)
    other.message("b")
    assert one.message("a") == other.message("a")
    assert one.message("a") != one.message("b")


def test_a_setting_that_is_no_number_or_zero_falls_back_to_its_default() -> None:
    settings = ServerSettings.from_environment(
        {"WEBHOOK_RETRY_MAX_ATTEMPTS": "0", "QRCODE_LIMIT": "many", "WEBHOOK_REQUEST_TIMEOUT_MS": "1500"}
    )
    assert (settings.retry.attempts, settings.qrcode_limit, settings.retry.timeout) == (10, 30, 1.5)
