"""A fake Evolution API 2.3.7: HTTP, webhooks, connection life cycle and faults of the real server, without WhatsApp."""

from __future__ import annotations

from harness.evolution.client import EvolutionControl
from harness.evolution.errors import ControlError, EvolutionError, ExpectationError, FakeServerError
from harness.evolution.server import FakeEvolution, serve
from harness.evolution.settings import ServerSettings, WebhookRetry

__all__ = [
    "ControlError",
    "EvolutionControl",
    "EvolutionError",
    "ExpectationError",
    "FakeEvolution",
    "FakeServerError",
    "ServerSettings",
    "WebhookRetry",
    "serve",
]
