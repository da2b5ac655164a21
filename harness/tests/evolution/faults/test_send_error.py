from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_the_send_fails_and_nothing_goes_out(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("send-error", instance=open_instance)
    refused = send(api)
    assert (refused.status_code, refused.json()["response"]["message"]) == (500, "Connection Closed")
    evolution.withdraw()
    sent = send(api)
    assert sent.status_code == 201
    assert [row["keyId"] for row in evolution.ledger()] == [sent.json()["key"]["id"]]


def test_a_400_has_its_text_in_an_array(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("send-error", status=400, message="Error: Timed Out")
    answer = send(api)
    assert (answer.status_code, answer.json()["response"]["message"]) == (400, ["Error: Timed Out"])
