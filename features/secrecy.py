"""Keeps what the scenarios learn on their way – passwords, tokens, webhook secrets – out of everything they report."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from gate.masking import Masker

__all__ = ["Secrecy"]


class Secrecy:
    """A masker that learns. Safe to use from several threads."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._secrets = {secret for secret in secrets if secret}
        self._masker = Masker(self._secrets)

    def learn(self, secret: str) -> str:
        """From now on this text never appears in a report; returns it."""
        with self._lock:
            if secret and secret not in self._secrets:
                self._secrets.add(secret)
                self._masker = Masker(self._secrets)
        return secret

    def text(self, text: str) -> str:
        return self._masker.text(text)
