"""The reference backend as a target: started beside a fake Evolution API on a clock that both share.

The only module that knows `reference_impl`. What it tells others are names, paths and plain records.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.facts.allowances import Allowance, LintWaiver
from gate.facts.expected import load as load_expected
from gate.facts.subject import ImportedModule, Route, Subject
from harness.clock import SkewedClock, VirtualClock
from harness.datastores import Database
from harness.errors import HarnessError
from harness.evolution import FakeEvolution
from harness.operations import OPERATIONS, DatabaseState, Front
from harness.serving import bind, served
from harness.target import Target, VirtualPace

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from reference_impl.adapters.contact_store import ContactStore
    from reference_impl.bootstrap import Backend
    from reference_impl.settings import Settings

__all__ = [
    "Migrated",
    "ReferenceSystem",
    "Variant",
    "made_secrets",
    "migrate",
    "preload",
    "replay",
    "rotate_webhook_secret",
    "serve",
    "settings_faults",
    "start",
    "subject",
    "target_of",
    "variants",
    "work",
]

ADMIN_EMAIL = "admin@rehearsal.invalid"
PACKAGE = Path(str(resources.files("reference_impl")))
LOG = "backend.log"
# What `subject` says of the reference, as a golive.toml says it of a backend that is not ours.
EXAMPLE = PACKAGE / "golive.toml"
# The factory of the store that contacts are kept in, by its import string.
DATASTORE = "reference_impl.adapters.contact_store:open_store"
# Not a setting of the backend: it opens the fake's control plane.
CONTROL_TOKEN = "control token"  # noqa: S105 - its name
# What the linter says of the migration and does not apply, by the text of the statements of which it says so.
_NEW_TABLES = ("campaigns", "campaign_recipients", "webhook_quarantine", "pending_message_updates", "refresh_tokens")
LINT_WAIVERS = (
    LintWaiver(
        rule="prefer-robust-stmts",
        reason="the script is run statement by statement and can be run again from its start at any point, which the gate tries",
    ),
    *(
        LintWaiver(
            rule="require-concurrent-index-creation",
            about=f"ON public.{table} ",
            reason="the table is made by this migration: nobody reads or writes it yet",
        )
        for table in _NEW_TABLES
    ),
    LintWaiver(
        rule="ban-drop-not-null",
        about="ALTER COLUMN phone DROP NOT NULL",
        reason="a contact may be known by its @lid alone; the previous release reads a phone that is null as no phone",
    ),
    *(
        LintWaiver(rule="prefer-bigint-over-int", about=about, reason="counts attempts, places or replays, never more than a few")
        for about in ("retry_count integer", '"position" integer', "replays integer")
    ),
)
# The modules by the names that the application uses, and the routes that are there because of them.
MODULES = (
    ImportedModule(
        role="webhook-route",
        name="reference_impl.entrypoints.routes.webhooks:router",
        routes=(Route(method="POST", path="/webhooks/whatsapp/{provider}/{secret}"),),
    ),
    ImportedModule(
        role="messages-route",
        name="reference_impl.entrypoints.routes.messages:router",
        routes=(Route(method="POST", path="/messages"),),
    ),
    ImportedModule(role="message-handler", name="reference_impl.use_cases.inbound:InboundMessages"),
    ImportedModule(role="webhook-helper", name="reference_impl.domain.webhooks:parse_event"),
    ImportedModule(role="campaign-service", name="reference_impl.use_cases.campaigns:CampaignService"),
    ImportedModule(role="evolution-provider", name="reference_impl.adapters.evolution:EvolutionProvider"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceSystem:
    """A running fake and, in turn, the releases of the reference backend in front of it, always at the same address.

    `secrets` are all values that must never be seen in any output, by name.
    """

    url: str
    database_url: str
    evolution: FakeEvolution
    clock: VirtualClock
    pace: VirtualPace
    log_path: Path
    environment: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    _listener: socket.socket = field(repr=False)
    _backends: list[Backend] = field(default_factory=list, repr=False)

    @contextlib.contextmanager
    def current(self, *, chaff: str = "", wheat: str = "", processes: int = 1) -> Iterator[Target]:
        """Serves this release, with a planted deviation if one is named. Raises HarnessError in one line when it does not start.

        Several `processes` are several whole backends on one database that share no memory but the clock; requests go to each
        in turn.
        """
        from reference_impl.bootstrap import build
        from reference_impl.settings import Settings, SettingsError

        try:
            settings = Settings.from_environment({**self.environment, "CHAFF": chaff, "WHEAT": wheat})
        except SettingsError as error:
            raise HarnessError(f"the reference backend refuses its settings: {error}") from error
        self._backends[:] = [build(settings, clock=self.clock) for _ in range(processes)]
        front = Front([_Operated(backend) for backend in self._backends], token=self.secrets[CONTROL_TOKEN])
        with served(front, self._listener.dup(), lifespan=front.lifespan):
            yield replace(self._target(), operations_url=f"{self.url}{OPERATIONS}", signing_key=self.secrets["JWT_ACCESS_SECRET"])

    def reached(self) -> int:
        """How often the planted change of what `current` served was run through."""
        return sum(backend.reached for backend in self._backends)

    @contextlib.contextmanager
    def previous(self) -> Iterator[Target]:
        """Serves the release before this one, on the same database and at the same address: what a rollback puts back."""
        from reference_impl.previous.app import build

        app = build(
            database_url=self.database_url,
            evolution_url=self.evolution.url,
            evolution_key=self.evolution.key,
            base_url=self.url,
            jwt_secret=self.environment["JWT_ACCESS_SECRET"],
            clock=self.clock,
        )
        with served(app, self._listener.dup(), lifespan=lambda: app.router.lifespan_context(app)):
            yield self._target()

    def _target(self) -> Target:
        return replace(target_of(self.url, self.secrets), evolution_url=self.evolution.url, log_path=self.log_path)


def target_of(url: str, secrets: Mapping[str, str]) -> Target:
    """The reference at an address, with the secrets that `start` was given."""
    return Target(
        url=url,
        admin_email=ADMIN_EMAIL,
        admin_password=secrets["BOOTSTRAP_ADMIN_PASSWORD"],
        control_token=secrets[CONTROL_TOKEN],
        metrics_token=secrets["METRICS_TOKEN"],
    )


def preload() -> None:
    """Imports what serving the reference needs, so that it is there when it is asked for."""
    import reference_impl.bootstrap
    import reference_impl.entrypoints.http
    import reference_impl.previous.app  # noqa: F401


@contextlib.contextmanager
def start(
    *,
    database: Database,
    workdir: Path,
    seed: int | None = None,
    secrets: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[ReferenceSystem]:
    """Starts a fake Evolution API and prepares the reference backend on a migrated database; nothing is served yet.

    The backend's log is `workdir/backend.log`. Keys and passwords are made for this run alone, unless `secrets` are those of
    another system of the same run. `environment` overrides settings.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    clock = VirtualClock()
    known = dict(secrets or made_secrets())
    with (
        bind("127.0.0.1", 0) as listener,
        FakeEvolution(key=known["EVOLUTION_API_KEY"], clock=clock, control_token=known[CONTROL_TOKEN], seed=seed) as evolution,
    ):
        host, port = listener.getsockname()
        url = f"http://{host}:{port}"
        yield ReferenceSystem(
            url=url,
            database_url=database.url,
            evolution=evolution,
            clock=clock,
            pace=VirtualPace(clock, quiesce=evolution.quiesce, held_calls=evolution.held_calls),
            log_path=workdir / LOG,
            environment={
                "APP_ENV": "rehearsal",
                "BASE_URL": url,
                "DATABASE_URL": runtime_database_url(database),
                "EVOLUTION_API_URL": evolution.url,
                "LOG_FILE": str(workdir / LOG),
                "BOOTSTRAP_ADMIN_EMAIL": ADMIN_EMAIL,
                # Hours pass here in seconds, and every poll of every unit would be made in them.
                "EVOLUTION_POLL_SECONDS": "1800",
                **{name: value for name, value in known.items() if name != CONTROL_TOKEN},
                **(environment or {}),
            },
            secrets=known,
            _listener=listener,
        )


def made_secrets() -> Mapping[str, str]:
    """Keys and passwords for one run, by name."""
    names = ("EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET", "METRICS_TOKEN", "BOOTSTRAP_ADMIN_PASSWORD")
    return {name: secrets.token_urlsafe(36) for name in (*names, CONTROL_TOKEN)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A deviation that can be planted in the reference. `killed_by` are outcome ids; the first scenario among them must fail.

    It is served by so many `processes` on one database, which is a real Postgres when `postgres`. An `idle` one mostly waits.
    """

    kind: str
    name: str
    title: str
    area: str
    killed_by: tuple[str, ...]
    processes: int = 1
    postgres: bool = False
    idle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What a migration did: each statement's first line with its seconds, and what the server said."""

    statements: tuple[tuple[str, float], ...]
    notices: tuple[str, ...]


def migrate(url: str) -> Migrated:
    """Brings a database to the schema of this release, the job queue included. Raises HarnessError when it did not get there."""
    from reference_impl.adapters.queue import apply_schema
    from reference_impl.migrations.migrate import MigrationError, grant_runtime_access
    from reference_impl.migrations.migrate import migrate as apply

    try:
        report = apply(url)
        if report.backend == "postgresql":
            apply_schema(url)
            grant_runtime_access(url)
    except MigrationError as error:
        raise HarnessError(str(error)) from error
    return Migrated(statements=tuple((run.statement.title, run.seconds) for run in report.statements), notices=report.notices)


def subject(database: Database, system: ReferenceSystem | None = None) -> Subject:
    """What the gate looks at when it looks at the reference."""
    migrations = PACKAGE / "migrations"
    settings = system.environment if system is not None else _throwaway_settings()
    return Subject(
        repository=PACKAGE,
        allowances=(Allowance(rule="*", path="tests/**", reason="made up for the tests of the reference; they open nothing"),),
        database_url=database.url,
        scratch_url=database.url if database.backend == "postgresql" else "",
        schema=load_expected("seed"),
        modules=MODULES,
        application="reference_impl.entrypoints.serve:create_app",
        application_environment=settings,
        source_paths=(PACKAGE.parent,),
        datastore=_open_store,
        migration=migrations / "PRODUCTION_MIGRATION_GOLIVE.sql",
        baseline=migrations / "BASELINE.sql",
        metadata="reference_impl.adapters.schema:metadata",
        lint_waivers=LINT_WAIVERS,
        environment=settings,
        logs=(system.log_path,) if system is not None else (),
        canaries=system.secrets if system is not None else {},
        source_roots=(PACKAGE,),
    )


def variants(kind: str) -> list[Variant]:
    """Every deviation that can be planted: of the kind `chaff` (a bug) or `wheat` (another right way)."""
    from reference_impl import chaffs, wheats

    found = {"chaff": chaffs.catalogue, "wheat": wheats.catalogue}[kind]()
    return [Variant(kind=kind, **asdict(one)) for one in found]


def serve(environment: Mapping[str, str], *, host: str, port: int, workers: int) -> None:
    """Serves the reference in the foreground. Raises HarnessError when its settings cannot be used or the port is taken."""
    from reference_impl.entrypoints.serve import serve as serve_reference

    # Found here, because the server itself would tell of a taken port with a traceback.
    bind(host, port).close()
    with _in_one_line():
        serve_reference(_settings(environment), host, port, workers)


def work(environment: Mapping[str, str], *, skew_s: float = 0.0) -> None:
    """Works the reference's queue until interrupted, on a machine whose clock is wrong by `skew_s`.

    Raises HarnessError when its settings cannot be used.
    """
    from reference_impl.entrypoints.worker import run_worker

    with _in_one_line():
        run_worker(_settings(environment), SkewedClock(skew_s) if skew_s else None)


def replay(environment: Mapping[str, str], *, limit: int) -> int:
    """Queues deliveries in quarantine to be processed again; how many. Raises HarnessError when the settings cannot be used."""
    from reference_impl.bootstrap import build

    with _in_one_line():
        return asyncio.run(build(_settings(environment)).replay(limit))


def rotate_webhook_secret(environment: Mapping[str, str], *, unit_id: UUID) -> datetime | None:
    """Gives the unit's connection a new webhook secret; until when the old one is valid too.

    Raises HarnessError when the settings cannot be used, the unit has no connection, or the provider did not register it; then
    the old one stays in force.
    """
    from reference_impl.bootstrap import build
    from reference_impl.domain.errors import NotFoundError, ProviderFailedError, ProviderUnavailableError

    with _in_one_line():
        try:
            rotated = asyncio.run(build(_settings(environment)).rotate_webhook_secret(unit_id))
        except NotFoundError as error:
            raise HarnessError(
                f"unit {unit_id} has no WhatsApp connection in this database: give the id of a unit that has one"
            ) from error
        except (ProviderFailedError, ProviderUnavailableError) as error:
            raise HarnessError(f"{error.sentence}: the secret of unit {unit_id} stays as it was; try again") from error
    return rotated.previous_webhook_secret_expires_at


def settings_faults(environment: Mapping[str, str]) -> tuple[str, ...]:
    """What is wrong with the settings, one line each, never with a value."""
    from reference_impl.settings import Settings, SettingsError

    try:
        Settings.from_environment(dict(environment))
    except SettingsError as error:
        return error.faults
    return ()


class _Operated:
    """A backend whose operator can make its database fail."""

    def __init__(self, backend: Backend) -> None:
        from reference_impl.domain.errors import StorageUnavailableError
        from reference_impl.variants import override

        self._backend = backend
        self._state: DatabaseState = "up"

        @contextlib.asynccontextmanager
        async def unit_of_work(unit_id: UUID | None) -> AsyncIterator[Any]:
            if self._state == "down":
                raise StorageUnavailableError("The database cannot be used now")
            async with transaction(unit_id) as work:
                yield work
                # Who asks across units only reads.
                if self._state == "loses-commits" and unit_id is not None:
                    raise StorageUnavailableError("The database cannot be used now")

        async def ping() -> None:
            if self._state == "down":
                raise StorageUnavailableError("The database cannot be used now")
            await answer()

        transaction = override(backend.store, "unit_of_work", unit_of_work)
        answer = override(backend.store, "ping", ping)

    @property
    def app(self) -> Any:
        return self._backend.app

    def lifespan(self) -> contextlib.AbstractAsyncContextManager[None]:
        return self._backend.lifespan()

    def set_database(self, state: DatabaseState) -> None:
        self._state = state

    async def rotate_secrets(self) -> None:
        from reference_impl.domain.errors import ProviderFailedError, ProviderUnavailableError

        async with self._backend.store.unit_of_work(None) as work:
            connections = await work.connections.all_active()
        for connection in connections:
            # One whose provider is out of reach keeps its secret; whoever asked sees whether his own was changed.
            with contextlib.suppress(ProviderFailedError, ProviderUnavailableError):
                await self._backend.services.connections.rotate_secret(connection.unit_id)


def _open_store(url: str) -> ContactStore:
    from reference_impl.adapters.contact_store import open_store

    return open_store(url)


def _throwaway_settings() -> Mapping[str, str]:
    """Settings with which the application can be built, though not run: nothing answers there."""
    return {
        "APP_ENV": "rehearsal",
        "BASE_URL": "http://127.0.0.1:9",
        "DATABASE_URL": "sqlite://",
        "EVOLUTION_API_URL": "http://127.0.0.1:9",
        **{name: secrets.token_urlsafe(36) for name in ("EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET")},
    }


def _settings(environment: Mapping[str, str]) -> Settings:
    from reference_impl.settings import Settings, SettingsError

    try:
        return Settings.from_environment(dict(environment))
    except SettingsError as error:
        raise HarnessError(f"the settings cannot be used: {error}") from error


@contextlib.contextmanager
def _in_one_line() -> Iterator[None]:
    """Turns what the reference raises at its start into an error of ours."""
    from reference_impl.domain.errors import SchemaMissingError, StorageUnavailableError

    try:
        yield
    except (SchemaMissingError, StorageUnavailableError, ValueError, OSError) as error:
        raise HarnessError(f"the reference backend cannot start: {error}") from error


def runtime_database_url(database: Database) -> str:
    """The role that row-level security holds for, where the migration could make it."""
    if database.backend != "postgresql":
        return database.url
    import psycopg

    from reference_impl.migrations.migrate import RUNTIME_ROLE, runtime_url

    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        found = connection.execute(
            "SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = %s", [RUNTIME_ROLE]
        ).fetchone()
    return runtime_url(database.url) if found is not None and found[0] else database.url
