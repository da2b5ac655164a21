"""Keeps what the scenarios learn on their way – passwords, tokens, webhook secrets – out of everything they report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gate.masking import Masker

__all__ = ["Secrecy"]


class Secrecy:
    """A masker that learns. Safe to use from several threads."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._masker = Masker(secrets)

    def learn(self, secret: str) -> str:
        """From now on this text never appears in a report; returns it."""
        self._masker.learn((secret,))
        return secret

    def text(self, text: str) -> str:
        return self._masker.text(text)

    def value(self, value: Any) -> Any:
        """A JSON-like value with every text in it masked, and every value under a secret's name replaced."""
        return self._masker.value(value)
