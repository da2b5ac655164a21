from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import send


def test_the_state_says_open_and_nothing_works(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    evolution.inject("zombie", instance=open_instance)
    assert api.get(f"/instance/connectionState/{open_instance}").json()["instance"]["state"] == "open"
    answers = [
        send(api),
        api.post(f"/chat/whatsappNumbers/{open_instance}", json={"numbers": ["5511988887777"]}),
        api.delete(f"/instance/logout/{open_instance}"),
        api.delete(f"/instance/delete/{open_instance}"),
    ]
    assert [answer.status_code for answer in answers] == [500, 400, 500, 400]
    evolution.withdraw()
    assert send(api).status_code == 201
