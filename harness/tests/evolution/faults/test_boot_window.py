from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import CUT, send
from harness.tests.evolution.listener import Listener


@pytest.mark.reached_directly(reason="the engine accepts connections to a container's port on its behalf")
def test_the_server_dies_at_a_request_refuses_and_comes_back_step_by_step(
    evolution: FakeEvolution, api: httpx.Client, open_instance: str
) -> None:
    evolution.inject("boot-window", route="sendText", seconds=10, loading=2, count=1)
    path = f"/instance/connectionState/{open_instance}"
    assert api.get(path).json()["instance"]["state"] == "open"
    with pytest.raises(CUT):
        send(api)
    with pytest.raises(httpx.ConnectError):
        api.get(path)
    evolution.advance(9.5)
    with pytest.raises(httpx.ConnectError):
        api.get(path)
    evolution.advance(0.6)
    assert api.get(path).json() == {"instance": {"instanceName": open_instance}}
    assert send(api).status_code == 500
    evolution.advance(2)
    seen = set()
    for _ in range(20):
        seen.add(api.get(path).json()["instance"]["state"])
        evolution.advance(0.05)
    assert seen == {"connecting", "open"}
    assert evolution.ledger() == []
    assert send(api).status_code == 201


def test_it_dies_at_every_request_until_it_is_withdrawn(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("boot-window", seconds=1, loading=0)
    for _ in range(2):
        with pytest.raises(CUT):
            api.get("/")
        evolution.advance(2)
    evolution.withdraw()
    assert api.get("/").status_code == 200
    assert evolution.faults() == []


def test_what_was_only_in_memory_is_lost(
    evolution: FakeEvolution,
    api: httpx.Client,
    listener: Listener,
    patiently: Callable[[Callable[[], Any]], Any],
    open_instance: str,
) -> None:
    evolution.automatic_acks([(5, "SERVER_ACK")])
    assert send(api).status_code == 201
    evolution.quiesce()
    evolution.inject("boot-window", seconds=1, loading=0, count=1)
    with pytest.raises(CUT):
        api.get("/")
    evolution.advance(30)
    evolution.quiesce()
    assert listener.bodies("messages.update") == []
