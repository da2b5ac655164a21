"""A login tells whether somebody of that address exists.

Area: security.
Killed by: scenario.wrong-login.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.domain.errors import UnauthorizedError
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    async def login(*, email: str, **more: Any) -> Any:
        async with backend.store.unit_of_work(None) as work:
            if await work.users.by_email(email.strip().lower()) is None:
                reach()
                raise UnauthorizedError("No such user")
        return await original(email=email, **more)

    original = override(backend.services.authentication, "login", login)
