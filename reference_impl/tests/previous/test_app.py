"""The previous release in front of the fake provider, on the schema before the migration and on the one after it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import argon2
import httpx
import jwt
import psycopg
import pytest

from harness.clock import VirtualClock
from harness.datastores import Database
from harness.evolution import FakeEvolution
from harness.serving import bind, served
from harness.target import VirtualPace
from reference_impl.migrations.migrate import migrate
from reference_impl.previous.app import build

pytestmark = pytest.mark.postgres

SECRET = "a secret of at least thirty-two characters"
PASSWORD = "correct horse battery staple"
HASH = argon2.PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
CUSTOMER = "5511987654321"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A running previous release with one unit, its administrator and a super_admin."""

    client: httpx.Client
    evolution: FakeEvolution
    database: Database
    clock: VirtualClock
    unit: str

    @property
    def instance(self) -> str:
        return f"unit_{self.unit}"

    def login(self, email: str = "admin@north.example") -> dict[str, str]:
        answer = self.client.post("/admin/login", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['accessToken']}"}

    def connect(self, headers: dict[str, str]) -> httpx.Response:
        """The provider takes five seconds on its clock to make an instance."""
        path, body = f"/units/{self.unit}/whatsapp/connect", {"provider": "evolution"}
        return VirtualPace(self.clock, quiesce=self.evolution.quiesce, held_calls=self.evolution.held_calls).call(
            lambda: self.client.post(path, json=body, headers=headers)
        )

    def connected(self) -> dict[str, str]:
        """Connects and scans; the headers of the unit's administrator."""
        headers = self.login()
        answer = self.connect(headers)
        assert answer.status_code == 201, answer.text
        self.scan()
        return headers

    def scan(self) -> None:
        """A person scans; the provider opens the connection a little later, and its webhook says so."""
        self.evolution.scan(self.instance)
        self.until("SELECT status FROM unit_whatsapp_connections", "connected")

    def until(self, query: str, value: object) -> None:
        """Waits on the shared clock until `query` answers with one row of one `value`."""
        VirtualPace(self.clock, quiesce=self.evolution.quiesce, held_calls=self.evolution.held_calls).eventually(
            lambda: self.rows(query) == [(value,)], within_s=60, what=query
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database.conninfo) as connection:
            return connection.execute(query.encode()).fetchall()


@contextlib.contextmanager
def running(database: Database) -> Iterator[Release]:
    clock = VirtualClock()
    with FakeEvolution(key="a-provider-key", clock=clock) as evolution, bind("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = build(
            database_url=database.url,
            evolution_url=evolution.url,
            evolution_key=evolution.key,
            base_url=url,
            jwt_secret=SECRET,
            clock=clock,
        )
        with served(app, listener, lifespan=lambda: app.router.lifespan_context(app)), httpx.Client(base_url=url) as client:
            release = Release(client=client, evolution=evolution, database=database, clock=clock, unit=str(uuid4()))
            settle(release)
            yield release


def settle(release: Release) -> None:
    """Empties the database and the provider, and makes the unit and its people."""
    release.evolution.reset()
    with psycopg.connect(release.database.conninfo) as connection:
        connection.execute("TRUNCATE units CASCADE")
        connection.execute("INSERT INTO units (id, name, slug) VALUES (%s, 'North', 'north')", [release.unit])
        for role, email, owner in (
            ("unit_admin", "admin@north.example", release.unit),
            ("super_admin", "root@example.org", None),
        ):
            connection.execute(
                "INSERT INTO users (unit_id, name, email, password_hash, role) VALUES (%s, 'Ana', %s, %s, %s)",
                [owner, email, HASH, role],
            )


@pytest.fixture(scope="module", params=["baseline_template", "migrated_template"])
def running_release(request: pytest.FixtureRequest, server: Database) -> Iterator[Release]:
    """On each of the two schemas."""
    with server.throwaway(template=request.getfixturevalue(request.param)) as database, running(database) as release:
        yield release


@pytest.fixture
def release(running_release: Release) -> Release:
    """A release that nobody has used yet."""
    settle(running_release)
    return running_release


def test_it_is_alive_and_ready(release: Release) -> None:
    assert release.client.get("/health").json()["status"] == "ok"
    assert release.client.get("/ready").json() == {"status": "ready", "checks": {"database": "ok"}}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"email": "admin@north.example"}, 400),
        ({"email": "admin@north.example", "password": "wrong"}, 401),
        ({"email": "nobody@example.org", "password": PASSWORD}, 401),
        ({"email": "ADMIN@north.example", "password": PASSWORD, "unitSlug": "north"}, 200),
    ],
)
def test_a_login_needs_the_right_password(release: Release, body: dict[str, str], status: int) -> None:
    answer = release.client.post("/admin/login", json=body)
    assert answer.status_code == status
    assert status != 200 or answer.json()["targetUnit"]["slug"] == "north"


def test_units_are_listed_for_a_super_admin_alone(release: Release) -> None:
    listed = release.client.get("/admin/units", headers=release.login("root@example.org"))
    assert [unit["id"] for unit in listed.json()] == [release.unit]
    assert release.client.get("/admin/units", headers=release.login()).status_code == 403
    assert release.client.get("/admin/units").status_code == 401


def test_a_token_ends_on_the_injected_clock(release: Release) -> None:
    headers = release.login("root@example.org")
    release.clock.advance(12 * 3600 + 1)
    assert release.client.get("/admin/units", headers=headers).status_code == 401


@pytest.mark.parametrize("claims", [{}, {"exp": datetime(2100, 1, 1, tzinfo=UTC)}, {"exp": 4e9, "sub": "x"}])
def test_a_token_without_its_claims_is_refused(release: Release, claims: dict[str, Any]) -> None:
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    assert release.client.get("/admin/units", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_connecting_shows_a_qr_code_and_a_scan_connects(release: Release) -> None:
    headers = release.login()
    path = f"/units/{release.unit}/whatsapp"
    assert release.client.get(f"{path}/status", headers=headers).json() == {"status": "not_configured"}
    answer = release.connect(headers)
    assert answer.status_code == 201
    assert answer.json()["connection"]["status"] == "connecting"
    release.until("SELECT qr_code LIKE 'data:image/png;base64,%' FROM unit_whatsapp_connections", value=True)
    release.scan()
    status = release.client.get(f"{path}/status", headers=headers).json()
    assert (status["status"], status["qrCode"]) == ("connected", None)
    again = release.connect(headers)
    assert again.json()["connection"]["status"] == "connected"
    assert len(release.evolution.instances()) == 1


def test_another_provider_is_refused(release: Release) -> None:
    answer = release.client.post(f"/units/{release.unit}/whatsapp/connect", json={"provider": "carrier"}, headers=release.login())
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid provider")


def test_another_unit_is_not_found(release: Release) -> None:
    assert release.client.get(f"/units/{uuid4()}/whatsapp/status", headers=release.login()).status_code == 404


def test_a_message_is_sent_once_and_its_receipts_are_kept(release: Release) -> None:
    headers = release.connected()
    body = {"phone": CUSTOMER, "message": "Olá, mundo"}
    answer = release.client.post("/messages", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    (sent,) = release.evolution.ledger()
    assert (sent["text"], sent["keyId"]) == ("Olá, mundo", answer.json()["messageId"])
    release.evolution.ack(release.instance, sent["keyId"], "READ")
    release.evolution.quiesce()
    stored = release.client.get(f"/messages/{answer.json()['internalId']}", headers=headers)
    assert stored.json()["status"] == "read"


def test_a_refused_send_is_not_tried_again(release: Release) -> None:
    headers = release.connected()
    release.evolution.inject("send-error", count=1)
    answer = release.client.post("/messages", json={"phone": CUSTOMER, "message": "hello"}, headers=headers)
    assert answer.status_code == 502
    assert release.evolution.ledger() == []
    assert release.rows("SELECT status FROM messages") == [("failed",)]


def test_nothing_is_sent_before_the_scan(release: Release) -> None:
    answer = release.client.post("/messages", json={"phone": CUSTOMER, "message": "hello"}, headers=release.login())
    assert answer.status_code == 409


def test_an_inbound_message_makes_contact_conversation_and_message(release: Release) -> None:
    release.connected()
    release.evolution.incoming(release.instance, CUSTOMER, text="Bom dia")
    release.evolution.quiesce()
    assert release.rows("SELECT sender, status, content FROM messages") == [("customer", "received", "Bom dia")]
    assert release.rows("SELECT phone, count(*) FROM contacts GROUP BY phone") == [(CUSTOMER, 1)]
    release.evolution.incoming(release.instance, CUSTOMER, text="Tudo bem?")
    release.evolution.quiesce()
    assert release.rows("SELECT count(*) FROM conversations WHERE status = 'open'") == [(1,)]


@pytest.mark.parametrize(("schema", "copies"), [("baseline", 2), ("migrated", 1)])
def test_a_repeated_event_is_answered_and_the_new_schema_keeps_one(
    request: pytest.FixtureRequest, schema: str, copies: int
) -> None:
    with running(request.getfixturevalue(schema)) as release:
        release.connected()
        release.evolution.incoming(release.instance, CUSTOMER, text="hello", id="KEY1", times=2)
        release.evolution.quiesce()
        delivered = release.evolution.deliveries(instance=release.instance, event="messages.upsert")
        assert [delivery["status"] for delivery in delivered] == [200, 200]
        assert release.rows("SELECT count(*) FROM messages") == [(copies,)]


def test_an_unknown_instance_is_tolerated_and_a_wrong_secret_refused(release: Release) -> None:
    release.connected()
    event = {"event": "messages.upsert", "instance": f"unit_{uuid4()}", "data": {}}
    answer = release.client.post("/webhooks/whatsapp/evolution/any", json=event)
    assert (answer.status_code, answer.json()["warning"]) == (200, "unknown_instance")
    event["instance"] = release.instance
    assert release.client.post("/webhooks/whatsapp/evolution/any", json=event).status_code == 401
    assert release.client.post("/webhooks/whatsapp/carrier/any", json=event).status_code == 400
    assert release.rows("SELECT count(*) FROM messages") == [(0,)]


def test_it_goes_on_while_the_migration_runs_and_what_it_wrote_belongs_to_the_unit(baseline: Database) -> None:
    with running(baseline) as release:
        headers = release.connected()
        release.evolution.incoming(release.instance, CUSTOMER, text="before")
        release.evolution.quiesce()
        assert migrate(baseline.url).succeeded
        release.evolution.incoming(release.instance, CUSTOMER, text="after")
        release.evolution.quiesce()
        assert release.client.post("/messages", json={"phone": CUSTOMER, "message": "answer"}, headers=headers).status_code == 200
        assert release.rows("SELECT content, unit_id::text, direction FROM messages ORDER BY created_at") == [
            ("before", release.unit, "inbound"),
            ("after", release.unit, "inbound"),
            ("answer", release.unit, "outbound"),
        ]


def test_after_a_rollback_a_connection_that_shows_a_qr_code_is_understood(migrated: Database) -> None:
    """The status `qr` and the columns around it are unknown to this release."""
    with running(migrated) as release:
        headers = release.login()
        with psycopg.connect(migrated.conninfo) as connection:
            connection.execute(
                "INSERT INTO unit_whatsapp_connections (unit_id, instance_id, status, status_reason, qr_code, webhook_secret) "
                "VALUES (%s, %s, 'qr', 'waiting_scan', 'data:image/png;base64,AA==', 'kept')",
                [release.unit, release.instance],
            )
        answer = release.connect(headers)
        assert answer.status_code == 201
        release.scan()
        status = release.client.get(f"/units/{release.unit}/whatsapp/status", headers=headers).json()
        assert status["status"] == "connected"
        (webhook,) = release.evolution.instances()
        assert webhook["webhook"]["url"].endswith("/webhooks/whatsapp/evolution/kept")


def test_a_database_that_is_gone_is_a_503(server: Database, migrated_template: str) -> None:
    name = f"gone_{uuid4().hex}"
    database = server.create_database(name, template=migrated_template)
    with running(database) as release:
        server.drop_database(name)
        assert release.client.get("/ready").status_code == 503
        assert release.client.get("/health").status_code == 200
