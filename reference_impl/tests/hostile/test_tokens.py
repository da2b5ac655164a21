"""Rows 01 to 08: who has no token, a forged one, or one that is not valid any more."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from reference_impl.tests.hostile.fortress import Fortress, Tenant

pytestmark = [pytest.mark.postgres, pytest.mark.process]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PUBLIC = {"/health", "/ready", "/admin/login", "/admin/refresh", "/webhooks/whatsapp/{provider}/{secret}", "/openapi.json"}


def paths(fortress: Fortress) -> list[str]:
    """Every path template that is not for anybody, as the backend describes itself."""
    return [path for path in fortress.ask("GET", "/openapi.json").json()["paths"] if path not in PUBLIC]


def filled(path: str, tenant: Tenant) -> str:
    for name, identity in (tenant.ids | {"unit": tenant.id}).items():
        path = path.replace(f"{{{name}}}", identity)
    return path


def segment(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def claims(fortress: Fortress, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(fortress.a.token, options={"verify_signature": False})
    return {name: value for name, value in (found | changes).items() if value is not ...}


def signed(fortress: Fortress, payload: Any, key: str | None = None, header: Any = ...) -> str:
    """HS256 by hand, so that nothing checks what is signed."""
    head = header if header is not ... else {"alg": "HS256", "typ": "JWT"}
    text = f"{segment(head)}.{segment(payload)}"
    secret = key if key is not None else fortress.environment["JWT_ACCESS_SECRET"]
    return f"{text}.{segment(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())}"


def is_refused(fortress: Fortress, token: str) -> None:
    answer = fortress.ask("GET", "/contacts", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, answer.json()["error"]) == (401, "Unauthorized")


def test_row_01_every_route_and_method_without_a_token_answers_the_same(fortress: Fortress) -> None:
    bodies = set()
    checked = 0
    for path in paths(fortress):
        target = filled(path, fortress.a)
        for method in METHODS:
            for headers, query in (
                ({}, ""),
                ({"Authorization": "Bearer"}, ""),
                ({"Authorization": f"Basic {base64.b64encode(b'a:b').decode()}"}, ""),
                ({}, f"?token={fortress.a.token}&access_token={fortress.a.token}"),
            ):
                answer = fortress.ask(method, f"{target}{query}", headers=headers)
                assert answer.status == 401, f"{method} {path} {headers}: {answer.status}"
                bodies.add(json.dumps(answer.json() | {"requestId": ""}))
                checked += 1
    assert len(bodies) == 1
    assert checked >= 17 * 5 * 4


@pytest.mark.parametrize(
    "authorization",
    [
        "bearer",
        "Bearer",
        "Bearer null",
        "Bearer undefined",
        "Bearer ..",
        "Bearer a.b.c",
        "Bearer " + "x" * 3000,
        "Bearer \xff\xfe",
        "Token abc",
        "Bearer Bearer",
        "Bearer eyJhbGciOiJIUzI1NiJ9..",
        "Bearer {},{}",
        "Negotiate YII=",
        'Digest username="a"',
    ],
)
def test_row_01_a_header_that_holds_no_token(fortress: Fortress, authorization: str) -> None:
    headers = {"Authorization": authorization.encode("latin-1").decode("latin-1")}
    answer = fortress.raw(
        f"GET /contacts HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {headers['Authorization']}\r\n\r\n".encode(
            "latin-1"
        ),
        label=authorization[:20],
    )
    assert answer.status == 401


def test_row_01_a_body_is_not_read_before_the_token(fortress: Fortress) -> None:
    for content in (b"{", b"x" * (9 * 1024 * 1024), b"\xff"):
        answer = fortress.raw(
            b"POST /messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(content),
            label="no token, body announced",
        )
        assert answer.status == 401


@pytest.mark.thorough
@pytest.mark.parametrize(
    "algorithm", ["none", "None", "nOnE", "NONE", "", "HS384", "HS512", "hs256", "RS256", "ES256", "EdDSA", None, 5, []]
)
@pytest.mark.parametrize("signature", ["", "signed"])
def test_row_02_an_algorithm_of_the_caller(fortress: Fortress, algorithm: Any, signature: str) -> None:
    token = signed(fortress, claims(fortress), header={"alg": algorithm, "typ": "JWT"})
    is_refused(fortress, token if signature else token.rpartition(".")[0] + ".")


def test_row_02_an_empty_signature(fortress: Fortress) -> None:
    is_refused(fortress, fortress.a.token.rpartition(".")[0] + ".")
    is_refused(fortress, fortress.a.token.rpartition(".")[0])
    is_refused(fortress, fortress.a.token[:-2])


@pytest.mark.parametrize(
    "header",
    [{}, [], "x", 5, None, b"\xff", b"{", {"alg": "HS256", "crit": ["exp"]}, {"alg": "HS256", "b64": False, "crit": ["b64"]}],
)
def test_row_02_a_header_that_is_none(fortress: Fortress, header: Any) -> None:
    is_refused(fortress, signed(fortress, claims(fortress), header=header))


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_row_03_a_public_key_as_the_secret(fortress: Fortress, kind: str) -> None:
    private: Any = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    is_refused(fortress, signed(fortress, claims(fortress), public.decode()))
    is_refused(fortress, jwt.encode(claims(fortress), private, algorithm="RS256" if kind == "rsa" else "ES256"))


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"jku": "http://127.0.0.1:9/keys"},
        {"kid": "../../dev/null"},
        {"kid": "' OR 1=1"},
        {"x5u": "http://127.0.0.1:9"},
    ],
)
def test_row_03_a_key_that_the_token_brings(fortress: Fortress, header: dict[str, Any]) -> None:
    is_refused(fortress, signed(fortress, claims(fortress), "x" * 40, header={"alg": "HS256"} | header))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "changes",
    [
        {"exp": -1},
        {"exp": ...},
        {"iat": ...},
        {"sub": ...},
        {"aud": ...},
        {"iss": ...},
        {"exp": "1e400"},
        {"exp": 10**400},
        {"exp": 1e300},
        {"exp": -5},
        {"exp": "9999999999"},
        {"exp": None},
        {"exp": True},
        {"exp": []},
        {"exp": {}},
        {"exp": 99999999999999},
        {"exp": 4102444800.5},
        {"iat": "now"},
        {"iat": 4102444800},
        {"iat": -1},
        {"iat": 1e308},
        {"nbf": 4102444800},
        {"nbf": "x"},
        {"nbf": -1},
        {"nbf": None},
        {"aud": "other"},
        {"aud": ["reference-backend/api"]},
        {"aud": []},
        {"aud": 5},
        {"aud": None},
        {"iss": "somebody"},
        {"iss": ["reference-backend"]},
        {"iss": None},
        {"sub": "1"},
        {"sub": 1},
        {"sub": None},
        {"sub": ""},
        {"sub": "\x00"},
        {"sub": "' OR 1=1 --"},
        {"sub": {"$ne": 1}},
        {"sub": "6f1c2d3e-4a5b-4c6d-8e7f-901a2b3c4d5e"},
    ],
    ids=lambda changes: "-".join(f"{name}={str(value)[:12]!r}" for name, value in changes.items()),
)
def test_row_05_times_and_claims_that_cannot_be(fortress: Fortress, changes: dict[str, Any]) -> None:
    is_refused(fortress, signed(fortress, claims(fortress, **changes)))


def test_row_05_expired_by_a_second(fortress: Fortress) -> None:
    now = int(time.time())
    is_refused(fortress, signed(fortress, claims(fortress, iat=now - 100, exp=now - 1)))
    is_refused(fortress, signed(fortress, claims(fortress, nbf=now + 60)))
    is_refused(fortress, signed(fortress, claims(fortress, iat=now + 60)))
    good = signed(fortress, claims(fortress, iat=now - 5, exp=now + 60))
    assert fortress.ask("GET", "/contacts", headers={"Authorization": f"Bearer {good}"}).status == 200, "the forger can forge"


@pytest.mark.parametrize("payload", [b"{", b"[]", b"5", b'"x"', b"null", b"\xff\xfe", b'{"exp":NaN}', b"[" * 3000, b"{" * 300])
def test_row_05_a_payload_that_is_no_claims(fortress: Fortress, payload: bytes) -> None:
    is_refused(fortress, signed(fortress, payload))


def test_row_05_exp_that_overflows(fortress: Fortress) -> None:
    good = json.dumps(claims(fortress, exp=0)).encode()
    for number in (b"1e400", b"-1e400", b"Infinity", b"NaN", b"1" * 5000):
        is_refused(fortress, signed(fortress, good.replace(b'"exp": 0', b'"exp": ' + number)))


def test_row_06_tokens_of_another_kind_or_place(fortress: Fortress) -> None:
    is_refused(fortress, fortress.a.refresh_token)
    is_refused(fortress, signed(fortress, claims(fortress), fortress.environment["JWT_REFRESH_SECRET"]))
    is_refused(fortress, signed(fortress, claims(fortress), "another-environment-with-a-key-as-long-as-ours"))
    now = int(time.time())
    hook = {"iat": now, "exp": now + 600, "app": "evolution", "action": "webhook"}
    is_refused(fortress, signed(fortress, hook))
    is_refused(fortress, signed(fortress, hook, fortress.environment["EVOLUTION_API_KEY"]))
    answer = fortress.ask("POST", "/admin/refresh", {"refreshToken": fortress.a.token})
    assert answer.status == 401


def test_row_07_a_user_who_is_gone_disabled_or_has_a_new_password(fortress: Fortress) -> None:
    disabled, changed, deleted, unit_off = (fortress.tenant(connected=False) for _ in range(4))
    for tenant in (disabled, changed, deleted, unit_off):
        assert fortress.ask("GET", "/contacts", headers=tenant.headers).status == 200
    fortress.rows("UPDATE users SET is_active = false WHERE id = :id", id=disabled.user_id)
    fortress.rows("UPDATE users SET password_changed_at = now() WHERE id = :id", id=changed.user_id)
    fortress.rows("DELETE FROM users WHERE id = :id", id=deleted.user_id)
    fortress.rows("UPDATE units SET is_active = false WHERE id = :id", id=unit_off.id)
    for tenant in (disabled, changed, deleted, unit_off):
        assert fortress.ask("GET", "/contacts", headers=tenant.headers).status == 401
        assert fortress.ask("GET", f"/units/{tenant.id}/whatsapp/status", headers=tenant.headers).status == 401
        assert fortress.ask("POST", "/admin/refresh", {"refreshToken": tenant.refresh_token}).status == 401
    for tenant in (disabled, deleted, unit_off):
        answer = fortress.ask("POST", "/admin/login", {"email": tenant.email, "password": "canary-password-of-a-member"})
        assert answer.status == 401


@pytest.mark.parametrize("key", ["secret", "changeme", "", "password", "jwt-secret", "123456", "your-256-bit-secret"])
def test_row_08_a_token_signed_with_a_guess(fortress: Fortress, key: str) -> None:
    is_refused(fortress, signed(fortress, claims(fortress, sub=fortress.b.user_id, unit=fortress.b.id, role="super_admin"), key))


def test_row_08_claims_of_another_tenant_change_nothing(fortress: Fortress) -> None:
    token = signed(
        fortress, claims(fortress, unit=fortress.b.id, unitId=fortress.b.id, role="super_admin", unit_id=fortress.b.id)
    )
    headers = {"Authorization": f"Bearer {token}"}
    assert fortress.ask("GET", f"/units/{fortress.b.id}/whatsapp/status", headers=headers).status == 404
    assert fortress.ask("GET", "/admin/units", headers=headers).status == 403


def test_row_08_a_reused_refresh_token_kills_the_family(fortress: Fortress) -> None:
    first = fortress.tenant(connected=False).refresh_token
    second = fortress.ask("POST", "/admin/refresh", {"refreshToken": first}).json()["refreshToken"]
    third = fortress.ask("POST", "/admin/refresh", {"refreshToken": second}).json()["refreshToken"]
    assert fortress.ask("POST", "/admin/refresh", {"refreshToken": first}).status == 401
    assert fortress.ask("POST", "/admin/refresh", {"refreshToken": third}).status == 401
