"""The backend as it is served in earnest, two processes on a real Postgres, and a way to fire at it that records every answer."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import sqlalchemy as sa

from harness.evolution import FakeEvolution
from harness.evolution.client import EvolutionControl
from harness.target import RealPace
from reference_impl.migrations.migrate import runtime_url
from reference_impl.tests.hostile.wolf import Wolf, running_wolf

__all__ = ["PASSWORD", "Answer", "Fortress", "Tenant", "besieged"]

T = TypeVar("T")
PASSWORD = "canary-password-of-a-member"
ADMIN_EMAIL = "admin@fortress.invalid"
CONTROL_TOKEN = "control-token"
DATABASE_PASSWORD = "canary-database-password"
_SERVE = (
    "import os; from harness.reference import serve; serve(os.environ, host='127.0.0.1', port=int(os.environ['PORT']), workers=2)"
)
_numbers = itertools.count(1)
# What no answer may hold whatever was asked: traces, statements, files, the names of what the backend is made of.
_TELLING = (
    b"Traceback",
    b"site-packages",
    b'.py"',
    b"/tmp/",
    b"psycopg",
    b"sqlalchemy",
    b"asyncpg",
    b"SELECT ",
    b"INSERT INTO",
    b"UPDATE ",
    b'relation "',
    b'constraint "',
    b"pydantic",
    b"starlette",
    b"granian",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the backend; `status` is 0 when it closed the connection without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True, kw_only=True)
class Tenant:
    """A unit with a connected WhatsApp, a member, and one of everything that has an id."""

    id: str
    slug: str
    email: str
    phone: str
    token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    user_id: str
    secret: str = field(default="", repr=False)
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def instance(self) -> str:
        return f"unit_{self.id}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(slots=True, kw_only=True)
class Fortress:
    """The running processes with what surrounds them."""

    port: int
    environment: dict[str, str] = field(repr=False)
    process: subprocess.Popen[bytes]
    control: EvolutionControl
    wolf: Wolf
    owner_url: str
    workdir: Path
    canaries: list[str] = field(repr=False)
    admin_token: str = field(default="", repr=False)
    a: Tenant = field(init=False)
    b: Tenant = field(init=False)
    answers: list[tuple[str, Answer]] = field(default_factory=list, repr=False)
    workers: frozenset[int] = frozenset()
    read: dict[Path, int] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.admin_token}"}

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        timeout: float = 60,
    ) -> Answer:
        """One request on a connection of its own."""
        sent: dict[str, Any] = {"content": content} if content is not None else {"json": body} if body is not None else {}
        with httpx.Client(base_url=self.url, timeout=timeout, trust_env=False, verify=False) as client:
            got = client.request(method, path, headers=headers, **sent)
        return self._noted(f"{method} {path[:80]}", Answer(status=got.status_code, headers=dict(got.headers), body=got.content))

    def as_a(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """As the member of unit A."""
        return self.ask(method, path, body, headers=self.a.headers | options.pop("headers", {}), **options)

    def as_b(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """As the member of unit B."""
        return self.ask(method, path, body, headers=self.b.headers | options.pop("headers", {}), **options)

    def raw(self, payload: bytes | Iterator[bytes], *, label: str, wait_s: float = 60) -> Answer:
        """Bytes as they are on a connection of their own; what came back until it was closed or one answer was complete."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as connection:
            with contextlib.suppress(ConnectionError, TimeoutError):
                for piece in [payload] if isinstance(payload, bytes) else payload:
                    connection.sendall(piece)
            with contextlib.suppress(ConnectionError, TimeoutError):
                while not _complete(received) and (chunk := connection.recv(65_536)):
                    received += chunk
        return self._noted(label, _parsed(received))

    def deliver(self, tenant: Tenant, event: str, data: Any, *, secret: str | None = None, **envelope: Any) -> Answer:
        """A webhook as Evolution sends it."""
        body = {"event": event, "instance": tenant.instance, "data": data} | envelope
        return self.ask("POST", f"/webhooks/whatsapp/evolution/{secret or tenant.secret}", body)

    def deliver_raw(self, tenant: Tenant, content: bytes, **headers: str) -> Answer:
        path = f"/webhooks/whatsapp/evolution/{tenant.secret}"
        return self.ask("POST", path, content=content, headers={"Content-Type": "application/json"} | headers)

    def number(self) -> str:
        """A phone that nobody had before; from then on a canary."""
        digits = f"55119{70_000_000 + next(_numbers) * 7:08d}"
        self.canaries.append(digits)
        return digits

    def upsert(self, phone: str, identity: str, text: str = "hello", **more: Any) -> dict[str, Any]:
        return {
            "key": {"remoteJid": f"{phone}@s.whatsapp.net", "fromMe": False, "id": identity} | more.pop("key", {}),
            "pushName": "Maria",
            "message": {"conversation": text},
            "messageType": "conversation",
            "messageTimestamp": 1795357299,
        } | more

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Reads (or changes) the database behind the backend's back, as its owner."""
        engine = sa.create_engine(self.owner_url)
        try:
            with engine.begin() as connection:
                result = connection.execute(sa.text(statement), values)
                return [dict(row) for row in result.mappings()] if result.returns_rows else []
        finally:
            engine.dispose()

    def eventually(self, condition: Callable[[], T | None], *, within_s: float = 60, what: str = "condition") -> T:
        return RealPace().eventually(condition, within_s=within_s, what=what)

    def outputs(self, *, new_only: bool = False) -> str:
        """Everything that the processes wrote anywhere, or what they wrote since the case began."""
        found = []
        for path in sorted(self.workdir.iterdir()):
            with path.open("rb") as file:
                file.seek(self.read.get(path, 0) if new_only else 0)
                found.append(file.read().decode(errors="replace"))
        return "".join(found)

    def begin(self) -> None:
        """Before a case."""
        self.answers.clear()
        self.control.withdraw()
        self.wolf.sleeps()
        self.read = {path: path.stat().st_size for path in self.workdir.iterdir()}

    def stands(self, *, server_errors: frozenset[int] = frozenset()) -> None:
        """After a case: no 5xx but those that are the contract's answer to it, the same workers, others are served, no leak."""
        fired = list(self.answers)
        assert self.process.poll() is None, "the server has ended"
        assert _children(self.process.pid) == self.workers, "a worker has died"
        assert self.as_b("GET", "/contacts?limit=1", timeout=15).status == 200
        assert self.ask("GET", "/health", timeout=15).status == 200
        for label, answer in fired:
            assert answer.status < 500 or answer.status in server_errors, f"{label}: {answer.status} {answer.body[:300]!r}"
            self._tells_nothing(label, answer)
        new = self.outputs(new_only=True)
        for canary in {*self.canaries, self.a.secret, self.b.secret, PASSWORD, DATABASE_PASSWORD}:
            assert not canary or canary not in new, f"a canary is in the log: …{_around(new, canary)}…"
        for line in new.splitlines():
            if line.startswith("{"):
                assert isinstance(json.loads(line), dict)

    def _tells_nothing(self, label: str, answer: Answer) -> None:
        shown = answer.body
        if answer.status >= 400:
            for telling in _TELLING:
                assert telling not in shown, f"{label}: {shown[:300]!r}"
            for canary in self.canaries:
                assert canary.encode() not in shown, f"{label}: {shown[:300]!r}"
        for secret in (*self.environment_secrets(), self.a.secret, self.b.secret, PASSWORD):
            assert not secret or secret.encode() not in shown, f"{label} shows a secret"

    def environment_secrets(self) -> tuple[str, ...]:
        names = ("EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET", "METRICS_TOKEN", "BOOTSTRAP_ADMIN_PASSWORD")
        return tuple(self.environment[name] for name in names)

    def _noted(self, label: str, answer: Answer) -> Answer:
        self.answers.append((label, answer))
        return answer

    def login(self, email: str, password: str) -> Any:
        answer = self.ask("POST", "/admin/login", {"email": email, "password": password})
        assert answer.status == 200, answer.body
        return answer.json()

    def tenant(self, *, connected: bool = True) -> Tenant:
        tag = secrets.token_hex(4)
        made = self.ask("POST", "/admin/units", {"name": f"Unit {tag}", "slug": f"unit-{tag}"}, headers=self.admin).json()
        email = f"member-{tag}@fortress.invalid"
        person = {"name": "Member", "email": email, "password": PASSWORD, "role": "unit_admin", "unitId": made["id"]}
        user = self.ask("POST", "/admin/users", person, headers=self.admin)
        assert user.status == 201, user.body
        tokens = self.login(email, PASSWORD)
        tenant = Tenant(
            id=made["id"],
            slug=made["slug"],
            email=email,
            phone=self.number(),
            token=tokens["accessToken"],
            refresh_token=tokens["refreshToken"],
            user_id=user.json()["id"],
        )
        if connected:
            self.connect(tenant)
        return tenant

    def connect(self, tenant: Tenant) -> None:
        body = {"provider": "evolution", "credentials": {}}
        answer = self.ask("POST", f"/units/{tenant.id}/whatsapp/connect", body, headers=tenant.headers)
        assert answer.status == 201, answer.body
        row = next(row for row in self.control.instances() if row["name"] == tenant.instance)
        tenant.secret = str(row["webhook"]["url"]).rpartition("/")[2]
        self.control.scan(tenant.instance, phone=tenant.phone, profile_name="Unit")
        path = f"/units/{tenant.id}/whatsapp/status"
        self.eventually(
            lambda: self.ask("GET", path, headers=tenant.headers).json()["status"] == "connected" or None, what="connected"
        )

    def furnish(self, tenant: Tenant) -> None:
        """Gives the unit one of everything that has an id."""
        contact = self.ask("POST", "/contacts", {"phone": self.number(), "name": "Somebody"}, headers=tenant.headers).json()
        body = {"phone": self.number(), "message": "canary-text of a tenant", "clientMessageId": str(uuid4())}
        sent = self.ask("POST", "/messages", body, headers=tenant.headers)
        assert sent.status == 200, sent.body
        conversation = self.ask("GET", "/conversations", headers=tenant.headers).json()["items"][0]
        made = {"name": "News", "content": "Hello", "contactIds": [contact["id"]]}
        campaign = self.ask("POST", "/api/campaigns", made, headers=tenant.headers).json()
        tenant.ids = {
            "contact_id": contact["id"],
            "message_id": sent.json()["internalId"],
            "conversation_id": conversation["id"],
            "campaign_id": campaign["id"],
        }


@contextlib.contextmanager
def besieged(owner_url: str, workdir: Path, **settings: str) -> Iterator[Fortress]:
    """A fortress on a migrated database, with two furnished tenants."""
    names = ("EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET", "METRICS_TOKEN", "BOOTSTRAP_ADMIN_PASSWORD")
    canaries = {name: secrets.token_urlsafe(36) for name in names}
    with (
        FakeEvolution(key=canaries["EVOLUTION_API_KEY"], control_token=CONTROL_TOKEN) as evolution,
        EvolutionControl(evolution.url, CONTROL_TOKEN) as control,
        running_wolf(evolution.url) as wolf,
    ):
        port = _free_port()
        environment = canaries | {
            "APP_ENV": "rehearsal",
            "DATABASE_URL": sa.make_url(runtime_url(owner_url))
            .set(password=DATABASE_PASSWORD)
            .render_as_string(hide_password=False),
            "EVOLUTION_API_URL": wolf.url,
            "BASE_URL": f"http://127.0.0.1:{port}",
            "LOG_FILE": str(workdir / "backend.log"),
            "BOOTSTRAP_ADMIN_EMAIL": ADMIN_EMAIL,
            "EVOLUTION_TIMEOUT_SECONDS": "5",
            "RECONCILE_GRACE_SECONDS": "6",
            **settings,
        }
        inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")}
        with (workdir / "stdout").open("wb") as out, (workdir / "stderr").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-c", _SERVE],
                env=inherited | environment | {"PORT": str(port)},
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                fortress = Fortress(
                    port=port,
                    environment=environment,
                    process=process,
                    control=control,
                    wolf=wolf,
                    owner_url=owner_url,
                    workdir=workdir,
                    canaries=list(canaries.values()),
                )
                fortress.eventually(lambda: _alive(fortress) or None, within_s=60, what="the backend answers")
                fortress.admin_token = fortress.login(ADMIN_EMAIL, canaries["BOOTSTRAP_ADMIN_PASSWORD"])["accessToken"]
                fortress.a, fortress.b = fortress.tenant(), fortress.tenant()
                fortress.furnish(fortress.a)
                fortress.furnish(fortress.b)
                fortress.workers = _children(process.pid)
                assert len(fortress.workers) >= 2
                yield fortress
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait(10)


def _alive(fortress: Fortress) -> bool:
    assert fortress.process.poll() is None, fortress.outputs()[-2000:]
    try:
        return fortress.ask("GET", "/health").status == 200
    except httpx.TransportError:
        return False


def _children(pid: int) -> frozenset[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    # Among them a tracker of shared memory, which is no worker and lives as long.
    return frozenset(map(int, listed))


def resident_mb(pids: frozenset[int]) -> float:
    """Resident memory of the processes together."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _complete(received: bytes) -> bool:
    head, mark, body = received.partition(b"\r\n\r\n")
    if not mark:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return len(body) >= int(value)
        if name.strip().lower() == b"transfer-encoding":
            return body.endswith(b"0\r\n\r\n")
    return False


def _parsed(received: bytes) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    parts = lines[0].split(b" ")
    if len(parts) < 2 or not parts[1].isdigit():
        return Answer(status=0, headers={}, body=received)
    pairs = (line.decode("latin-1").partition(":") for line in lines[1:])
    return Answer(status=int(parts[1]), headers={name.strip().lower(): value.strip() for name, _, value in pairs}, body=body)


def _around(text: str, found: str) -> str:
    at = text.index(found)
    return text[max(0, at - 200) : at].replace(found, "…")


def wait_until(moment: float) -> None:
    """Returns at a moment of `time.monotonic`."""
    while (left := moment - time.monotonic()) > 0:
        time.sleep(left)
