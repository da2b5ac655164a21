"""A Chromium for all tests of the page, and a fake whose clock flows and can be moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from harness.clock import VirtualClock
from harness.evolution import FakeEvolution
from harness.tests.evolution.listener import Listener

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from harness.tests.evolution.phone.page import Page

KEY = "key-of-the-phone-tests"
TOKEN = "token-of-the-phone-tests"


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    from harness.tests.evolution.phone.page import browser, browser_is_required, missing_browser

    reason = missing_browser()
    if reason and browser_is_required():
        pytest.fail(f"GOLIVE_REQUIRE_BROWSER is set and there is {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)
    with browser(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture(scope="module")
def phone_fake() -> Iterator[FakeEvolution]:
    with FakeEvolution(key=KEY, clock=VirtualClock(), control_token=TOKEN, seed=11) as fake:
        yield fake


@pytest.fixture
def fake(phone_fake: FakeEvolution) -> FakeEvolution:
    phone_fake.reset()
    return phone_fake


@pytest.fixture(scope="module")
def backend(phone_fake: FakeEvolution) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=phone_fake.url, headers={"apikey": KEY}, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def hooks(phone_fake: FakeEvolution) -> Iterator[Listener]:
    with Listener(phone_fake.clock) as listening:
        yield listening


@pytest.fixture
def connecting(fake: FakeEvolution, backend: httpx.Client, hooks: Listener) -> Callable[..., str]:
    """Makes an instance that shows a QR code; its webhook is answered as the path says."""

    def make(name: str, path: str = "ok") -> str:
        webhook = {"url": f"{hooks.url}/{path}", "events": []}
        body = {"instanceName": name, "integration": "WHATSAPP-BAILEYS", "webhook": webhook}
        backend.post("/instance/create", json=body).raise_for_status()
        with ThreadPoolExecutor(max_workers=1) as pool:
            asked = pool.submit(backend.get, f"/instance/connect/{name}")
            while not asked.done():
                if fake.held_calls():
                    fake.advance(3)
        assert asked.result().json()["count"] == 1
        return name

    return make


@pytest.fixture
def paired(fake: FakeEvolution, connecting: Callable[..., str]) -> Callable[..., str]:
    """Makes an instance that is open."""

    def make(name: str, path: str = "ok") -> str:
        fake.scan(connecting(name, path), phone="5511999991111", profile_name="Shop")
        fake.advance(2)
        assert next(one for one in fake.instances() if one["name"] == name)["state"] == "open"
        return name

    return make


@pytest.fixture
def page(driver: Chrome, fake: FakeEvolution) -> Page:
    from harness.tests.evolution.phone.page import Page

    return Page(driver, fake.url, TOKEN)
