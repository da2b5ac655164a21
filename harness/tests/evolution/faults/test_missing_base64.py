from __future__ import annotations

from harness.evolution import FakeEvolution
from harness.tests.evolution.listener import Listener


def test_the_picture_comes_without_its_content(evolution: FakeEvolution, listener: Listener, open_instance: str) -> None:
    evolution.inject("missing-base64")
    evolution.incoming(open_instance, "5511988887777", kind="image")
    evolution.quiesce()
    [bare] = listener.bodies("messages.upsert")
    assert "base64" not in bare["data"]["message"]
    evolution.withdraw()
    evolution.incoming(open_instance, "5511988887777", kind="image")
    evolution.quiesce()
    assert listener.bodies("messages.upsert")[1]["data"]["message"]["base64"]
