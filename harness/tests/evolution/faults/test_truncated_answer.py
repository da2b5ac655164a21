from __future__ import annotations

import httpx
import pytest

from harness.evolution import FakeEvolution


def test_the_answer_breaks_off(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("truncated-answer", count=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        api.get(f"/instance/connectionState/{open_instance}")
    assert api.get(f"/instance/connectionState/{open_instance}").status_code == 200
