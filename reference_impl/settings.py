"""The configuration, read from the environment once and judged whole: every fault is one line, and no line shows a value."""

from __future__ import annotations

import difflib
import ipaddress
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from reference_impl import chaffs, wheats

__all__ = ["VARIABLES", "Settings", "SettingsError"]

# name: what it is for. Whatever is not here is not read.
VARIABLES: Final[dict[str, str]] = {
    "APP_ENV": "production, rehearsal, development or test",
    "NODE_ENV": "another name of APP_ENV",
    "DATABASE_URL": "postgresql://… or sqlite:// (in memory)",
    "SUPABASE_URL": "an alternative to DATABASE_URL that the gate accepts; this backend needs DATABASE_URL",
    "SUPABASE_SERVICE_ROLE_KEY": "goes with SUPABASE_URL",
    "EVOLUTION_API_URL": "where the Evolution API answers",
    "EVOLUTION_API_KEY": "its global key",
    "EVOLUTION_POLL_SECONDS": "how often connectionState is asked for, default 30",
    "EVOLUTION_TIMEOUT_SECONDS": "longest provider call, default 15",
    "JWT_ACCESS_SECRET": "signs access tokens, at least 32 characters",
    "JWT_REFRESH_SECRET": "signs refresh tokens, at least 32 characters, another one",
    "BASE_URL": "where the Evolution API reaches this backend",
    "ENABLE_TEST_BYPASS": "must be unset or false in production",
    "BOOTSTRAP_ADMIN_EMAIL": "makes the first super_admin when there is no user",
    "BOOTSTRAP_ADMIN_PASSWORD": "his password",
    "METRICS_TOKEN": "bearer token of /metrics; without it /metrics is closed",
    "LOG_FILE": "where the log goes, default standard output",
    "LOG_LEVEL": "DEBUG, INFO, WARNING or ERROR, default INFO",
    "WORKER_IN_PROCESS": "whether the serving process also works, default true",
    "WEBHOOK_SECRET_OVERLAP_SECONDS": "how long a rotated webhook secret stays valid, default 86400",
    "LEASE_MARGIN_SECONDS": "how long after the longest provider call a lost process's message is taken over, default 30",
    "RECONCILE_GRACE_SECONDS": "wait before a doubtful message is looked up, default 60",
    "CAMPAIGN_GAP_SECONDS": "least time between two sends of a campaign, default 2 and never less",
    "DATABASE_POOL_SIZE": "connections for each process, default 10",
    "CORS_ORIGINS": "origins of browsers that may call, separated by commas; none without it",
    "CORS_CREDENTIALS": "whether browsers may send cookies and certificates, default false; never with *",
    "OPENAPI": "open, or protected (for a super_admin alone); default open, in production protected and never open",
    "DEBUG": "must be unset or false in production",
    "ACCOUNT_REQUESTS_PER_SECOND": "of one account in one process on average, twice that at once, default 1000",
    "WEBHOOKS_PER_SECOND": "of one unit in one process on average, twice that at once, default 500",
    "WEBHOOK_JWT_KEY": "signs the webhooks besides their secret, as Evolution's jwt_key; at least 32 characters",
    "CHAFF": "a planted bug, for proofs; never in production",
    "WHEAT": "another correct way to answer, for proofs; never in production",
}
_ENVIRONMENTS: Final = ("production", "rehearsal", "development", "test")
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
_SECRET_SHORTEST: Final = 32
_KEY_SHORTEST: Final = 16
# Of the env.example that Evolution API comes with, and of half the servers on the internet.
_EXAMPLE_OF_EVOLUTION: Final = "429683C4C977415CAAFCCE10F7D57E11"
_EXAMPLES: Final = (
    "change",
    "example",
    "your-",
    "your_",
    "placeholder",
    "secret-here",
    "<",
    "12345678",
    "abcdefgh",
    "changeme",
    "password",
    "dummy",
)
# What is sent in a header, or compared with one.
_IN_HEADERS: Final = ("EVOLUTION_API_KEY", "METRICS_TOKEN")
_ORIGIN: Final = re.compile(r"https?://[a-zA-Z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?")
_SIMILAR: Final = 0.85
# Where clouds tell a machine its keys, besides the link-local address.
_METADATA: Final = frozenset(ipaddress.ip_address(address) for address in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192"))
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


class SettingsError(ValueError):
    """The environment cannot be used; `faults` has one line for each reason, without any value."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the backend runs with. Times are in seconds. Secrets are never shown by `repr`."""

    app_env: str
    database_url: str = field(repr=False)
    evolution_api_url: str
    evolution_api_key: str = field(repr=False)
    jwt_access_secret: str = field(repr=False)
    jwt_refresh_secret: str = field(repr=False)
    base_url: str
    evolution_poll_seconds: float = 30.0
    evolution_timeout_seconds: float = 15.0
    bootstrap_admin_email: str | None = None
    bootstrap_admin_password: str | None = field(default=None, repr=False)
    metrics_token: str | None = field(default=None, repr=False)
    log_file: Path | None = None
    log_level: str = "INFO"
    worker_in_process: bool = True
    webhook_secret_overlap_seconds: float = 86_400.0
    lease_margin_seconds: float = 30.0
    reconcile_grace_seconds: float = 60.0
    campaign_gap_seconds: float = 2.0
    database_pool_size: int = 10
    cors_origins: tuple[str, ...] = ()
    cors_credentials: bool = False
    open_docs: bool = False
    account_requests_per_second: float = 1000.0
    webhooks_per_second: float = 500.0
    webhook_jwt_key: str | None = field(default=None, repr=False)
    chaff: str | None = None
    wheat: str | None = None

    @property
    def is_production(self) -> bool:
        return self.app_env == "production"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises SettingsError with one line for each missing, weak, misspelt, contradictory or example value."""
        reader = _Reader(environment)
        settings = reader.settings()
        if reader.faults or settings is None:
            raise SettingsError(tuple(reader.faults))
        return settings


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.faults: list[str] = []

    def settings(self) -> Settings | None:
        self._misspelt_names()
        self._unreadable_values()
        app_env = self._app_env()
        access, refresh = self._secret("JWT_ACCESS_SECRET"), self._secret("JWT_REFRESH_SECRET")
        if access and access == refresh:
            self._fault("JWT_REFRESH_SECRET", "is equal to JWT_ACCESS_SECRET; make another one")
        key = self._evolution_key(app_env)
        self._no_test_bypass(app_env)
        email, password = self._text("BOOTSTRAP_ADMIN_EMAIL"), self._text("BOOTSTRAP_ADMIN_PASSWORD")
        if (email is None) != (password is None):
            self._fault("BOOTSTRAP_ADMIN_EMAIL", "and BOOTSTRAP_ADMIN_PASSWORD go together; set both or none")
        if password is not None and app_env == "production" and (len(password) < 12 or _is_example(password)):
            self._fault("BOOTSTRAP_ADMIN_PASSWORD", "is weak: at least 12 characters and no example value")
        token = self._text("METRICS_TOKEN")
        if token is not None and app_env == "production" and (len(token) < 16 or _is_example(token)):
            self._fault("METRICS_TOKEN", "is weak: at least 16 characters and no example value")
        if app_env == "production":
            self._no_secret_twice()
        origins, credentials = self._cors(app_env)
        jwt_key = self._secret("WEBHOOK_JWT_KEY") if self._text("WEBHOOK_JWT_KEY") is not None else None
        level = self._one_of("LOG_LEVEL", "INFO", _LEVELS)
        if app_env == "production" and level == "DEBUG":
            self._fault("LOG_LEVEL", "is DEBUG, which shows what customers write; use INFO in production")
        log_file = self._text("LOG_FILE")
        timeout = self._number("EVOLUTION_TIMEOUT_SECONDS", 15.0, least=1.0, most=120.0)
        grace = self._number("RECONCILE_GRACE_SECONDS", 60.0, least=1.0, most=3600.0)
        if grace <= timeout:
            self._fault("RECONCILE_GRACE_SECONDS", "must be longer than EVOLUTION_TIMEOUT_SECONDS: a call may still be under way")
        return Settings(
            app_env=app_env,
            database_url=self._database_url(app_env),
            evolution_api_url=self._url("EVOLUTION_API_URL", https_only=False),
            evolution_api_key=key,
            jwt_access_secret=access,
            jwt_refresh_secret=refresh,
            base_url=self._base_url(app_env),
            evolution_poll_seconds=self._number("EVOLUTION_POLL_SECONDS", 30.0, least=1.0, most=3600.0),
            evolution_timeout_seconds=timeout,
            bootstrap_admin_email=email,
            bootstrap_admin_password=password,
            metrics_token=token,
            log_file=Path(log_file) if log_file is not None else None,
            log_level=level,
            worker_in_process=self._truth("WORKER_IN_PROCESS", default=True),
            webhook_secret_overlap_seconds=self._number("WEBHOOK_SECRET_OVERLAP_SECONDS", 86_400.0, least=0.0, most=2_592_000.0),
            lease_margin_seconds=self._number("LEASE_MARGIN_SECONDS", 30.0, least=1.0, most=3600.0),
            reconcile_grace_seconds=grace,
            campaign_gap_seconds=self._number("CAMPAIGN_GAP_SECONDS", 2.0, least=2.0, most=3600.0),
            database_pool_size=int(self._number("DATABASE_POOL_SIZE", 10, least=2, most=200)),
            cors_origins=origins,
            cors_credentials=credentials,
            open_docs=self._open_docs(app_env),
            account_requests_per_second=self._number("ACCOUNT_REQUESTS_PER_SECOND", 1000.0, least=1.0, most=100_000.0),
            webhooks_per_second=self._number("WEBHOOKS_PER_SECOND", 500.0, least=1.0, most=100_000.0),
            webhook_jwt_key=jwt_key,
            chaff=self._variant("CHAFF", "a bug", app_env, chaffs.names),
            wheat=self._variant("WHEAT", "another way to answer", app_env, wheats.names),
        )

    def _evolution_key(self, app_env: str) -> str:
        value = self._required("EVOLUTION_API_KEY")
        if value and (_is_example(value) or value.upper() == _EXAMPLE_OF_EVOLUTION):
            self._fault("EVOLUTION_API_KEY", "is an example value; use the key of your Evolution API server")
        elif value and app_env == "production" and (len(value) < _KEY_SHORTEST or len(set(value)) < 6):
            self._fault("EVOLUTION_API_KEY", f"is weak: at least {_KEY_SHORTEST} characters that nobody guesses")
        return value

    def _no_secret_twice(self) -> None:
        seen: dict[str, str] = {}
        for name in ("JWT_ACCESS_SECRET", "EVOLUTION_API_KEY", "METRICS_TOKEN", "BOOTSTRAP_ADMIN_PASSWORD", "WEBHOOK_JWT_KEY"):
            value = self._text(name)
            if value is not None and value in seen:
                self._fault(name, f"is equal to {seen[value]}; make another one")
            elif value is not None:
                seen[value] = name

    def _cors(self, app_env: str) -> tuple[tuple[str, ...], bool]:
        origins = tuple(part for part in (piece.strip() for piece in (self._text("CORS_ORIGINS") or "").split(",")) if part)
        credentials = self._truth("CORS_CREDENTIALS", default=False)
        if "*" in origins and credentials:
            self._fault("CORS_ORIGINS", "is * together with CORS_CREDENTIALS: every site could act for whoever is logged in")
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                self._fault("CORS_ORIGINS", "must hold origins: scheme://host[:port] without path, separated by commas")
            elif origin.startswith("http:") and app_env == "production":
                self._fault("CORS_ORIGINS", "holds an http origin; use https in production")
        return origins, credentials

    def _open_docs(self, app_env: str) -> bool:
        default = "PROTECTED" if app_env == "production" else "OPEN"
        value = self._one_of("OPENAPI", default, ("OPEN", "PROTECTED"))
        if value == "OPEN" and app_env == "production":
            self._fault("OPENAPI", "is open in production; unset it or use protected")
        return value == "OPEN"

    def _variant(self, name: str, deed: str, app_env: str, known: Callable[[], list[str]]) -> str | None:
        value = self._text(name)
        if value is None:
            return None
        if app_env == "production":
            self._fault(name, f"plants {deed} and is refused in production; unset it")
        elif value not in known():
            near = difflib.get_close_matches(value, known(), n=1)
            self._fault(name, f"names nothing that can be planted{f'; did you mean {near[0]}?' if near else ''}")
        return value

    def _fault(self, name: str, problem: str) -> None:
        self.faults.append(f"{name} {problem}")

    def _text(self, name: str) -> str | None:
        value = self._environment.get(name, "").strip()
        return value or None

    def _required(self, name: str) -> str:
        value = self._text(name)
        if value is None:
            self._fault(name, f"is missing: {VARIABLES[name]}")
        return value or ""

    def _misspelt_names(self) -> None:
        for name in self._environment:
            if name in VARIABLES:
                continue
            near = difflib.get_close_matches(name.upper(), VARIABLES, n=1, cutoff=_SIMILAR)
            if near:
                self._fault(name, f"is not read; did you mean {near[0]}?")

    def _unreadable_values(self) -> None:
        for name in VARIABLES:
            value = self._text(name) or ""
            if not value.isprintable():
                self._fault(name, "holds a line break, another control character, or bytes that are not UTF-8")
            elif name in _IN_HEADERS and not value.isascii():
                self._fault(name, "holds characters that no HTTP header carries; use ASCII")

    def _app_env(self) -> str:
        given = {name: value for name in ("APP_ENV", "NODE_ENV") if (value := self._text(name)) is not None}
        if not given:
            self._fault("APP_ENV", f"is missing: {VARIABLES['APP_ENV']}")
        if len(set(given.values())) > 1:
            self._fault("NODE_ENV", "contradicts APP_ENV; set one of them")
        value = next(iter(given.values()), "production")
        if value not in _ENVIRONMENTS:
            self._fault(next(iter(given)), f"must be one of {', '.join(_ENVIRONMENTS)}")
        return value

    def _secret(self, name: str) -> str:
        value = self._required(name)
        if value and len(value) < _SECRET_SHORTEST:
            self._fault(name, f"is weak: at least {_SECRET_SHORTEST} characters, for example from `openssl rand -base64 48`")
        elif value and (_is_example(value) or len(set(value)) < 8):
            self._fault(name, "is an example value; make your own, for example with `openssl rand -base64 48`")
        return value

    def _database_url(self, app_env: str) -> str:
        value = self._text("DATABASE_URL")
        if value is None:
            self._fault("DATABASE_URL", f"is missing: {VARIABLES['DATABASE_URL']}")
            return ""
        scheme = value.partition(":")[0].partition("+")[0]
        if scheme == "sqlite" and app_env == "production":
            self._fault("DATABASE_URL", "is SQLite in memory, which forgets everything; production needs postgresql://…")
        elif scheme not in ("postgresql", "postgres", "sqlite") or "://" not in value:
            self._fault("DATABASE_URL", "must begin with postgresql:// or be sqlite://")
        elif scheme == "sqlite" and value.partition("://")[2] not in ("", "/", "/:memory:") and "mode=memory" not in value:
            self._fault("DATABASE_URL", "names an SQLite file; only sqlite:// (in memory) is known")
        elif not _has_readable_place(value):
            self._fault("DATABASE_URL", "is no URL: look at host and port, and write / ? # of a password as %2F %3F %23")
        return value.replace("postgres://", "postgresql://", 1) if value.startswith("postgres://") else value

    def _base_url(self, app_env: str) -> str:
        return self._url("BASE_URL", https_only=app_env == "production")

    def _url(self, name: str, *, https_only: bool) -> str:
        value = self._required(name)
        if not value:
            return ""
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError:
            self._fault(name, "is no URL")
            return value
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            self._fault(name, "must be http(s)://host[:port][/path] without query")
        elif parts.username is not None or parts.password is not None:
            self._fault(name, "must hold no user name and password")
        elif https_only and parts.scheme != "https":
            self._fault(name, "must be https in production")
        elif name == "BASE_URL" and not https_only and parts.scheme == "http" and not _is_private(host):
            self._fault(name, "is http on a public host; use https")
        elif _is_link_local(host):
            self._fault(name, "is a link-local address, where clouds keep the keys of machines; name the server itself")
        elif host in ("example.com", "example.org") or host.endswith((".example.com", ".example")):
            self._fault(name, "is an example value")
        return value.rstrip("/")

    def _no_test_bypass(self, app_env: str) -> None:
        enabled = self._truth("ENABLE_TEST_BYPASS", default=False)
        if enabled and app_env == "production":
            self._fault("ENABLE_TEST_BYPASS", "must be unset or false in production")
        # Many programs read a DEBUG of their own, so only production minds what it says.
        if app_env == "production" and (self._text("DEBUG") or "").lower() not in _FALSE:
            self._fault("DEBUG", "must be unset or false in production")

    def _truth(self, name: str, *, default: bool) -> bool:
        value = self._text(name)
        if value is None:
            return default
        if value.lower() not in (*_TRUE, *_FALSE):
            self._fault(name, "must be true or false")
        return value.lower() in _TRUE

    def _number(self, name: str, default: float, *, least: float, most: float) -> float:
        value = self._text(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            self._fault(name, "is no number")
            return default
        if not least <= number <= most:
            self._fault(name, f"must be between {least:g} and {most:g}")
        return number

    def _one_of(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = (self._text(name) or default).upper()
        if value not in allowed:
            self._fault(name, f"must be one of {', '.join(allowed)}")
        return value


def _has_readable_place(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def _is_example(value: str) -> bool:
    lowered = value.lower()
    return any(mark in lowered for mark in _EXAMPLES)


def _is_link_local(host: str) -> bool:
    address = _address(host)
    if address is None:
        return host.lower().rstrip(".") in ("metadata.google.internal", "metadata", "instance-data", "instance-data.ec2.internal")
    return address.is_link_local or address in _METADATA


def _is_private(host: str) -> bool:
    address = _address(host)
    if address is None:
        # A name without a dot is a neighbour: a container, or this machine.
        return host == "localhost" or "." not in host or host.endswith((".internal", ".local"))
    return address.is_private or address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """What a client would connect to, also for `2852039166`, `0xa9.254.43518` and `::ffff:a9fe:a9fe`; None for a name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, UnicodeEncodeError):
            return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped if mapped is not None else address
