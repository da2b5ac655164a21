from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from reference_impl.adapters.clock import SystemClock
from reference_impl.adapters.metrics import PrometheusMetrics
from reference_impl.domain.limits import TokenBucket
from reference_impl.entrypoints.middleware import FairShare


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate_s=2, burst=4)
    assert [bucket.take("a", 0.0) for _ in range(4)] == [0.0] * 4
    assert bucket.take("a", 0.0) == pytest.approx(0.5)
    assert bucket.take("b", 0.0) == 0.0, "another key has its own"
    assert bucket.take("a", 0.5) == 0.0
    assert bucket.take("a", 0.5) > 0
    assert [bucket.take("a", 100.0) for _ in range(5)].count(0.0) == 4, "what is not used does not pile up"


def test_a_bucket_keeps_no_more_keys_than_it_may() -> None:
    bucket = TokenBucket(rate_s=1, burst=1)
    for number in range(20_000):
        bucket.take(str(number), 0.0)
    assert len(bucket._buckets) == 10_000


async def _fired(
    paths: list[str], *, webhook_rate_s: float, at_once: int
) -> tuple[Counter[tuple[str, int]], int, PrometheusMetrics]:
    """What all requests at once are answered with, by path, and the most that were inside at the same time."""
    inside = most = 0
    leave = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await leave.wait()
        inside -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    metrics = PrometheusMetrics()
    layer = FairShare(
        app, clock=SystemClock(), metrics=metrics, account_rate_s=1000, webhook_rate_s=webhook_rate_s, webhooks_at_once=at_once
    )
    answers: Counter[tuple[str, int]] = Counter()

    async def fire(path: str) -> None:
        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answers[path, message["status"]] += 1

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        account = {"account": path} if path.startswith("/contacts") else {}
        await layer({"type": "http", "path": path, "method": "POST", "state": {"request_id": "x", **account}}, receive, send)

    running = [asyncio.ensure_future(fire(path)) for path in paths]
    for _ in range(5):
        await asyncio.sleep(0)
    leave.set()
    await asyncio.gather(*running)
    return answers, most, metrics


def test_a_unit_that_floods_gets_its_share_and_another_is_served() -> None:
    flood, other = "/webhooks/whatsapp/evolution/one", "/webhooks/whatsapp/evolution/two"
    answers, _, metrics = asyncio.run(_fired([flood] * 50 + [other] * 3, webhook_rate_s=5, at_once=100))
    assert answers == {(flood, 200): 10, (flood, 429): 40, (other, 200): 3}
    assert b'throttled_requests_total{kind="webhook"} 40.0' in metrics.render()


def test_only_so_many_are_inside_at_once_and_only_so_many_wait() -> None:
    path = "/webhooks/whatsapp/evolution/one"
    answers, most, _ = asyncio.run(_fired([path] * 400, webhook_rate_s=10_000, at_once=4))
    assert most == 4
    assert answers == {(path, 200): 4 + 256, (path, 429): 400 - 4 - 256}


def test_an_account_has_a_share_and_streams_of_events_take_none_of_it() -> None:
    answers, most, _ = asyncio.run(_fired(["/contacts"] * 400, webhook_rate_s=1, at_once=1))
    assert most == 48
    assert answers["/contacts", 429] == 400 - 48 - 256
    streams, most, _ = asyncio.run(_fired(["/contacts/events"] * 400, webhook_rate_s=1, at_once=1))
    assert (streams["/contacts/events", 200], most) == (400, 400)
