"""What an operator configures on the server: the same names and meanings as the real one's environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from harness.evolution.events import EVENTS

__all__ = ["ServerSettings", "WebhookRetry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRetry:
    """Back-off of webhook delivery; seconds. Defaults of release 2.3.7."""

    attempts: int = 10
    initial: float = 5.0
    maximum: float = 300.0
    exponential: bool = True
    jitter: float = 0.2
    timeout: float = 30.0
    final_statuses: frozenset[int] = frozenset({400, 401, 403, 404, 422})

    def delay(self, failures: int, noise: float) -> float:
        """Seconds before the attempt that follows `failures` failed ones; `noise` in [-1, 1]. Never below `initial`."""
        if not self.exponential:
            return self.initial
        planned = min(self.initial * 2.0 ** (failures - 1), self.maximum)
        return max(self.initial, planned * (1 + self.jitter * noise))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The server's configuration. `server_url` empty means the address it listens on; `timezone` skews `date_time`."""

    server_url: str = ""
    client_name: str = "evolution_exchange"
    timezone: str = "UTC"
    expose_token: bool = True
    qrcode_limit: int = 30
    retry: WebhookRetry = field(default_factory=WebhookRetry)
    global_webhook_url: str = ""
    global_webhook_by_events: bool = False
    global_events: frozenset[str] = EVENTS
    errors_webhook_url: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ServerSettings:
        """Reads the real server's variables; as there, a number that is 0 or not a number falls back to its default.

        Of the list of final statuses only its absence does: an empty one holds nothing.
        """
        retry = WebhookRetry()
        finals = environment.get("WEBHOOK_RETRY_NON_RETRYABLE_STATUS_CODES")
        codes = frozenset(int(code) for code in (finals or "").split(",") if code.strip().isdigit())
        switched_on = {
            name.removeprefix("WEBHOOK_EVENTS_")
            for name, value in environment.items()
            if name.startswith("WEBHOOK_EVENTS_") and value == "true"
        }
        return cls(
            server_url=environment.get("SERVER_URL", ""),
            client_name=environment.get("DATABASE_CONNECTION_CLIENT_NAME") or "evolution_exchange",
            timezone=environment.get("TZ") or "UTC",
            expose_token=environment.get("AUTHENTICATION_EXPOSE_IN_FETCH_INSTANCES", "true") == "true",
            qrcode_limit=_whole(environment.get("QRCODE_LIMIT"), 30),
            retry=replace(
                retry,
                attempts=_whole(environment.get("WEBHOOK_RETRY_MAX_ATTEMPTS"), retry.attempts),
                initial=float(_whole(environment.get("WEBHOOK_RETRY_INITIAL_DELAY_SECONDS"), int(retry.initial))),
                maximum=float(_whole(environment.get("WEBHOOK_RETRY_MAX_DELAY_SECONDS"), int(retry.maximum))),
                timeout=_whole(environment.get("WEBHOOK_REQUEST_TIMEOUT_MS"), int(retry.timeout * 1000)) / 1000,
                exponential=environment.get("WEBHOOK_RETRY_USE_EXPONENTIAL_BACKOFF") != "false",
                jitter=_fraction(environment.get("WEBHOOK_RETRY_JITTER_FACTOR"), retry.jitter),
                final_statuses=retry.final_statuses if finals is None else codes,
            ),
            global_webhook_url=_when(environment, "WEBHOOK_GLOBAL_ENABLED", "WEBHOOK_GLOBAL_URL"),
            global_webhook_by_events=environment.get("WEBHOOK_GLOBAL_WEBHOOK_BY_EVENTS") == "true",
            # Recorded: instance.create came although nothing had switched it on.
            global_events=(EVENTS & switched_on) | {"INSTANCE_CREATE"},
            errors_webhook_url=_when(environment, "WEBHOOK_EVENTS_ERRORS", "WEBHOOK_EVENTS_ERRORS_WEBHOOK"),
        )


def _whole(text: str | None, default: int) -> int:
    """As JavaScript's parseInt: what follows the digits does not matter."""
    found = re.match(r"\s*([+-]?[0-9]+)", text or "")
    return (int(found[1]) if found else 0) or default


def _fraction(text: str | None, default: float) -> float:
    found = re.match(r"\s*([+-]?[0-9]*\.?[0-9]+)", text or "")
    return (float(found[1]) if found else 0.0) or default


def _when(environment: Mapping[str, str], switch: str, name: str) -> str:
    return environment.get(name, "") if environment.get(switch) == "true" else ""
