from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_the_answer_is_a_page(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("proxy-page")
    answer = send(api)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert f"Cannot POST /message/sendText/{open_instance}" in answer.text
    evolution.withdraw()
    assert send(api).status_code == 201
