"""A client of the backend under test: signs in, remembers what it was answered, and says what it expected instead.

It knows the contract's routes and nothing of the backend's inside. A backend that cannot be reached is a HarnessError (we could
not look); one that was reached and did not answer properly is a Mismatch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from features.exchanges import Exchange, Witness
from features.expectations import Mismatch
from features.secrecy import Secrecy
from features.timing import TargetTime
from harness.errors import HarnessError

__all__ = ["Answer", "Backend", "Member"]

TIMEOUT_S = 30.0
# Access tokens live 15 minutes; the rest is the whole seconds in which their times are written.
TOKEN_LIFE_S = 15 * 60 - 2.0
PAGE_SIZE = 100
MOST_PAGES = 50
_MOST_LOGINS = 6
_CURSOR = re.compile("next|cursor", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the backend. `body` is the JSON document, or the text where it is none."""

    request: str
    status: int
    body: Any = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def request_id(self) -> str:
        """The id under which the backend logged the request; empty when it gave none."""
        stated = self.body.get("requestId") if isinstance(self.body, dict) else None
        return str(stated or self.headers.get("x-request-id", ""))

    @property
    def error(self) -> str:
        return str(self.body.get("error", "")) if isinstance(self.body, dict) else ""

    @property
    def next_cursor(self) -> str:
        """Where the next page of a list begins, by whatever name the backend tells it; empty on the last page."""
        told = self.body.items() if isinstance(self.body, dict) else ()
        return next((str(value) for name, value in told if value and _CURSOR.search(name) and isinstance(value, str | int)), "")

    def expect(self, *statuses: int) -> Answer:
        """The answer itself; Mismatch when its status is none of these."""
        if self.status not in statuses:
            said = f" {self.error!r}" if self.error else ""
            raise Mismatch(
                self.request,
                expected=" or ".join(map(str, statuses)),
                seen=f"{self.status}{said}",
                request_id=self.request_id,
            )
        return self

    def value(self, *path: str) -> Any:
        """The value at a path of keys in the body; Mismatch when it is not there."""
        here = self.body
        for depth, key in enumerate(path):
            if not isinstance(here, dict) or key not in here:
                raise Mismatch(
                    f"{self.request}, answer {self.status}",
                    expected=f"a field {'.'.join(path[: depth + 1])}",
                    seen=f"the fields {', '.join(sorted(here))}" if isinstance(here, dict) else f"a {type(here).__name__}",
                    request_id=self.request_id,
                )
            here = here[key]
        return here

    def text(self, *path: str) -> str:
        """As `value`, and Mismatch when it is no text or an empty one."""
        value = self.value(*path)
        if not isinstance(value, str) or not value:
            raise Mismatch(f"{self.request}, field {'.'.join(path)}", expected="a text", seen=value, request_id=self.request_id)
        return value

    def identifier(self, *path: str) -> str:
        """As `value`, an id: a text or a whole number, as text."""
        value = self.value(*path)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise Mismatch(f"{self.request}, field {'.'.join(path)}", expected="an id", seen=value, request_id=self.request_id)
        return str(value)


class Backend:
    """The backend behind a URL. Safe to use from several threads."""

    def __init__(self, url: str, *, time: TargetTime, secrecy: Secrecy, witness: Witness | None = None) -> None:
        self._witness = witness
        self.url = url.rstrip("/")
        self.time = time
        self._secrecy = secrecy
        self._client = httpx.Client(
            base_url=self.url,
            timeout=TIMEOUT_S,
            trust_env=False,
            # Certificates take 30 ms to load; redirects are not followed, so only an https URL needs them.
            verify=self.url.startswith("https:"),
            headers={"User-Agent": "golive-scenarios"},
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=64, keepalive_expiry=3.0),
        )

    def close(self) -> None:
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        token: str = "",
        waits: bool = False,
    ) -> Answer:
        """Sends one request and returns whatever was answered. `path` may be a whole URL.

        `waits` says that the backend may wait on its clock before it answers, as for a provider that takes seconds: then its
        time is moved on meanwhile.

        Raises HarnessError when the backend cannot be reached, Mismatch when it took the request and gave no answer.
        """
        shown = self._secrecy.text(f"{method} {_path_of(path)}")
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            content = json.dumps(body, ensure_ascii=False).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        address = f"{path}?{urlencode(query)}" if query else path

        def send() -> httpx.Response:
            return self._client.request(method, address, content=content, headers=sent)

        try:
            response = self.time.pace.call(send) if waits else send()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise HarnessError(f"{shown}: {self.url} cannot be reached ({type(error).__name__})") from None
        except httpx.TransportError as error:
            raise Mismatch(shown, expected="an answer", seen=f"{type(error).__name__}: {error}") from None
        answer = Answer(request=shown, status=response.status_code, body=_body_of(response), headers=dict(response.headers))
        if self._witness is not None:
            self._witness(
                Exchange(
                    kind="webhook" if "/webhooks/" in shown else "request",
                    what=f"{shown}?{urlencode(query)}" if query else shown,
                    status=answer.status,
                    request_id=answer.request_id,
                    sent=body if body is not None else content and content.decode("utf-8", "replace"),
                    seen=answer.body,
                )
            )
        return answer

    def uptime(self) -> float | None:
        """Seconds since the backend started, as its health tells; None when it tells none."""
        body = self.request("GET", "/health").body
        value = body.get("uptime") if isinstance(body, dict) else None
        return float(value) if isinstance(value, int | float) else None

    def login(self, email: str, password: str, **more: Any) -> Answer:
        """The answer to a login, after as much patience as the backend asks for with 429 and `Retry-After`."""
        for _ in range(_MOST_LOGINS):
            answer = self.request("POST", "/admin/login", body={"email": email, "password": password, **more})
            if answer.status != 429:
                break
            self._wait(answer)
        for name in ("accessToken", "refreshToken"):
            if isinstance(answer.body, dict) and isinstance(answer.body.get(name), str):
                self._secrecy.learn(answer.body[name])
        return answer

    def member(self, email: str, password: str) -> Member:
        """Somebody who is signed in. Raises Mismatch when the login is refused."""
        self._secrecy.learn(password)
        member = Member(backend=self, email=email, password=password)
        member.sign_in()
        return member

    @contextmanager
    def stream(self, path: str, *, token: str = "") -> Iterator[httpx.Response]:
        """An open answer that goes on, as of `GET …/events`. Raises HarnessError when the backend cannot be reached."""
        headers = {"Accept": "text/event-stream"} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            with self._client.stream("GET", path, headers=headers, timeout=httpx.Timeout(TIMEOUT_S)) as response:
                yield response
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise HarnessError(f"GET {path}: {self.url} cannot be reached ({type(error).__name__})") from None

    def _wait(self, answer: Answer) -> None:
        try:
            seconds = float(answer.headers.get("retry-after", "1"))
        except ValueError:
            seconds = 1.0
        self.time.let_pass(seconds)


@dataclass(slots=True, kw_only=True)
class Member:
    """Somebody who is signed in to the backend, and signs in again when the token has lived its life on the target's clock."""

    backend: Backend
    email: str
    password: str = field(repr=False)
    token: str = field(default="", repr=False)
    signed_in_at: float = 0.0

    def sign_in(self) -> None:
        self.signed_in_at = self.backend.time.monotonic()
        answer = self.backend.login(self.email, self.password).expect(200)
        self.token = answer.text("accessToken")

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Any = None, *, waits: bool = False) -> Answer:
        return self.request("POST", path, body=body, waits=waits)

    def request(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, str] | None = None, waits: bool = False
    ) -> Answer:
        answer = self.backend.request(method, path, body=body, query=query, token=self.token, waits=waits)
        # Only a token that is too old may be refused: an earlier 401 is the backend's own doing.
        if answer.status == 401 and self.backend.time.monotonic() - self.signed_in_at >= TOKEN_LIFE_S:
            self.sign_in()
            answer = self.backend.request(method, path, body=body, query=query, token=self.token, waits=waits)
        return answer

    def every(self, path: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """All entries of a list, over all its pages. Raises Mismatch when the list is none, or its pages never end."""
        entries: list[dict[str, Any]] = []
        asked = dict(query or {}) | {"limit": str(PAGE_SIZE)}
        for _ in range(MOST_PAGES):
            answer = self.get(path, asked).expect(200)
            entries += _entries(answer)
            if not answer.next_cursor:
                return entries
            asked["cursor"] = answer.next_cursor
        raise Mismatch(f"GET {path}", expected=f"a last page within {MOST_PAGES} pages", seen="one more")


def _entries(answer: Answer) -> Sequence[dict[str, Any]]:
    """The entries of one page: the body itself, or the one list in it."""
    found = [answer.body] if isinstance(answer.body, list) else []
    if isinstance(answer.body, dict):
        found = [value for value in answer.body.values() if isinstance(value, list)]
    if len(found) != 1 or not all(isinstance(entry, dict) for entry in found[0]):
        raise Mismatch(answer.request, expected="one list of objects", seen=answer.body, request_id=answer.request_id)
    return found[0]


def _body_of(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        return response.text


def _path_of(address: str) -> str:
    return httpx.URL(address).path
