from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl.domain.messages import (
    TEXT_LIMIT,
    MessageStatus,
    TextError,
    check_text,
    later_status,
    params_hash,
    retry_wait,
    status_of_ack,
)

statuses = st.sampled_from(MessageStatus)


@given(statuses, st.lists(statuses, max_size=6), st.randoms())
def test_the_order_of_reports_does_not_matter(first: MessageStatus, reports: list[MessageStatus], random: object) -> None:
    def run(sequence: list[MessageStatus]) -> MessageStatus:
        status = first
        for report in sequence:
            status = later_status(status, report)
        return status

    shuffled = list(reports)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert run(reports) == run(shuffled) == run(reports + reports)


@given(statuses, statuses)
def test_a_status_never_moves_back(current: MessageStatus, reported: MessageStatus) -> None:
    order = list(MessageStatus)
    assert order.index(later_status(current, reported)) >= order.index(current)


def test_an_error_after_the_delivery_changes_nothing() -> None:
    assert later_status(MessageStatus.DELIVERED, MessageStatus.FAILED) is MessageStatus.DELIVERED
    assert later_status(MessageStatus.SENT, MessageStatus.FAILED) is MessageStatus.FAILED
    assert later_status(MessageStatus.READ, MessageStatus.DELIVERED) is MessageStatus.READ


@pytest.mark.parametrize(
    ("ack", "status"),
    [
        ("SERVER_ACK", MessageStatus.SENT),
        ("DELIVERY_ACK", MessageStatus.DELIVERED),
        ("READ", MessageStatus.READ),
        ("PLAYED", MessageStatus.READ),
        ("ERROR", MessageStatus.FAILED),
        ("PENDING", None),
        ("DELETED", None),
    ],
)
def test_an_acknowledgement_stands_for_a_status(ack: str, status: MessageStatus | None) -> None:
    assert status_of_ack(ack) is status


@given(st.integers(0, 5), st.none() | st.floats(0, 3600), st.floats(0, 1))
def test_a_retry_waits_as_planned_and_as_asked(made: int, asked: float | None, jitter: float) -> None:
    wait = retry_wait(made, asked_s=asked, jitter=jitter)
    assert wait >= (0, 1, 2)[min(made, 2)]
    assert wait >= (asked or 0)


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t", "\u200b\u200b", "\u202e", "\u2060\ufeff", "\u0301", "a\x00b", "a\ud800", "x" * (TEXT_LIMIT + 1)]
)
def test_a_text_that_nobody_can_see_or_store_is_refused(text: str) -> None:
    with pytest.raises(TextError):
        check_text(text)


@pytest.mark.parametrize(
    "text", ["a", "👋🏽", "👨\u200d👩\u200d👧", "\u202eabc", "Z͑ͫ̓ͪ", "x" * TEXT_LIMIT, "'; DROP TABLE messages; --"]
)
def test_a_text_that_can_be_seen_is_taken(text: str) -> None:
    check_text(text)


def test_every_pair_of_phone_and_text_has_its_own_fingerprint() -> None:
    pairs = [("5511988887777", "a"), ("551198888777", "7a"), ("5511988887777", "b"), ("5511988887778", "a")]
    assert all(params_hash(*one) != params_hash(*other) for one, other in itertools.combinations(pairs, 2))
