"""Rows 14 to 19: one tenant at the doors of another. Which doors there are is asked of the running backend."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from reference_impl.bootstrap import build
from reference_impl.entrypoints.description import described
from reference_impl.settings import Settings
from reference_impl.tests.hostile.fortress import Fortress, Tenant

pytestmark = [pytest.mark.postgres, pytest.mark.process]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# What each route that names an id in its path is asked with; a new one without a line here fails the suite.
BODIES: dict[str, Any] = {
    "POST /units/{unit}/whatsapp/connect": {"provider": "evolution", "credentials": {}},
    "GET /units/{unit}/whatsapp/status": None,
    "GET /units/{unit}/whatsapp/qrcode": None,
    "DELETE /units/{unit}/whatsapp/disconnect": None,
    "GET /units/{unit}/events": None,
    "GET /messages/{message_id}": None,
    "GET /conversations/{conversation_id}/messages": None,
    "GET /api/campaigns/{campaign_id}": None,
    "POST /api/campaigns/{campaign_id}/dispatch": None,
    "POST /api/campaigns/{campaign_id}/pause": None,
    "POST /api/campaigns/{campaign_id}/resume": None,
    "POST /api/campaigns/{campaign_id}/cancel": None,
}


def with_ids(fortress: Fortress) -> list[tuple[str, str]]:
    return named_by_id(fortress.ask("GET", "/openapi.json").json()["paths"])


def named_by_id(paths: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if "{" in path and not path.startswith("/webhooks/")
    ]


def filled(path: str, ids: dict[str, str]) -> str:
    for name, identity in ids.items():
        path = path.replace(f"{{{name}}}", identity)
    assert "{" not in path, f"no id is known for {path}"
    return path


def same(answer: Any) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "requestId"}


def snapshot(fortress: Fortress, tenant: Tenant) -> str:
    """Everything that the unit can see of itself."""
    found = [
        fortress.ask("GET", path, headers=tenant.headers).json()
        for path in (
            f"/units/{tenant.id}/whatsapp/status",
            f"/messages/{tenant.ids['message_id']}",
            f"/api/campaigns/{tenant.ids['campaign_id']}",
            f"/conversations/{tenant.ids['conversation_id']}/messages",
            "/contacts",
        )
    ]
    found[0].pop("lastUpdate")
    return json.dumps(found)


@pytest.mark.parametrize("direction", ["a to b", "b to a"])
def test_row_14_every_route_and_method_with_the_ids_of_another_unit(fortress: Fortress, direction: str) -> None:
    asking, victim = (fortress.a, fortress.b) if direction == "a to b" else (fortress.b, fortress.a)
    before = snapshot(fortress, victim)
    found = with_ids(fortress)
    assert {f"{method} {path}" for method, path in found} == set(BODIES), "every route with an id has its rule"
    for known, path in found:
        theirs = filled(path, victim.ids | {"unit": victim.id})
        nobodys = filled(path, dict.fromkeys(victim.ids, str(uuid4())) | {"unit": str(uuid4())})
        for method in METHODS:
            body = BODIES[f"{known} {path}"] if method == known else {}
            got = fortress.ask(method, theirs, body, headers=asking.headers)
            random = fortress.ask(method, nobodys, body, headers=asking.headers)
            assert got.status == random.status == (404 if f"{method} {path}" in BODIES else 405), f"{method} {path}: {got.status}"
            assert same(got) == same(random)
            assert victim.id.encode() not in got.body
        child = fortress.ask("POST", f"{theirs}/messages", {"message": "x"}, headers=asking.headers)
        assert child.status in (404, 405)
    assert snapshot(fortress, victim) == before


def test_row_14_lists_hold_only_what_is_the_units_own(fortress: Fortress) -> None:
    foreign = [fortress.b.id, *fortress.b.ids.values(), fortress.b.phone, fortress.b.email]
    for path in ("/contacts", "/conversations", "/api/campaigns"):
        for query in ("", f"?unitId={fortress.b.id}", f"?unit_id={fortress.b.id}", "?limit=100", f"?unitId[]={fortress.b.id}"):
            answer = fortress.as_a("GET", f"{path}{query}")
            assert answer.status == 200
            assert not [identity for identity in foreign if identity.encode() in answer.body]


def test_row_14_a_cursor_of_another_unit_shows_nothing_of_it(fortress: Fortress) -> None:
    for _ in range(2):
        fortress.as_b("POST", "/contacts", {"phone": fortress.number()})
    cursor = fortress.as_b("GET", "/contacts?limit=1").json()["nextCursor"]
    answer = fortress.as_a("GET", f"/contacts?limit=100&cursor={cursor}")
    assert answer.status == 200
    assert fortress.b.ids["contact_id"].encode() not in answer.body


def test_row_14_a_new_route_without_its_rule_is_noticed(fortress: Fortress) -> None:
    app = build(Settings.from_environment(fortress.environment)).app
    assert {f"{method} {path}" for method, path in named_by_id(described(app)["paths"])} == set(BODIES)
    app.openapi_schema = None

    def back_door(unit: str) -> str:
        return unit

    app.add_api_route("/units/{unit}/back-door", back_door, methods=["GET"])
    assert {f"{method} {path}" for method, path in named_by_id(described(app)["paths"])} - set(BODIES) == {
        "GET /units/{unit}/back-door"
    }


@pytest.mark.parametrize("field", ["unitId", "unit_id", "unit"])
def test_row_15_another_unit_named_in_a_body(fortress: Fortress, field: str) -> None:
    phone = fortress.number()
    answer = fortress.as_a("POST", "/messages", {"phone": phone, "message": "mine", field: fortress.b.id})
    if field == "unitId":
        random = fortress.as_a("POST", "/messages", {"phone": phone, "message": "mine", field: str(uuid4())})
        assert (answer.status, same(answer)) == (404, same(random))
    assert not [send for send in fortress.control.ledger(instance=fortress.b.instance) if send["number"] == phone]


def test_row_15_a_contact_of_another_unit_in_a_campaign(fortress: Fortress) -> None:
    own, foreign = fortress.a.ids["contact_id"], fortress.b.ids["contact_id"]
    made = {"name": "n", "content": "c"}
    theirs = fortress.as_a("POST", "/api/campaigns", made | {"contactIds": [own, foreign]})
    random = fortress.as_a("POST", "/api/campaigns", made | {"contactIds": [own, str(uuid4())]})
    assert theirs.status == random.status == 404
    assert same(theirs) == same(random)


@pytest.mark.parametrize(
    "extra",
    [
        {"unit_id": "B"},
        {"role": "super_admin"},
        {"status": "sent", "sender": "customer", "direction": "inbound"},
        {"id": "B"},
        {"attempts": -5, "retryCount": 0, "leaseUntil": "9999-12-31T00:00:00Z"},
        {"externalId": "X", "messageId": "X", "createdAt": "1970-01-01T00:00:00Z"},
        {"__proto__": {"role": "super_admin"}, "constructor": {"prototype": {}}},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_row_17_fields_that_are_not_the_callers_to_set(fortress: Fortress, extra: dict[str, Any]) -> None:
    chosen = {name: fortress.b.id if value == "B" else value for name, value in extra.items()}
    body = {"phone": fortress.number(), "message": "plain"} | chosen
    answer = fortress.as_a("POST", "/messages", body)
    assert answer.status in (200, 422)
    if answer.status == 200:
        message = fortress.as_a("GET", f"/messages/{answer.json()['internalId']}").json()
        assert message["attempts"] == 1
        assert message["sender"] == "agent"
        assert message["messageId"] != "X"
        assert message["id"] not in (fortress.b.id, "X")
    contact = fortress.as_a("POST", "/contacts", {"phone": fortress.number()} | chosen)
    assert contact.status in (201, 422)
    assert contact.status == 422 or contact.json()["id"] != fortress.b.id
    campaign = {"name": "n", "content": "c", "contactIds": [fortress.a.ids["contact_id"]]} | chosen | {"status": "completed"}
    made = fortress.as_a("POST", "/api/campaigns", campaign)
    assert made.status in (201, 422)
    assert made.status == 422 or made.json()["status"] == "draft"


def test_row_17_a_member_cannot_raise_himself(fortress: Fortress) -> None:
    person = {"name": "x", "email": "x@fortress.invalid", "password": "long-enough-password", "role": "super_admin"}
    assert fortress.as_a("POST", "/admin/users", person).status == 403
    unit = fortress.ask("POST", "/admin/users", person | {"unitId": fortress.a.id}, headers=fortress.admin)
    assert unit.status == 422


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/admin/units", "/admin/users"])
@pytest.mark.parametrize(
    "header",
    [
        {},
        {"X-HTTP-Method-Override": "GET"},
        {"X-Method-Override": "GET"},
        {"X-Original-URL": "/health"},
        {"X-Rewrite-URL": "/health"},
        {"X-Forwarded-User": "admin"},
        {"X-Forwarded-Prefix": "/health"},
        {"X-User-Role": "super_admin"},
        {"X-Unit-Id": str(uuid4())},
        {"Cookie": "role=super_admin"},
    ],
    ids=lambda header: next(iter(header), "none"),
)
def test_row_18_a_member_at_admin_routes(fortress: Fortress, method: str, path: str, header: dict[str, str]) -> None:
    body = {"name": "x", "email": "y@fortress.invalid", "password": "long-enough-password", "role": "super_admin"}
    answer = fortress.as_a(method, path, body if method == "POST" else None, headers=header)
    assert answer.status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/admin/units/",
        "//admin/units",
        "/admin//units",
        "/./admin/units",
        "/contacts/../admin/units",
        "/contacts/%2e%2e/admin/units",
        "/contacts/..%2fadmin/units",
        "/%2e%2e/admin/units",
        "/ADMIN/units",
        "/Admin/Units",
        "/admin/units;x=1",
        "/admin/units%00",
        "/admin/units%20",
        "/admin/units%2f",
        "/admin%2funits",
        "/%61dmin/units",
        "/admin/units.json",
        "/admin/units%0d%0aX-Injected:%201",
        "/admin\\units",
        "/health/../admin/units",
        "/health%2f..%2fadmin/units",
        "/webhooks/whatsapp/evolution/../../../admin/units",
        "/webhooks/whatsapp/evolution/..%2f..%2f..%2fadmin%2funits",
        "/metrics%0a",
        "/metrics%0d%0a",
        "/contacts%0a",
        "/openapi.json%0a",
    ],
)
def test_row_18_a_path_in_disguise(fortress: Fortress, path: str) -> None:
    for token, statuses in ((fortress.a.token, (403, 404, 400, 405)), ("", (401, 400, 404, 405))):
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        request += f"Authorization: Bearer {token}\r\n\r\n" if token else "\r\n"
        answer = fortress.raw(request.encode(), label=f"GET {path}")
        assert answer.status in statuses, f"{path}: {answer.status}"
        assert "x-injected" not in answer.headers


@pytest.mark.thorough
@pytest.mark.parametrize(
    "identity",
    ["%00", "..", "%2e%2e", "null", "undefined", "-1", "0", "1e9", "' OR 1=1--", "{}", "a" * 300, "%ff%fe", "\u0660" * 36],
)
def test_row_18_an_id_that_is_none(fortress: Fortress, identity: str) -> None:
    for path in (
        "/messages/{}",
        "/conversations/{}/messages",
        "/api/campaigns/{}",
        "/units/{}/whatsapp/status",
        "/units/{}/events",
    ):
        for text in (
            identity,
            fortress.a.ids["message_id"].upper() + "x",
            f"{{{fortress.a.id}}}",
            fortress.a.id.replace("-", ""),
        ):
            assert fortress.as_a("GET", path.format(text)).status in (404, 405)


def test_row_19_a_client_message_id_of_another_unit(fortress: Fortress) -> None:
    phone, key = fortress.number(), str(uuid4())
    body = {"phone": phone, "message": "one key, two units", "clientMessageId": key}
    theirs, ours = fortress.as_b("POST", "/messages", body), fortress.as_a("POST", "/messages", body)
    assert theirs.status == ours.status == 200
    assert ours.json()["internalId"] != theirs.json()["internalId"]
    assert "deduplicated" not in ours.json()
    assert fortress.as_a("POST", "/messages", body).json()["internalId"] == ours.json()["internalId"]
