"""Rows 71 and 42: what a backend in production refuses to start with, and webhooks that are signed besides."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
import sqlalchemy as sa

from harness.datastores import Database
from reference_impl.adapters.clock import SystemClock
from reference_impl.adapters.database import Database as Backend
from reference_impl.adapters.queue import apply_schema
from reference_impl.domain.errors import UnsafeRoleError
from reference_impl.migrations.migrate import runtime_url
from reference_impl.settings import Settings, SettingsError
from reference_impl.tests.hostile.fortress import besieged

pytestmark = [pytest.mark.postgres, pytest.mark.process]


def production(**changes: str | None) -> dict[str, str]:
    """Settings that production starts with, changed."""
    found: dict[str, str | None] = {
        "APP_ENV": "production",
        "DATABASE_URL": "postgresql://backend:canary-database-password@database.internal/golive",
        "EVOLUTION_API_URL": "http://evolution:8080",
        "BASE_URL": "https://backend.customer.net",
        **{
            name: secrets.token_urlsafe(36)
            for name in ("EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET", "METRICS_TOKEN")
        },
    }
    return {name: value for name, value in (found | changes).items() if value is not None}


LONG = "canary-Zq7vLx2mRt9wKd4sHg6pBn3c-canary"
FAULTS: dict[str, dict[str, str | None]] = {
    **{
        f"no {name}": {name: None}
        for name in (
            "APP_ENV",
            "DATABASE_URL",
            "EVOLUTION_API_URL",
            "EVOLUTION_API_KEY",
            "JWT_ACCESS_SECRET",
            "JWT_REFRESH_SECRET",
            "BASE_URL",
        )
    },
    **{f"empty {name}": {name: "  "} for name in ("DATABASE_URL", "EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "BASE_URL")},
    **{
        f"{kind} {name}": {name: value}
        for name in ("JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET")
        for kind, value in (
            ("short", "secret"),
            ("31 characters", LONG[:31]),
            ("example", "your-super-secret-jwt-key-change-me-in-production"),
            ("repeated", "a" * 64),
            ("placeholder", "<generate-with-openssl-rand-base64-48-please>"),
        )
    },
    "equal secrets": {"JWT_ACCESS_SECRET": LONG, "JWT_REFRESH_SECRET": LONG},
    "secret is the provider's key": {"JWT_ACCESS_SECRET": LONG, "EVOLUTION_API_KEY": LONG},
    "evolution's example key": {"EVOLUTION_API_KEY": "429683C4C977415CAAFCCE10F7D57E11"},
    "short key": {"EVOLUTION_API_KEY": "abc"},
    "example key": {"EVOLUTION_API_KEY": "change-me-please-change-me"},
    "weak metrics token": {"METRICS_TOKEN": "short"},
    "http base": {"BASE_URL": "http://backend.customer.net"},
    "base with a password": {"BASE_URL": "https://user:canary-password@backend.customer.net"},
    "example base": {"BASE_URL": "https://api.example.com"},
    "base that is none": {"BASE_URL": "https://[::1"},
    "file as provider": {"EVOLUTION_API_URL": "file:///etc/passwd"},
    "cloud metadata as provider": {"EVOLUTION_API_URL": "http://169.254.169.254/latest"},
    "sqlite": {"DATABASE_URL": "sqlite://"},
    "other database": {"DATABASE_URL": "mysql://root:canary-password@h/d"},
    "debug": {"DEBUG": "1"},
    "debug of a program": {"DEBUG": "app:*"},
    "debug log": {"LOG_LEVEL": "DEBUG"},
    "bypass": {"ENABLE_TEST_BYPASS": "true"},
    "star with credentials": {"CORS_ORIGINS": "*", "CORS_CREDENTIALS": "true"},
    "star among others": {"CORS_ORIGINS": "https://app.customer.net, *", "CORS_CREDENTIALS": "true"},
    "http origin": {"CORS_ORIGINS": "http://app.customer.net"},
    "origin with a path": {"CORS_ORIGINS": "https://app.customer.net/app"},
    "origin that is none": {"CORS_ORIGINS": "https://["},
    "null origin": {"CORS_ORIGINS": "null"},
    "open docs": {"OPENAPI": "open"},
    "planted bug": {"CHAFF": "fourth-attempt"},
    "weak webhook key": {"WEBHOOK_JWT_KEY": "short"},
    "weak administrator": {"BOOTSTRAP_ADMIN_EMAIL": "a@b.cc", "BOOTSTRAP_ADMIN_PASSWORD": "short"},
    "administrator without password": {"BOOTSTRAP_ADMIN_EMAIL": "a@b.cc"},
    "misspelt": {"JWT_ACESS_SECRET": LONG},
    "two environments": {"NODE_ENV": "development"},
    "environment that is none": {"APP_ENV": "prod"},
    "number that is none": {"DATABASE_POOL_SIZE": "many"},
    "number out of range": {"EVOLUTION_TIMEOUT_SECONDS": "nan"},
    "no grace": {"RECONCILE_GRACE_SECONDS": "2"},
    "link-local in decimal": {"EVOLUTION_API_URL": "http://2852039166/"},
    "link-local in hexadecimal": {"EVOLUTION_API_URL": "http://0xA9FEA9FE:80"},
    "link-local in octal and short": {"EVOLUTION_API_URL": "http://0251.254.43518"},
    "link-local mapped": {"EVOLUTION_API_URL": "http://[::ffff:169.254.169.254]/"},
    "link-local with a zone": {"EVOLUTION_API_URL": "http://[fe80::1%25eth0]/"},
    "machine's keys on IPv6": {"EVOLUTION_API_URL": "http://[fd00:ec2::254]"},
    "machine's keys by name": {"EVOLUTION_API_URL": "http://metadata.google.internal./"},
    "key with a line break": {"EVOLUTION_API_KEY": "canary-key-of-thirty\ncharacters-or-more"},
    "key that no header carries": {"EVOLUTION_API_KEY": "canary-ключ-of-thirty-characters"},
    "secret that is no text": {"JWT_ACCESS_SECRET": "canary-\udcff-secret-of-more-than-thirty-two"},
    "measurements for everybody": {"METRICS_TOKEN": "changeme-changeme-changeme"},
    "password that ends the host": {"DATABASE_URL": "postgresql://backend:canary/pa#ss@database.internal/golive"},
    "port that is none": {"DATABASE_URL": "postgresql://backend:canary@database.internal:70000/golive"},
}


def test_row_71_these_settings_are_good() -> None:
    settings = Settings.from_environment(production())
    assert settings.is_production
    assert not settings.open_docs


@pytest.mark.parametrize("kind", FAULTS)
def test_row_71_production_refuses(kind: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment(production(**FAULTS[kind]))
    told = "\n".join(refused.value.faults)
    assert len(refused.value.faults) == 1, told
    assert "canary" not in told


def test_row_71_the_process_ends_with_a_line_for_each_fault(tmp_path: Path) -> None:
    environment = production(JWT_ACCESS_SECRET="canary-short", DEBUG="true", OPENAPI="open", METRICS_TOKEN=None)
    for command in (["backend", "check-config"], ["backend", "serve", "--port", "0"]):
        done = subprocess.run(
            [sys.executable, "-m", "harness.cli", *command],
            env=environment | {"PATH": "/usr/bin", "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=60,
        )
        told = done.stdout + done.stderr
        assert done.returncode not in (0, -9)
        assert "Traceback" not in told
        assert "canary" not in told
        for name in ("JWT_ACCESS_SECRET", "DEBUG", "OPENAPI"):
            assert name in told


def test_row_71_a_log_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    settings = production(APP_ENV="rehearsal", DATABASE_URL="sqlite://", LOG_FILE=str(tmp_path / "nowhere" / "backend.log"))
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "backend", "serve", "--port", "0"],
        env=settings | {"PATH": "/usr/bin", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode not in (0, -9)
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


async def opened(url: str) -> timedelta | None:
    """How far from UTC the times of its transactions are."""
    database = Backend(url, clock=SystemClock())
    await database.open()
    try:
        async with database.unit_of_work(None) as work:
            return work.now.utcoffset()
    finally:
        await database.close()


def test_row_67_times_are_read_in_utc_whatever_zone_the_server_is_in(migrated: Database) -> None:
    url = sa.make_url(runtime_url(migrated.url))
    options = f"{url.query['options']} -c timezone=Asia/Tokyo"
    assert asyncio.run(opened(url.update_query_dict({"options": options}).render_as_string(hide_password=False))) == timedelta(0)


def test_row_71_a_role_that_sees_every_tenant_is_refused(migrated: Database) -> None:
    with pytest.raises(UnsafeRoleError, match="golive_runtime"):
        asyncio.run(opened(migrated.url))
    asyncio.run(opened(runtime_url(migrated.url)))


def test_row_71_production_shows_its_interface_to_a_super_admin_alone(migrated: Database, tmp_path: Path) -> None:
    apply_schema(migrated.url)
    key = secrets.token_urlsafe(36)
    with besieged(
        migrated.url, tmp_path, OPENAPI="protected", WEBHOOK_JWT_KEY=key, CORS_ORIGINS="https://app.customer.net"
    ) as fortress:
        fortress.canaries.append(key)
        fortress.begin()
        assert fortress.ask("GET", "/openapi.json").status == 401
        assert fortress.as_a("GET", "/openapi.json").status == 403
        assert fortress.ask("GET", "/openapi.json", headers=fortress.admin).status == 200
        for path in (
            "/docs",
            "/redoc",
            "/openapi.yaml",
            "/swagger",
            "/debug",
            "/.env",
            "/.git/config",
            "/server-status",
            "/actuator",
        ):
            assert fortress.ask("GET", path).status == 401
            assert fortress.as_a("GET", path).status == 404
        allowed = fortress.ask("GET", "/health", headers={"Origin": "https://app.customer.net"})
        assert allowed.headers["access-control-allow-origin"] == "https://app.customer.net"
        foreign = fortress.ask("GET", "/health", headers={"Origin": "https://evil.invalid"})
        assert "access-control-allow-origin" not in foreign.headers
        _row_42(fortress, key)
        fortress.stands()


def _row_42(fortress: Any, key: str) -> None:
    """The fake signs what it delivers, so the tenants are connected only because its tokens are good."""
    now = int(time.time())
    good = {"iat": now, "exp": now + 600, "app": "evolution", "action": "webhook"}
    identity = str(uuid4())
    body = {"event": "messages.upsert", "instance": fortress.a.instance, "data": fortress.upsert(fortress.number(), identity)}
    path = f"/webhooks/whatsapp/evolution/{fortress.a.secret}"
    for changes in (
        {"exp": now - 1},
        {"exp": now + 10**6},
        {"iat": now + 3600, "exp": now + 7200},
        {"action": "other"},
        {"app": "other"},
        {"action": None},
        {"exp": "soon"},
        {"exp": 1e300},
        {"sub": fortress.a.user_id},
    ):
        token = jwt.encode(good | changes, key, algorithm="HS256")
        assert fortress.ask("POST", path, body, headers={"Authorization": f"Bearer {token}"}).status == 401, changes
    unsigned = jwt.encode(good, "", algorithm="none")
    other = jwt.encode(good, fortress.environment["JWT_ACCESS_SECRET"], algorithm="HS256")
    without = jwt.encode({name: value for name, value in good.items() if name != "exp"}, key, algorithm="HS256")
    for authorization in (
        "",
        "Bearer",
        f"Bearer {unsigned}",
        f"Bearer {other}",
        f"Bearer {without}",
        f"Bearer {fortress.a.token}",
        key,
    ):
        assert fortress.ask("POST", path, body, headers={"Authorization": authorization}).status == 401
    assert not fortress.rows("SELECT id FROM messages WHERE external_id = :id", id=identity)
    token = jwt.encode(good, key, algorithm="HS256")
    assert fortress.ask("GET", "/contacts", headers={"Authorization": f"Bearer {token}"}).status == 401
    assert fortress.ask("POST", path, body, headers={"Authorization": f"Bearer {token}"}).status == 200
