"""What may go wrong, in the words a client may read: no secret, phone, SQL, path or id of another unit ever goes into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "BackendError",
    "ConflictError",
    "ForbiddenError",
    "InvalidInputError",
    "InvalidProviderError",
    "NotConnectedError",
    "NotFoundError",
    "ProviderFailedError",
    "ProviderUnavailableError",
    "SchemaMissingError",
    "StorageUnavailableError",
    "ThrottledError",
    "UnauthorizedError",
    "UnsafeRoleError",
    "UnstorableError",
]


class BackendError(Exception):
    """The request cannot be answered as asked. `details` is shown to the client beside the sentence."""

    def __init__(
        self, sentence: str, *, details: Mapping[str, Any] | Sequence[Any] | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.details = details
        self.retry_after_s = retry_after_s


class UnauthorizedError(BackendError):
    """Who asks is not known."""


class ForbiddenError(BackendError):
    """Who asks is known and may not."""


class NotFoundError(BackendError):
    """It does not exist for who asks; another unit's resource looks the same."""


class InvalidInputError(BackendError):
    """The request is understood and cannot be carried out as written."""


class InvalidProviderError(InvalidInputError):
    """There is no such provider."""

    def __init__(self) -> None:
        super().__init__("Invalid provider")


class ConflictError(BackendError):
    """It cannot be done in the present state."""


class UnstorableError(InvalidInputError):
    """A value that no database holds, such as a text with a NUL, got past the rules of its field."""

    def __init__(self) -> None:
        super().__init__("The request holds a value that cannot be stored")


class NotConnectedError(ConflictError):
    """The unit has no open WhatsApp connection."""

    def __init__(self) -> None:
        super().__init__("WhatsApp not connected for this unit")


class SchemaMissingError(Exception):
    """The database lacks tables or columns that this release needs; the message names some of them and what to run."""


class UnsafeRoleError(ValueError):
    """The database's row-level security does not hold for the role that connects; the message says which to use."""


class ThrottledError(BackendError):
    """Too many tries; `retry_after_s` says when the next may come."""


class ProviderFailedError(BackendError):
    """The provider was reached and did not do it."""


class ProviderUnavailableError(BackendError):
    """The provider could not be reached."""


class StorageUnavailableError(BackendError):
    """The database cannot be used now; nothing was changed."""
