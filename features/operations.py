"""What only the operator of a backend can do to it, asked for over HTTP (`harness.operations`).

A backend whose operator offers none of it is not looked at in this, and the outcome says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from gate.errors import Inconclusive, NotApplicable
from harness.errors import HarnessError
from harness.operations import TOKEN_HEADER, DatabaseState
from harness.target import Target

__all__ = ["Operations"]

_TIMEOUT_S = 30.0


class Operations:
    """Raises NotApplicable for a target without an operator's address, HarnessError when it does not do what was asked.

    A target that is `shared` with other scenarios at the same time is left alone: Inconclusive.
    """

    def __init__(self, target: Target, *, shared: bool = False) -> None:
        self._target = target
        self._shared = shared

    def require_alone(self) -> None:
        """Raises Inconclusive where others would be disturbed."""
        if self._shared:
            raise Inconclusive("it would disturb the scenarios of other workers: this was not looked at; run one worker")

    @contextmanager
    def database(self, state: DatabaseState) -> Iterator[None]:
        """The backend's database is in this state while the block runs."""
        self._ask("database", {"state": state})
        try:
            yield
        finally:
            self._ask("database", {"state": "up"})

    def rotate_webhook_secrets(self) -> None:
        """Every webhook gets a new secret; the old ones stay valid for a window."""
        self._ask("webhook-secrets", {})

    def _ask(self, act: str, body: dict[str, Any]) -> None:
        self.require_alone()
        if not self._target.operations_url:
            raise NotApplicable(f"the backend's operator offers no {act} (GOLIVE_OPERATIONS_URL is not set)")
        try:
            answer = httpx.post(
                f"{self._target.operations_url}/{act}",
                json=body,
                headers={TOKEN_HEADER: self._target.control_token},
                timeout=_TIMEOUT_S,
                trust_env=False,
                verify=self._target.operations_url.startswith("https:"),
            )
        except httpx.HTTPError as error:
            raise HarnessError(f"{act} of the operator cannot be reached ({type(error).__name__})") from None
        if answer.status_code != 200:
            raise HarnessError(f"{act} of the operator answered {answer.status_code}")
