"""The public address is read from another name than the documented one, and falls back to a default.

Area: release.
Killed by: scenario.connect-generates-qr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]

_DEFAULT = "http://127.0.0.1:9"


def apply(backend: Backend, reach: Reach) -> None:
    def webhook_url(secret: str) -> str:
        reach()
        return f"{_DEFAULT}/webhooks/whatsapp/evolution/{secret}"

    # `PUBLIC_URL` is what the code asks for; the operator has set `BASE_URL`, as the documentation says.
    override(backend.services.connections, "_webhook_url", webhook_url)
