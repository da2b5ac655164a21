"""Rows 72 and 74: what errors tell, and whether the description of the interface is the interface."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from reference_impl.bootstrap import build
from reference_impl.settings import Settings
from reference_impl.tests.hostile.fortress import Fortress

pytestmark = [pytest.mark.postgres, pytest.mark.process]
JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    1e308,
    2**63,
    2**64,
    "",
    " ",
    "x",
    "\u0000",
    "\U0010ffff",
    [],
    [[]],
    {},
    {"$ne": 1},
    "x" * 3000,
    ["x"] * 50,
]
VALID: dict[str, dict[str, Any]] = {
    "/admin/login": {"email": "a@b.cc", "password": "x" * 12, "unitSlug": "s"},
    "/admin/refresh": {"refreshToken": "x"},
    "/admin/units": {"name": "n", "slug": "s"},
    "/admin/users": {"name": "n", "email": "u@v.ww", "password": "x" * 12, "role": "agent", "unitId": "unit"},
    "/units/{unit}/whatsapp/connect": {"provider": "twilio", "credentials": {}},
    "/messages": {"phone": "x", "message": "m", "clientMessageId": "k", "unitId": "unit"},
    "/contacts": {"phone": "x", "name": "n"},
    "/api/campaigns": {"name": "n", "content": "c", "contactIds": [], "scheduledAt": "x", "deliveryPolicy": "at_most_once"},
}


def described(fortress: Fortress) -> dict[str, Any]:
    found: dict[str, Any] = fortress.ask("GET", "/openapi.json").json()
    return found


def test_row_72_every_error_looks_the_same_and_tells_nothing(fortress: Fortress) -> None:
    fired = [
        fortress.ask("GET", "/contacts"),
        fortress.as_a("GET", "/nowhere"),
        fortress.as_a("GET", "/admin/units"),
        fortress.as_a("PATCH", "/contacts"),
        fortress.as_a("POST", "/messages", content=b"{", headers={"Content-Type": "application/json"}),
        fortress.as_a("POST", "/messages", content=b"{}", headers={"Content-Type": "text/plain"}),
        fortress.as_a("POST", "/messages", {"phone": 5}),
        fortress.as_a("POST", "/messages", {"phone": "x" * 3_000_000}),
        fortress.ask("POST", "/webhooks/whatsapp/other/x", {}),
    ]
    assert [answer.status for answer in fired] == [401, 404, 403, 405, 400, 415, 422, 413, 400]
    for answer in fired:
        body = answer.json()
        assert set(body) <= {"error", "details", "requestId"}
        assert isinstance(body["error"], str)
        assert body["requestId"] == answer.headers["x-request-id"]
        assert answer.headers["cache-control"] == "no-store"
        assert "x-powered-by" not in answer.headers


@pytest.mark.thorough
@pytest.mark.parametrize("path", VALID)
def test_row_72_a_wrong_value_in_any_field_is_refused_and_not_repeated(fortress: Fortress, path: str) -> None:
    schemas = described(fortress)["components"]["schemas"]
    body = described(fortress)["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    assert set(schemas[body.rpartition("/")[2]]["properties"]) == set(VALID[path]), "every field is fired at"
    valid = json.loads(json.dumps(VALID[path]).replace('"unit"', f'"{fortress.a.id}"'))
    headers = fortress.admin if path.startswith("/admin") else fortress.a.headers
    for name in valid:
        for number, junk in enumerate(JUNK):
            content = json.dumps(valid | {name: junk}).encode("utf-8", "surrogatepass")
            target = path.replace("{unit}", fortress.a.id)
            answer = fortress.ask("POST", target, content=content, headers=headers | {"Content-Type": "application/json"})
            assert answer.status < 500, f"{name}={JUNK[number]!r:.40}"
            assert b"x" * 20 not in answer.body
        missing = {other: value for other, value in valid.items() if other != name}
        assert fortress.ask("POST", path.replace("{unit}", fortress.a.id), missing, headers=headers).status < 500


def test_row_74_the_description_is_the_route_table(fortress: Fortress) -> None:
    told = {(method.upper(), path) for path, methods in described(fortress)["paths"].items() for method in methods}
    app = build(Settings.from_environment(fortress.environment)).app
    live = {(method, route.path) for route in iter_route_contexts(app.routes) for method in (route.methods or {"?"})}
    assert told == live
    assert len(live) > 20


@pytest.mark.thorough
@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages",
        "/api/v1/messages",
        "/api/messages",
        "/v2/contacts",
        "/api/v1/campaigns",
        "/campaigns",
        "/admin",
        "/admin/",
        "/api",
        "/users",
        "/webhooks",
        "/webhooks/whatsapp",
        "/docs",
        "/redoc",
        "/graphql",
        "/metrics/",
        "/ready/",
        "/health/",
        "/debug/vars",
        "/.well-known/x",
    ],
)
def test_row_74_a_route_that_is_not_described_is_not_there(fortress: Fortress, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        assert fortress.ask(method, path).status == 401
        assert fortress.as_a(method, path).status == 404
