"""The status `qr` cannot be stored, and the error is swallowed.

Area: connect.
Killed by: scenario.connect-generates-qr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.variants import Reach, in_every_transaction, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.domain.records import Connection
    from reference_impl.ports import UnitOfWork

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    def change(work: UnitOfWork) -> None:
        async def save(connection: Connection, *, expected_epoch: int) -> bool:
            if connection.status == "qr":
                reach()
                return True
            saved: bool = await original(connection, expected_epoch=expected_epoch)
            return saved

        original: Any = override(work.connections, "save", save)

    in_every_transaction(backend, change)
