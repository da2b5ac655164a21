from __future__ import annotations

from harness.evolution import FakeEvolution
from harness.tests.evolution.listener import Listener


def test_the_picture_comes_without_its_content(evolution: FakeEvolution, listener: Listener, open_instance: str) -> None:
    evolution.inject("missing-base64", count=1)
    for _ in range(2):
        evolution.incoming(open_instance, "5511988887777", kind="image")
    evolution.quiesce()
    assert ["base64" in body["data"]["message"] for body in listener.bodies("messages.upsert")] == [False, True]
