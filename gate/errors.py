"""What can go wrong, in two kinds: the subject is wrong (`Failure`), or we could not look (`GateError`)."""

from __future__ import annotations

__all__ = [
    "Failure",
    "GateError",
    "Inconclusive",
    "JournalError",
    "NotApplicable",
    "PolicyError",
    "RegistryError",
    "SelectionError",
    "UsageError",
]


class Failure(Exception):
    """Raised by a check: it looked, and the subject is wrong. The text is the outcome's reason."""


class Inconclusive(Exception):
    """Raised by a check: it looked, and saw too little to tell."""


class NotApplicable(Exception):
    """Raised by a check: the question does not arise here. The text says why; policy decides whether that may be."""


class GateError(Exception):
    """We could not look. The text is one line: what, where, what to do. The runner turns it into an ERROR outcome."""


class UsageError(GateError):
    """The caller asked for something that does not exist; found before anything ran. Exit status 2."""


class SelectionError(UsageError):
    """An id, pattern or tag that names nothing."""


class PolicyError(UsageError):
    """A policy that cannot be understood."""


class RegistryError(GateError):
    """An item of a registry is not well formed, or two have one id."""


class JournalError(GateError):
    """A journal that cannot be read or written at all."""
