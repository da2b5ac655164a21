from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from reference_impl.tests.system.conftest import PASSWORD, System, Unit
from reference_impl.tests.system.test_webhooks import an_upsert

pytestmark = pytest.mark.postgres

PUBLIC = {"/health", "/ready", "/admin/login", "/admin/refresh", "/webhooks/whatsapp/{provider}/{secret}", "/openapi.json"}


@pytest.fixture
def system(on_postgres: System) -> System:
    """What is proven here does not depend on the datastore; on Postgres row-level security takes part."""
    on_postgres.control.withdraw()
    return on_postgres


def routes(system: System) -> list[tuple[str, str]]:
    """Method and path template of every route, as the running backend describes itself."""
    paths = system.client.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def filled(path: str, unit: str, identity: str) -> str:
    return (
        path.replace("{unit}", unit)
        .replace("{message_id}", identity)
        .replace("{conversation_id}", identity)
        .replace("{campaign_id}", identity)
    )


def test_every_route_but_the_public_ones_wants_a_token(system: System) -> None:
    checked = 0
    for method, path in routes(system):
        if path in PUBLIC:
            continue
        for headers in (
            {},
            {"Authorization": ""},
            {"Authorization": "Bearer"},
            {"Authorization": "Basic YTpi"},
            {"Authorization": "Bearer x"},
        ):
            answer = system.client.request(
                method, f"{filled(path, str(uuid4()), str(uuid4()))}?token=x", headers=headers, json={}
            )
            assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorized"), f"{method} {path}"
            checked += 1
    assert checked > 60


def test_the_description_and_the_routes_are_the_same(system: System) -> None:
    served = {
        (method, route.path)
        for route in system.backend.app.routes
        for method in getattr(route, "methods", None) or ()
        if method != "HEAD" and route.path != "/openapi.json"
    } or {(method, path) for method, path in routes(system)}
    assert served == set(routes(system))


def forged(system: System, **changes: Any) -> str:
    now = int(system.clock.now().timestamp())
    claims: dict[str, Any] = {
        "iss": "reference-backend",
        "aud": "reference-backend/api",
        "sub": str(uuid4()),
        "iat": now,
        "exp": now + 900,
    } | changes
    key = claims.pop("key", system.environment["JWT_ACCESS_SECRET"])
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, algorithm="HS256")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"aud": None},
        {"iss": None},
        {"exp": -1},
        {"exp": "tomorrow"},
        {"exp": 10**400},
        {"iat": 4_000_000_000},
        {"nbf": 4_000_000_000},
        {"aud": "reference-backend/refresh"},
        {"aud": ["reference-backend/api"]},
        {"iss": "somebody"},
        {"key": "k" * 40},
        {"sub": "1"},
        {},
    ],
)
def test_a_token_that_is_not_ours_is_refused(system: System, changes: dict[str, Any]) -> None:
    token = forged(system, **changes)
    assert system.client.get("/admin/units", headers={"Authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE"])
def test_an_unsigned_token_is_refused(system: System, algorithm: str) -> None:
    import base64

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = jwt.decode(system.admin()["Authorization"].removeprefix("Bearer "), options={"verify_signature": False})
    token = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}."
    assert system.client.get("/admin/units", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_token_expires_on_the_clock(system: System) -> None:
    unit = system.unit()
    assert unit.request("GET", "/contacts").status_code == 200
    system.clock.advance(901)
    assert unit.request("GET", "/contacts").status_code == 401


def test_a_refresh_token_works_once_and_its_reuse_kills_the_family(system: System) -> None:
    unit = system.unit()
    login = system.client.post("/admin/login", json={"email": unit.email, "password": PASSWORD}).json()
    first = system.client.post("/admin/refresh", json={"refreshToken": login["refreshToken"]})
    assert first.status_code == 200
    assert system.client.post("/admin/refresh", json={"refreshToken": login["refreshToken"]}).status_code == 401
    assert system.client.post("/admin/refresh", json={"refreshToken": first.json()["refreshToken"]}).status_code == 401
    assert system.client.post("/admin/refresh", json={"refreshToken": login["accessToken"]}).status_code == 401


def test_a_login_tells_nothing_about_who_exists(system: System) -> None:
    unit = system.unit()
    known = system.client.post("/admin/login", json={"email": unit.email, "password": "wrong password"})
    unknown = system.client.post("/admin/login", json={"email": f"x{unit.email}", "password": "wrong password"})
    assert known.status_code == unknown.status_code == 401
    assert known.json()["error"] == unknown.json()["error"]


def test_too_many_failed_logins_are_throttled_whatever_the_header_says(system: System) -> None:
    unit = system.unit()
    answers: list[httpx.Response] = []
    for number in range(12):
        headers = {"X-Forwarded-For": f"10.0.0.{number}"}
        answers.append(system.client.post("/admin/login", json={"email": unit.email, "password": "wrong"}, headers=headers))
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert system.client.post("/admin/login", json={"email": unit.email, "password": PASSWORD}).status_code == 429
    system.clock.advance(301)
    assert system.client.post("/admin/login", json={"email": unit.email, "password": PASSWORD}).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"email": "a@b.c"}, {"password": "hunter2-hunter2"}, {"email": 5, "password": "hunter2-hunter2"}]
)
def test_an_incomplete_login_repeats_nothing_of_what_was_sent(system: System, body: dict[str, Any]) -> None:
    answer = system.client.post("/admin/login", json=body)
    assert answer.status_code in (400, 422)
    assert "hunter2" not in answer.text
    assert "hunter2" not in system.log()


def test_a_login_for_another_unit_is_forbidden(system: System) -> None:
    one, other = system.unit(), system.unit()
    slug = next(row["slug"] for row in system.client.get("/admin/units", headers=system.admin()).json() if row["id"] == other.id)
    body = {"email": one.email, "password": PASSWORD, "unitSlug": slug}
    assert system.client.post("/admin/login", json=body).status_code == 403
    body = {"email": other.email, "password": PASSWORD, "unitSlug": slug}
    assert system.client.post("/admin/login", json=body).json()["targetUnit"]["id"] == other.id


def test_no_answer_about_people_holds_a_password(system: System) -> None:
    system.unit()
    text = system.client.get("/admin/users", headers=system.admin()).text
    assert "argon2" not in text
    assert "password" not in text.lower()


def test_a_member_reaches_no_admin_route(system: System) -> None:
    unit = system.shared()
    for method, path in (("GET", "/admin/units"), ("POST", "/admin/units"), ("GET", "/admin/users"), ("POST", "/admin/users")):
        body = {"name": "x", "email": "x@y.zz", "password": "longpassword", "role": "super_admin"}
        assert unit.request(method, path, body).status_code == 403
    for path in ("/admin/units/", "//admin/units", "/ADMIN/units", "/x/%2e%2e/admin/units"):
        assert unit.request("GET", path).status_code in (403, 404)


def _all_of(unit: Unit) -> dict[str, str]:
    sent = unit.send(unit.system.number(), "private").json()["internalId"]
    conversation = unit.conversations()[0]["id"]
    return {"{message_id}": sent, "{conversation_id}": conversation, "{campaign_id}": unit.campaign(1)["id"]}


def test_nothing_of_one_unit_is_reachable_from_another(system: System) -> None:
    victim, other = system.shared(), system.unit()
    identities = _all_of(victim)
    body = {"provider": "evolution", "credentials": {}}
    checked = 0
    for method, path in routes(system):
        if "{unit}" not in path and "_id}" not in path:
            continue
        name = next((name for name in identities if name in path), "")
        theirs = path.replace("{unit}", victim.id).replace(name or "{unit}", identities.get(name, victim.id))
        random = path.replace("{unit}", str(uuid4())).replace(name or "{unit}", str(uuid4()))
        found, nothing = other.request(method, theirs, body), other.request(method, random, body)
        assert found.status_code == nothing.status_code == 404, f"{method} {path}"
        assert found.json()["error"] == nothing.json()["error"]
        checked += 1
    assert checked >= 10
    assert other.post("/messages", {"phone": "5511988887777", "message": "x", "unitId": victim.id}).status_code == 404
    listed = json.dumps([other.get("/contacts"), other.get("/conversations"), other.get("/api/campaigns")])
    assert not any(identity in listed for identity in identities.values())
    assert victim.status()["status"] == "connected"


def test_a_super_admin_names_the_unit_that_he_sends_for(system: System) -> None:
    unit = system.shared()
    admin = system.admin()
    body = {"phone": system.number(), "message": "from above"}
    assert system.request("POST", "/messages", body, headers=admin).status_code == 422
    assert system.request("POST", "/messages", body | {"unitId": unit.id}, headers=admin).status_code == 200
    assert system.request("POST", "/messages", body | {"unitId": str(uuid4())}, headers=admin).status_code == 404


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {}, 415),
        ('{"phone":"1"}'.encode("utf-16"), {"Content-Type": "application/json"}, 400),
        (b"\xef\xbb\xbf{}", {"Content-Type": "application/json"}, 400),
        (b"\x1f\x8b garbage", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        (b'"' + b"x" * (3 * 1024 * 1024) + b'"', {"Content-Type": "application/json"}, 413),
        (b"[" * 100_000, {"Content-Type": "application/json"}, 400),
        (b"[]", {"Content-Type": "application/json"}, 422),
        (b'{"phone":5,"message":NaN}', {"Content-Type": "application/json"}, 422),
    ],
)
def test_a_body_that_is_no_request_is_refused_early(system: System, content: bytes, headers: dict[str, str], status: int) -> None:
    unit = system.shared()
    answer = system.client.post("/messages", content=content, headers=unit.headers | headers)
    assert answer.status_code == status
    assert set(answer.json()) <= {"error", "details", "requestId"}


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=%00", "cursor=e30", "cursor=' OR 1=1"])
def test_a_page_that_cannot_be_is_refused(system: System, query: str) -> None:
    assert system.shared().request("GET", f"/contacts?{query}").status_code == 422


def test_pages_hold_everything_once(system: System) -> None:
    unit = system.unit()
    made = {unit.contact() for _ in range(5)}
    seen: list[str] = []
    cursor = ""
    while True:
        page = unit.get(f"/contacts?limit=2{cursor}")
        seen += [entry["id"] for entry in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert len(seen) == 5
    assert set(seen) == made


def test_events_are_told_to_their_unit_alone(system: System) -> None:
    unit, other = system.shared(), system.unit()
    assert system.client.get(f"/units/{unit.id}/events").status_code == 401
    assert other.request("GET", f"/units/{unit.id}/events").status_code == 404
    with system.client.stream("GET", f"/units/{unit.id}/events", headers=unit.headers) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        sent = unit.send(system.number(), "told").json()
        found = next(line for line in lines if line.startswith("data:") and sent["internalId"] in line)
    assert json.loads(found.removeprefix("data:"))["status"] == "sent"


def test_a_stream_of_events_ends_with_the_token_that_opened_it(system: System) -> None:
    unit = system.connected()
    with system.client.stream("GET", f"/units/{unit.id}/events", headers=unit.headers) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        system.clock.advance(901)
        assert unit.deliver("messages.upsert", an_upsert(system.number(), "AFTERWARDS")).json()["success"]
        assert next((line for line in lines if line.startswith("data:")), None) is None


def test_the_measurements_want_their_token_and_name_no_tenant(system: System) -> None:
    assert system.client.get("/metrics").status_code == 401
    unit = system.shared()
    unit.send(system.number(), "counted")
    text = system.metrics()
    for name in (
        "http_requests_total",
        "messages_sent_total",
        "inbound_latency_seconds",
        "queue_oldest_age_seconds",
        "campaigns_stuck",
    ):
        assert f"# TYPE {name.removesuffix('_total')}" in text or f"# TYPE {name}" in text
    assert unit.phone not in text
    assert unit.email not in text


def test_the_log_is_json_without_secrets_phones_and_texts(system: System) -> None:
    unit, phone = system.shared(), system.number()
    unit.send(phone, 'text of a private message\r\n{"forged": true}')
    unit.send(f"+55 ({phone[2:4]}) {phone[4:9]}-{phone[9:]}", "second")
    system.client.get(f"/nowhere/{phone}?apikey={system.canaries[0]}")
    secret = unit.secret
    system.client.post(f"/webhooks/whatsapp/evolution/{secret}", content=b"{")
    log = system.log()
    records = [json.loads(line) for line in log.splitlines()]
    assert len(records) > 3
    assert all({"time", "level", "requestId", "unitId", "message"} <= set(record) for record in records)
    for canary in (*system.canaries, secret, phone, unit.phone, "private message", PASSWORD):
        assert canary not in log


def test_readiness_says_what_is_wrong(system: System) -> None:
    assert system.client.get("/ready").json() == {"status": "ready", "checks": {"database": "ok", "provider": "ok"}}
    system.control.inject("connection-reset", route="instance/fetchInstances", count=1)
    answer = system.client.get("/ready")
    assert (answer.status_code, answer.json()["checks"]) == (503, {"database": "ok", "provider": "unreachable"})


def test_being_alive_touches_nothing(system: System) -> None:
    before = time.monotonic()
    assert system.client.get("/health").json()["status"] == "ok"
    assert time.monotonic() - before < 2
