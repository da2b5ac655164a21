"""A fake on a frozen clock, a client with its key, and a listener for its webhooks – in every way in which a fake can run.

A test that asks for `evolution`, or for anything made of it, runs once for each way: in this process, as a process (marker
`process`) and in a container (marker `container`). It uses HTTP and the verbs of the control plane alone. One that needs the
Python object itself says so: `@pytest.mark.in_process_only(reason="…")`; one that needs the fake's own port and not one that an
engine publishes for it: `@pytest.mark.reached_directly(reason="…")`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import httpx
import pytest

from harness.tests.evolution.fakes import LAUNCHERS, AnyClock, AnyFake, Mode, listening_place
from harness.tests.evolution.listener import Listener

KEY = "global-key-of-the-tests"
MODES = (
    pytest.param("in-process", id="in-process"),
    pytest.param("process", id="process", marks=pytest.mark.process),
    pytest.param("container", id="container", marks=pytest.mark.container),
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "mode" in metafunc.fixturenames:
        alone = metafunc.definition.get_closest_marker("in_process_only") is not None
        metafunc.parametrize("mode", MODES[:1] if alone else MODES, indirect=True, scope="session")


@pytest.fixture(scope="session")
def mode(request: pytest.FixtureRequest) -> Mode:
    """In which way the fake runs."""
    way: Mode = request.param
    if way == "container":
        request.getfixturevalue("fake_image")
    return way


@pytest.fixture(scope="session")
def running(mode: Mode) -> Iterator[AnyFake]:
    with LAUNCHERS[mode](KEY, 7) as fake:
        yield fake


@pytest.fixture(scope="session")
def clock(running: AnyFake) -> AnyClock:
    clock = running.clock
    assert isinstance(clock, AnyClock)
    assert clock.frozen
    return clock


@pytest.fixture
def evolution(running: AnyFake, mode: Mode, request: pytest.FixtureRequest) -> AnyFake:
    marker = request.node.get_closest_marker("reached_directly")
    # A published port is on this machine, a container of an engine of our own is reached at its own address.
    if marker is not None and mode == "container" and httpx.URL(running.url).host in {"127.0.0.1", "localhost"}:
        pytest.skip(f"a published port stands between: {marker.kwargs['reason']}")
    running.reset()
    return running


@pytest.fixture(scope="session")
def hook(clock: AnyClock, mode: Mode) -> Iterator[Listener]:
    address, name = listening_place(mode)
    with Listener(clock, address=address, name=name) as listening:
        yield listening


@pytest.fixture
def listener(hook: Listener) -> Listener:
    hook.forget()
    return hook


@pytest.fixture(scope="session")
def client(running: AnyFake) -> Iterator[httpx.Client]:
    # The fake closes idle connections after 5 s, as the real server does: one must not be taken up again just then.
    limits = httpx.Limits(keepalive_expiry=4.0)
    with httpx.Client(base_url=running.url, headers={"apikey": KEY}, timeout=20, limits=limits) as client:
        yield client


@pytest.fixture
def api(evolution: AnyFake, client: httpx.Client) -> httpx.Client:
    return client


@pytest.fixture
def patiently(evolution: AnyFake) -> Callable[[Callable[[], Any]], Any]:
    """Carries out a call that waits on the clock, and moves the clock until it returns."""

    def carry_out(call: Callable[[], Any]) -> Any:
        with ThreadPoolExecutor(max_workers=1) as pool:
            future = pool.submit(call)
            while not future.done():
                wait([future], timeout=0.005)
                # Only a request that has arrived, and has had its turn, is waiting for the clock.
                if evolution.health()["openRequests"]:
                    evolution.quiesce()
                    if evolution.health()["openRequests"] and (due := evolution.next_deadline()) is not None:
                        evolution.advance(due)
            return future.result()

    return carry_out


@pytest.fixture
def open_instance(
    evolution: AnyFake, api: httpx.Client, listener: Listener, patiently: Callable[[Callable[[], Any]], Any]
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
