"""A super admin's session with a backend: plain HTTP, every answer with its time and its request id."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from gate.model import Evidence
from harness.errors import HarnessError
from harness.target import Target

__all__ = ["Answer", "Session"]

TIMEOUT_S = 30.0
# An answer that drips for ever is none.
LONGEST_ANSWER_S = 60.0
LARGEST_ANSWER = 32_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the backend answered. `body` is the decoded JSON, or None when it is none; `request_id` empty when it gave none."""

    status: int
    body: Any
    seconds: float
    request_id: str

    def field(self, *names: str) -> Any:
        """The value below nested keys of the body, or None."""
        value = self.body
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def evidence(self) -> tuple[Evidence, ...]:
        return (
            Evidence(label="status code", value=self.status),
            Evidence(label="seconds", value=round(self.seconds, 4), unit="s"),
            Evidence(label="request id", value=self.request_id or "none given"),
        )

    @property
    def request(self) -> str:
        """The request id in words, for reasons."""
        return f"request id {self.request_id or 'none given'}"

    def told(self) -> str:
        """The answer in one line, for reasons: status, its own error sentence, request id."""
        error = self.field("error")
        words = f" ({str(error)[:200]})" if error else ""
        return f"{self.status}{words}, {self.request}"


class Session:
    """Talks to one target; safe to use from several threads. Close it, or use it as a context manager."""

    def __init__(self, target: Target, *, timeout_s: float = TIMEOUT_S) -> None:
        self.target = target
        self._client = httpx.Client(
            base_url=target.url,
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=32),
            # Certificates take 30 ms to load; redirects are not followed, so only an https URL needs them.
            verify=target.url.startswith("https:"),
        )
        self._token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request. Raises HarnessError when no answer came; the message names method and path, never what was sent."""
        sent = dict(headers or {})
        if self._token:
            sent.setdefault("Authorization", f"Bearer {self._token}")
        began = time.monotonic()
        response, raw = self._read(method, path, json=body, params=params, headers=sent)
        seconds = time.monotonic() - began
        try:
            content = json.loads(raw)
        except (ValueError, RecursionError):
            content = None
        named = content.get("requestId") if isinstance(content, dict) else None
        return Answer(
            status=response.status_code,
            body=content,
            seconds=seconds,
            request_id=response.headers.get("x-request-id") or str(named or ""),
        )

    def text(self, path: str, *, token: str = "") -> tuple[int, str]:
        """Status and text of a GET; `token` is sent as bearer. Raises HarnessError when no answer came."""
        response, raw = self._read("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        return response.status_code, raw.decode(errors="replace")

    def _read(self, method: str, path: str, **sent: Any) -> tuple[httpx.Response, bytes]:
        began, raw = time.monotonic(), bytearray()
        try:
            with self._client.stream(method, path, **sent) as response:
                for piece in response.iter_bytes():
                    raw += piece
                    if len(raw) > LARGEST_ANSWER or time.monotonic() - began > LONGEST_ANSWER_S:
                        raise HarnessError(
                            f"{method} {path}: the answer of {self.target.url} did not end within {LONGEST_ANSWER_S:g} s and"
                            f" {LARGEST_ANSWER // 1_000_000} MB"
                        )
        except httpx.HTTPError as error:
            raise HarnessError(f"{method} {path}: no answer from {self.target.url} ({type(error).__name__})") from error
        return response, bytes(raw)

    def login(self) -> Answer:
        """Logs in as the target's admin; from a 200 with a token on, every request carries it."""
        self._token = ""
        answer = self.request(
            "POST", "/admin/login", body={"email": self.target.admin_email, "password": self.target.admin_password}
        )
        token = answer.field("accessToken")
        if answer.status == 200 and isinstance(token, str):
            self._token = token
        return answer

    @property
    def logged_in(self) -> bool:
        return bool(self._token)

    def must_login(self) -> None:
        """Raises HarnessError when the log-in is refused."""
        answer = self.login()
        if not self.logged_in:
            what = " and no accessToken" if answer.status == 200 else ""
            raise HarnessError(f"log-in as {self.target.admin_email} was answered {answer.told()}{what}")

    def send(self, *, unit: str, phone: str, text: str, client_message_id: str) -> Answer:
        return self.request(
            "POST",
            "/messages",
            body={"phone": phone, "message": text, "clientMessageId": client_message_id, "unitId": unit},
        )

    def status(self, unit: str) -> Answer:
        return self.request("GET", f"/units/{unit}/whatsapp/status")
