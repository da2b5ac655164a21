from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.listener import Listener


def test_neither_the_webhook_nor_the_database_knows_the_message(
    evolution: FakeEvolution, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    evolution.inject("lost-inbound")
    evolution.incoming(open_instance, "5511988887777", "lost")
    evolution.quiesce()
    assert listener.bodies() == []
    evolution.withdraw()
    evolution.incoming(open_instance, "5511988887777", "found")
    evolution.quiesce()
    assert [body["data"]["message"]["conversation"] for body in listener.bodies("messages.upsert")] == ["found"]
    assert api.post(f"/chat/findMessages/{open_instance}", json={}).json()["messages"]["total"] == 1
