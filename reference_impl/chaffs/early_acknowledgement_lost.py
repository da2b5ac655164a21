"""An acknowledgement that overtakes its message is not kept.

Area: outbound.
Killed by: scenario.acknowledged-before-answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.variants import Reach, in_every_transaction, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def change(work: UnitOfWork) -> None:
        async def keep_update(*_: object) -> None:
            reach()

        override(work.messages, "keep_update", keep_update)

    in_every_transaction(backend, change)
