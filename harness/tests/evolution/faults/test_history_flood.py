from __future__ import annotations

from harness.clock import VirtualClock
from harness.evolution import FakeEvolution
from harness.tests.evolution.listener import Listener


def test_old_messages_come_as_history_and_as_new_ones(
    evolution: FakeEvolution, clock: VirtualClock, listener: Listener, open_instance: str
) -> None:
    evolution.inject("history-flood", messages=3, age=86400)
    evolution.close(open_instance, 428)
    evolution.advance(1)
    evolution.quiesce()
    [history] = listener.bodies("messages.set")
    assert (len(history["data"]), history["isLatest"], history["progress"]) == (3, True, 100)
    assert len(listener.bodies("chats.set")[0]["data"]) == 3
    fresh = [body["data"]["messageTimestamp"] for body in listener.bodies("messages.upsert")]
    assert len(fresh) == 3
    assert max(fresh) < clock.now().timestamp() - 86000
    evolution.withdraw()
    listener.received.clear()
    evolution.close(open_instance, 428)
    evolution.advance(1)
    evolution.quiesce()
    assert {body["event"] for body in listener.bodies()} == {"connection.update"}
