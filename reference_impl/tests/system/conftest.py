"""A running backend on each datastore, with a fake Evolution API behind it and a clock that tests move."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import sqlalchemy as sa

from harness.clock import VirtualClock
from harness.datastores import open_database
from harness.evolution import FakeEvolution
from harness.evolution.client import EvolutionControl
from harness.serving import served
from harness.target import VirtualPace
from reference_impl.adapters.queue import apply_schema
from reference_impl.bootstrap import Backend, build
from reference_impl.migrations.migrate import migrate, runtime_url
from reference_impl.ports import Clock
from reference_impl.settings import Settings

T = TypeVar("T")
_numbers = itertools.count(1)
PASSWORD = "correct horse battery"
CONTROL_TOKEN = "control-token"
ADMIN_EMAIL = "admin@rehearsal.invalid"


@dataclass(slots=True, kw_only=True)
class Unit:
    """A tenant with one person of its own, and what he can do."""

    id: str
    system: System
    headers: dict[str, str] = field(repr=False)
    email: str
    phone: str

    @property
    def instance(self) -> str:
        return f"unit_{self.id}"

    @property
    def whatsapp(self) -> str:
        return f"/units/{self.id}/whatsapp"

    def request(self, method: str, path: str, body: Any = None, *, prefer: str = "", **options: Any) -> httpx.Response:
        headers = self.headers | ({"Prefer": prefer} if prefer else {})
        return self.system.request(method, path, body, headers=headers, **options)

    def get(self, path: str) -> Any:
        answer = self.request("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.request("POST", path, body)

    def connect(self) -> httpx.Response:
        return self.post(f"{self.whatsapp}/connect", {"provider": "evolution", "credentials": {}})

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"{self.whatsapp}/status")
        return found

    def awaits(self, status: str) -> dict[str, Any]:
        self.system.eventually(lambda: self.status()["status"] == status)
        return self.status()

    def send(self, phone: str, text: str, key: str | None = None) -> httpx.Response:
        body = {"phone": phone, "message": text} | ({"clientMessageId": key} if key is not None else {})
        return self.post("/messages", body)

    def message(self, internal_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/messages/{internal_id}")
        return found

    def sent(self, phone: str | None = None) -> list[dict[str, Any]]:
        """What WhatsApp really got from this unit (for this number)."""
        found = self.system.control.ledger(instance=self.instance)
        return [send for send in found if phone in (None, send["number"])]

    def calls(self, phone: str | None = None) -> list[dict[str, Any]]:
        """The provider calls to send from this unit (to this number)."""
        found = self.system.control.requests(path=f"/message/sendText/{self.instance}")
        return [call for call in found if phone in (None, call["body"]["number"])]

    @property
    def secret(self) -> str:
        """The webhook secret that is registered at the provider."""
        row = next(row for row in self.system.control.instances() if row["name"] == self.instance)
        return str(row["webhook"]["url"]).rpartition("/")[2]

    def deliver(self, event: str, data: Any, *, secret: str | None = None, **envelope: Any) -> httpx.Response:
        body = {"event": event, "instance": self.instance, "data": data} | envelope
        return self.system.request("POST", f"/webhooks/whatsapp/evolution/{secret or self.secret}", body)

    def conversations(self) -> list[dict[str, Any]]:
        return list(self.get("/conversations")["items"])

    def messages(self) -> list[dict[str, Any]]:
        """Every message of the unit, newest first in each conversation."""
        found = [self.get(f"/conversations/{conversation['id']}/messages")["items"] for conversation in self.conversations()]
        return [message for page in found for message in page]

    def messages_with(self, phone: str) -> list[dict[str, Any]]:
        """Every message exchanged with a number."""
        known = [conversation for conversation in self.conversations() if conversation["contact"]["phone"] == phone]
        found = [self.get(f"/conversations/{conversation['id']}/messages")["items"] for conversation in known]
        return [message for page in found for message in page]

    def contact(self, phone: str | None = None) -> str:
        return str(self.post("/contacts", {"phone": phone or self.system.number()}).json()["id"])

    def campaign(self, recipients: int = 3, **more: Any) -> dict[str, Any]:
        body = {"name": "News", "content": "Hello", "contactIds": [self.contact() for _ in range(recipients)]} | more
        answer = self.post("/api/campaigns", body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found


@dataclass(slots=True, kw_only=True)
class System:
    """One backend with its fake provider."""

    backend: Backend
    loop: asyncio.AbstractEventLoop = field(repr=False)
    url: str
    environment: dict[str, str] = field(repr=False)
    clock: VirtualClock
    pace: VirtualPace
    client: httpx.Client
    control: EvolutionControl
    store: str
    owner_url: str
    log_path: Path
    canaries: tuple[str, ...] = field(repr=False)
    admin_headers: dict[str, str] = field(default_factory=dict, repr=False)
    units: list[Unit] = field(default_factory=list, repr=False)

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        # Only what waits for the provider needs the clock to be moved; moving it for anything else would hurry everybody.
        waits = method == "DELETE" or path.endswith(("/connect", "/messages", "/disconnect"))
        run: Callable[[], httpx.Response] = lambda: self.client.request(method, path, json=body, **options)  # noqa: E731
        return self.pace.call(run) if waits else run()

    def eventually(self, condition: Callable[[], T | None], *, within_s: float = 60.0) -> T:
        return self.pace.eventually(condition, within_s=within_s, what="condition of a test")

    def admin(self) -> dict[str, str]:
        """A super_admin's header; tests move the clock, so it is got anew when it has expired."""
        if self.client.get("/admin/units", headers=self.admin_headers).status_code != 200:
            self.admin_headers = self.login(ADMIN_EMAIL, self.environment["BOOTSTRAP_ADMIN_PASSWORD"])
        return self.admin_headers

    def login(self, email: str, password: str) -> dict[str, str]:
        answer = self.client.post("/admin/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['accessToken']}"}

    def number(self) -> str:
        return f"55119{10_000_000 + next(_numbers) * 7:08d}"

    def unit(self) -> Unit:
        """A unit that has never connected."""
        tag = secrets.token_hex(4)
        admin = self.admin()
        made = self.client.post("/admin/units", json={"name": f"Unit {tag}", "slug": f"unit-{tag}"}, headers=admin).json()
        email = f"manager-{tag}@units.invalid"
        person = {"name": "Manager", "email": email, "password": PASSWORD, "role": "unit_admin", "unitId": made["id"]}
        assert self.client.post("/admin/users", json=person, headers=admin).status_code == 201
        return Unit(id=made["id"], system=self, headers=self.login(email, PASSWORD), email=email, phone=self.number())

    def connected(self) -> Unit:
        """A unit whose WhatsApp is connected."""
        unit = self.unit()
        assert unit.connect().status_code == 201
        self.control.scan(unit.instance, phone=unit.phone, profile_name="Unit")
        self.control.advance(1)
        unit.awaits("connected")
        return unit

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine of the backend in the loop that it lives in."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    @contextlib.contextmanager
    def another(self, *, clock: Clock | None = None, **environment: str) -> Iterator[httpx.Client]:
        """A second backend on the same database and provider, and on the same clock unless it has its own."""
        with _listening() as listener:
            settings = Settings.from_environment(self.environment | {"LOG_FILE": f"{self.log_path}.other"} | environment)
            backend = build(settings, clock=clock or self.clock)
            with (
                served(backend.app, listener, lifespan=backend.lifespan),
                httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30, trust_env=False) as client,
            ):
                yield client

    def shared(self) -> Unit:
        """A connected unit that several tests use; each has numbers of its own in it."""
        if not self.units:
            self.units.append(self.connected())
        (unit,) = self.units
        if unit.request("GET", "/contacts").status_code == 401:
            unit.headers = self.login(unit.email, PASSWORD)
        return unit

    def metrics(self) -> str:
        token = self.environment["METRICS_TOKEN"]
        return self.client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).text

    def log(self) -> str:
        return self.log_path.read_text()

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Reads the database behind the backend's back, as its owner. On Postgres only."""
        engine = sa.create_engine(self.owner_url)
        try:
            with engine.connect() as connection:
                return [dict(row) for row in connection.execute(sa.text(statement), values).mappings()]
        finally:
            engine.dispose()


@contextlib.contextmanager
def _listening() -> Iterator[socket.socket]:
    # asyncio switches Nagle's algorithm off only on sockets that say they are TCP; with it each answer takes 40 ms more.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        yield listener


@contextlib.contextmanager
def _running(store: str, database_url: str, owner_url: str, workdir: Path, **settings: str) -> Iterator[System]:
    clock = VirtualClock()
    names = ("EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET", "METRICS_TOKEN", "BOOTSTRAP_ADMIN_PASSWORD")
    canaries = {name: secrets.token_urlsafe(36) for name in names}
    with (
        FakeEvolution(key=canaries["EVOLUTION_API_KEY"], clock=clock, control_token=CONTROL_TOKEN) as evolution,
        _listening() as listener,
    ):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environment = canaries | {
            "APP_ENV": "rehearsal",
            "DATABASE_URL": database_url,
            "EVOLUTION_API_URL": evolution.url,
            "BASE_URL": url,
            "LOG_FILE": str(workdir / "backend.log"),
            "BOOTSTRAP_ADMIN_EMAIL": ADMIN_EMAIL,
            **settings,
        }
        backend = build(Settings.from_environment(environment), clock=clock)
        loops: list[asyncio.AbstractEventLoop] = []

        @contextlib.asynccontextmanager
        async def lifespan() -> AsyncIterator[None]:
            loops.append(asyncio.get_running_loop())
            async with backend.lifespan():
                yield

        with (
            served(backend.app, listener, lifespan=lifespan),
            httpx.Client(base_url=url, timeout=30, trust_env=False) as client,
            EvolutionControl(evolution.url, CONTROL_TOKEN) as control,
        ):
            yield System(
                backend=backend,
                loop=loops[0],
                url=url,
                environment=environment,
                clock=clock,
                pace=VirtualPace(clock, quiesce=control.quiesce, held_calls=control.held_calls),
                client=client,
                control=control,
                store=store,
                owner_url=owner_url,
                log_path=workdir / "backend.log",
                canaries=tuple(canaries.values()),
            )


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> Iterator[str]:
    """The owner's URL of a migrated database."""
    with open_database(postgres_url) as server, server.throwaway() as database:
        migrate(database.url)
        apply_schema(database.url)
        yield database.url


@pytest.fixture(scope="session")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with _running("sqlite", "sqlite://", "", tmp_path_factory.mktemp("sqlite")) as system:
        yield system


@pytest.fixture(scope="session")
def on_postgres(migrated_postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    workdir = tmp_path_factory.mktemp("postgres")
    with _running("postgresql", runtime_url(migrated_postgres), migrated_postgres, workdir) as system:
        yield system


@pytest.fixture
def in_real_time(postgres_url: str, tmp_path: Path) -> Iterator[System]:
    """A backend of the test's own, whose clock is still near the machine's: child processes live on that one."""
    with open_database(postgres_url) as server, server.throwaway() as database:
        migrate(database.url)
        apply_schema(database.url)
        with _running("postgresql", runtime_url(database.url), database.url, tmp_path) as system:
            yield system


@pytest.fixture
def without_a_worker(postgres_url: str, tmp_path: Path) -> Iterator[System]:
    """As `in_real_time`, and nobody works in its process."""
    with open_database(postgres_url) as server, server.throwaway() as database:
        migrate(database.url)
        apply_schema(database.url)
        with _running("postgresql", runtime_url(database.url), database.url, tmp_path, WORKER_IN_PROCESS="false") as system:
            yield system


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def system(request: pytest.FixtureRequest) -> System:
    """A running backend; each test makes units of its own in it."""
    running: System = request.getfixturevalue(f"on_{request.param}")
    running.control.withdraw()
    return running
