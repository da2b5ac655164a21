from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_the_answer_is_429_with_a_time_to_wait(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("rate-limited", route="sendText", seconds=7)
    assert api.get("/").status_code == 200
    answer = send(api)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    evolution.withdraw()
    assert send(api).status_code == 201
    assert len(evolution.ledger()) == 1


@pytest.mark.parametrize(
    ("form", "value"),
    [("zero", "0"), ("negative", "-1"), ("garbage", "soon"), ("huge", "999999999"), ("seconds", "30"), ("absent", None)],
)
def test_retry_after_has_every_form(evolution: FakeEvolution, api: httpx.Client, form: str, value: str | None) -> None:
    evolution.inject("rate-limited", retry_after=form, seconds=30)
    answer = api.get("/")
    assert (answer.status_code, answer.headers.get("retry-after")) == (429, value)


@pytest.mark.parametrize(("form", "sign"), [("date", 1), ("past-date", -1)])
def test_a_date_is_counted_from_the_fakes_clock(evolution: FakeEvolution, api: httpx.Client, form: str, sign: int) -> None:
    evolution.inject("rate-limited", retry_after=form, seconds=3600)
    evolution.advance(86_400)
    now = datetime.fromisoformat(evolution.read_clock()["now"])
    told = parsedate_to_datetime(api.get("/").headers["retry-after"])
    assert abs(told - now - sign * timedelta(hours=1)) < timedelta(seconds=2)
