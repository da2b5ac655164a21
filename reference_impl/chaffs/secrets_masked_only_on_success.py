"""Secrets are masked where all goes well, and an error tells them.

Area: security.
Killed by: scenario.errors-tell-no-secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.domain.errors import BackendError, ProviderFailedError, ProviderUnavailableError
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def create_instance(name: str, *, webhook_url: str) -> bool:
        try:
            created: bool = await original(name, webhook_url=webhook_url)
        except (ProviderFailedError, ProviderUnavailableError) as error:
            reach()
            request: dict[str, Any] = {"apikey": backend.settings.evolution_api_key, "webhook": webhook_url}
            raise _again(error, request) from error
        return created

    original = override(backend.provider, "create_instance", create_instance)


def _again(error: BackendError, request: dict[str, Any]) -> BackendError:
    return type(error)(error.sentence, details={"request": request}, retry_after_s=error.retry_after_s)
