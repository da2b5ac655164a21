"""A fake on a frozen clock, a client with its key, and a listener for its webhooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import httpx
import pytest

from harness.clock import VirtualClock
from harness.evolution import FakeEvolution
from harness.tests.evolution.listener import Listener

KEY = "global-key-of-the-tests"


@pytest.fixture(scope="package")
def clock() -> VirtualClock:
    return VirtualClock(frozen=True)


@pytest.fixture(scope="package")
def running(clock: VirtualClock) -> Iterator[FakeEvolution]:
    with FakeEvolution(key=KEY, clock=clock, control_token="control", seed=7) as fake:
        yield fake


@pytest.fixture
def evolution(running: FakeEvolution) -> FakeEvolution:
    running.reset()
    return running


@pytest.fixture(scope="package")
def hook(clock: VirtualClock) -> Iterator[Listener]:
    with Listener(clock) as listening:
        yield listening


@pytest.fixture
def listener(hook: Listener) -> Listener:
    hook.forget()
    return hook


@pytest.fixture(scope="package")
def client(running: FakeEvolution) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, headers={"apikey": KEY}, timeout=20) as client:
        yield client


@pytest.fixture
def api(evolution: FakeEvolution, client: httpx.Client) -> httpx.Client:
    return client


@pytest.fixture
def patiently(evolution: FakeEvolution, clock: VirtualClock) -> Callable[[Callable[[], Any]], Any]:
    """Carries out a call that waits on the clock, and moves the clock until it returns."""

    def carry_out(call: Callable[[], Any]) -> Any:
        with ThreadPoolExecutor(max_workers=1) as pool:
            future = pool.submit(call)
            while not future.done():
                wait([future], timeout=0.005)
                # Only a request that has arrived, and has had its turn, is waiting for the clock.
                if evolution.health()["openRequests"]:
                    evolution.quiesce()
                    if evolution.health()["openRequests"] and (due := clock.next_deadline()) is not None:
                        evolution.advance(due)
            return future.result()

    return carry_out


@pytest.fixture
def open_instance(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, patiently: Callable[[Callable[[], Any]], Any]
) -> str:
    """The name of an instance that is paired and open, with a webhook for every event, and nothing delivered yet."""
    webhook = {"url": f"{listener.url}/ok", "events": [], "base64": True}
    api.post(
        "/instance/create",
        json={"instanceName": "shop", "integration": "WHATSAPP-BAILEYS", "webhook": webhook},
    ).raise_for_status()
    patiently(lambda: api.get("/instance/connect/shop"))
    evolution.scan("shop", phone="5511999991111", profile_name="Shop")
    evolution.advance(2)
    evolution.quiesce()
    listener.received.clear()
    return "shop"
