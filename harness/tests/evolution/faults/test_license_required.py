from __future__ import annotations

import httpx

from harness.evolution import FakeEvolution


def test_every_route_but_some_asks_for_the_licence(evolution: FakeEvolution, api: httpx.Client) -> None:
    evolution.inject("license-required")
    answers = [api.get("/"), api.get("/instance/fetchInstances"), api.post("/instance/create", json={})]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "LICENSE_REQUIRED")] * 3
    without = ["/license/status", "/manager", "/manager/login", "/health", "/server/ok", "/ws"]
    # This release has none of them.
    assert {path: api.get(path).status_code for path in without} == dict.fromkeys(without, 404)
    assert api.get("/managers").status_code == 503
    evolution.withdraw()
    assert api.get("/instance/fetchInstances").status_code == 200
