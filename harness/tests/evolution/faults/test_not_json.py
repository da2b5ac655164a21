from __future__ import annotations

import httpx
import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


@pytest.mark.parametrize("body", ["html", "text", "empty", "broken", "not-utf8"])
def test_the_head_promises_json_and_the_body_is_none(
    evolution: FakeEvolution, api: httpx.Client, open_instance: str, body: str
) -> None:
    evolution.inject("not-json", route="sendText", body=body)
    answer = send(api)
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json; charset=utf-8")
    with pytest.raises(ValueError):  # noqa: PT011 - a JSONDecodeError or a UnicodeDecodeError
        answer.json()
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert len(evolution.ledger()) == 1
    evolution.withdraw()
    assert send(api).json()["status"] == "PENDING"
