"""The endpoints, one module for each group of the real server's router."""

from __future__ import annotations

from harness.evolution.app import Endpoint
from harness.evolution.routes import chat, configuration, group, instance, message, server

__all__ = ["endpoints"]


def endpoints() -> list[Endpoint]:
    """Every endpoint of the server."""
    return [endpoint for module in (server, instance, configuration, message, chat, group) for endpoint in module.ENDPOINTS]
