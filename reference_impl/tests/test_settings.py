from __future__ import annotations

import re
import secrets

import pytest

from reference_impl.settings import Settings, SettingsError


def good(**changes: str | None) -> dict[str, str]:
    environment: dict[str, str | None] = {
        "APP_ENV": "production",
        "DATABASE_URL": "postgresql://app:pw@db.internal/app",
        "EVOLUTION_API_URL": "http://evolution:8080",
        "EVOLUTION_API_KEY": secrets.token_urlsafe(24),
        "JWT_ACCESS_SECRET": secrets.token_urlsafe(36),
        "JWT_REFRESH_SECRET": secrets.token_urlsafe(36),
        "BASE_URL": "https://backend.acme.dev",
    }
    return {name: value for name, value in (environment | changes).items() if value is not None}


def faults(environment: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(environment)
    return caught.value.faults


def test_a_good_environment_is_read() -> None:
    settings = Settings.from_environment(good(EVOLUTION_POLL_SECONDS="5", LOG_FILE="/var/log/x.json", WORKER_IN_PROCESS="no"))
    assert (settings.is_production, settings.evolution_poll_seconds, settings.worker_in_process) == (True, 5.0, False)
    assert settings.base_url == "https://backend.acme.dev"


@pytest.mark.parametrize(
    "name",
    ["APP_ENV", "DATABASE_URL", "EVOLUTION_API_URL", "EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET", "BASE_URL"],
)
def test_a_missing_variable_is_named_alone(name: str) -> None:
    (fault,) = faults(good(**{name: None}))
    assert fault.startswith(f"{name} is missing")
    (blank,) = faults(good(**{name: "  "}))
    assert blank == fault


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_ACCESS_SECRET", "short"),
        ("JWT_ACCESS_SECRET", "change-me-please-change-me-please-change"),
        ("JWT_REFRESH_SECRET", "a" * 40),
        ("EVOLUTION_API_KEY", "your-api-key"),
        ("BASE_URL", "http://backend.acme.dev"),
        ("BASE_URL", "https://example.com"),
        ("BASE_URL", "backend.acme.dev"),
        ("BASE_URL", "https://user:pw@backend.acme.dev"),
        ("BASE_URL", "https://backend.acme.dev?x=1"),
        ("EVOLUTION_API_URL", "file:///etc/passwd"),
        ("EVOLUTION_API_URL", "http://[::1"),
        ("DATABASE_URL", "mysql://x/y"),
        ("DATABASE_URL", "sqlite://"),
        ("ENABLE_TEST_BYPASS", "true"),
        ("ENABLE_TEST_BYPASS", "maybe"),
        ("APP_ENV", "prod"),
        ("NODE_ENV", "development"),
        ("EVOLUTION_POLL_SECONDS", "soon"),
        ("EVOLUTION_POLL_SECONDS", "nan"),
        ("EVOLUTION_POLL_SECONDS", "0"),
        ("CAMPAIGN_GAP_SECONDS", "1"),
        ("LOG_LEVEL", "LOUD"),
        ("METRICS_TOKEN", "short"),
        ("BOOTSTRAP_ADMIN_EMAIL", "a@b.c"),
        ("RECONCILE_GRACE_SECONDS", "10"),
    ],
)
def test_a_weak_or_impossible_value_stops_the_start_without_being_shown(name: str, value: str) -> None:
    (fault,) = faults(good(**{name: value}))
    assert fault.startswith(name)
    assert re.search(
        rf"(?<![\w/]){re.escape(value)}(?![\w/:])", fault.replace("EVOLUTION_TIMEOUT_SECONDS", "")
    ) is None or value in (
        "true",
        "0",
        "1",
        "development",
        "sqlite://",
    )


def test_equal_secrets_are_refused() -> None:
    secret = secrets.token_urlsafe(36)
    (fault,) = faults(good(JWT_ACCESS_SECRET=secret, JWT_REFRESH_SECRET=secret))
    assert "equal" in fault
    assert secret not in fault


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("EVOLUTION_API_URI", "EVOLUTION_API_URL"),
        ("EVOLUTION_APIKEY", "EVOLUTION_API_KEY"),
        ("JWT_ACESS_SECRET", "JWT_ACCESS_SECRET"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("base_url", "BASE_URL"),
    ],
)
def test_a_misspelt_name_is_named_with_the_nearest(wrong: str, right: str) -> None:
    found = faults(good(**{wrong: "x", right: None}))
    assert f"{wrong} is not read; did you mean {right}?" in found


def test_what_other_programs_read_is_left_alone() -> None:
    Settings.from_environment(good(PATH="/bin", HOME="/root", PGDATABASE="x", LANG="C", DATABASE_PASSWORD_FILE="x", HOSTNAME="h"))


def test_every_fault_is_told_at_once() -> None:
    assert len(faults({})) == 7


def test_a_rehearsal_may_use_plain_http_and_memory() -> None:
    Settings.from_environment(good(APP_ENV="rehearsal", BASE_URL="http://127.0.0.1:8000", DATABASE_URL="sqlite://"))


def test_no_secret_is_shown_by_repr() -> None:
    environment = good(METRICS_TOKEN=secrets.token_urlsafe(20))
    shown = repr(Settings.from_environment(environment))
    for name in ("EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET", "DATABASE_URL", "METRICS_TOKEN"):
        assert environment[name] not in shown
