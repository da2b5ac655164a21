"""Where a single part finds its target: a backend by URL, or the embedded reference."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from gate.errors import UsageError
from harness.errors import HarnessError
from harness.target import Pace, RealPace, Target, VirtualPace

__all__ = ["connect", "embedded", "make_unit", "of_each_worker", "own_system", "remote"]

UNIT_NAME, UNIT_SLUG = "Rehearsal", "rehearsal"
EMAIL, PASSWORD, CONTROL, METRICS = (
    "GOLIVE_ADMIN_EMAIL",
    "GOLIVE_ADMIN_PASSWORD",
    "GOLIVE_CONTROL_TOKEN",
    "GOLIVE_METRICS_TOKEN",
)


@contextlib.contextmanager
def remote(url: str, evolution_url: str, environment: Mapping[str, str]) -> Iterator[tuple[Target, Pace]]:
    """A backend somewhere. Raises UsageError, before anything runs, for an address or a credential that is missing."""
    for name, address in (("--target", url), ("--evolution", evolution_url)):
        if address and not _is_address(address):
            raise UsageError(f"{name} {address!r} is no address; write http://… or https://…")
    needed = [EMAIL, PASSWORD, *([CONTROL] if evolution_url else [])]
    missing = [name for name in needed if not environment.get(name)]
    if missing:
        raise UsageError(f"set {', '.join(missing)} in the environment; credentials are never taken from arguments")
    target = Target(
        url=url.rstrip("/"),
        admin_email=environment[EMAIL],
        admin_password=environment[PASSWORD],
        evolution_url=evolution_url.rstrip("/"),
        control_token=environment.get(CONTROL, ""),
        metrics_token=environment.get(METRICS, ""),
        log_path=Path(environment["GOLIVE_LOG"]) if environment.get("GOLIVE_LOG") else None,
        operations_url=environment.get("GOLIVE_OPERATIONS_URL", ""),
        signing_key=environment.get("GOLIVE_SIGNING_KEY", ""),
    )
    if not evolution_url:
        yield target, RealPace()
        return
    from harness.evolution.client import EvolutionControl

    with EvolutionControl(target.evolution_url, target.control_token) as control:
        try:
            clock = control.read_clock()
            moved = clock["nextDeadline"] is not None or clock.get("frozen") is not None
        except (HarnessError, KeyError) as error:
            said = error if isinstance(error, HarnessError) else "what answers there is no fake of ours"
            raise HarnessError(f"--evolution {evolution_url}: its control plane cannot be used: {said} ({CONTROL})") from None
        yield target, VirtualPace(control, quiesce=control.quiesce, held_calls=control.held_calls) if moved else RealPace()


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not set(text) & set(" ?#"))
    except ValueError:
        return False


@contextlib.contextmanager
def embedded(database: str, workdir: Path, *, with_unit: bool = False, connected: bool = False) -> Iterator[tuple[Target, Pace]]:
    """The reference on a migrated database, with a unit or a connected one where the part needs it."""
    from harness.datastores import open_database
    from harness.reference import migrate, start

    with open_database(database) as opened:
        migrate(opened.url)
        with start(database=opened, workdir=workdir) as system, system.current() as target:
            if with_unit:
                unit = make_unit(target, system.pace)
                if connected:
                    connect(target, system.pace, unit)
            yield target, system.pace


@contextlib.contextmanager
def of_each_worker(database: str, workdir: Path) -> Iterator[tuple[Target, Pace]]:
    """What stands for the references that workers start for themselves, each with a database, a fake and a clock of its own.

    One process for client and server costs half of what two cost, so that a single worker has its own as well.
    """
    from harness.datastores import open_database
    from harness.reference import made_secrets, target_of

    with open_database(database) as opened:
        secrets = dict(made_secrets())
        kind = opened.url if opened.backend == "postgresql" else "memory"
        told = json.dumps({"database": kind, "workdir": str(workdir.absolute()), "secrets": secrets})
        yield replace(target_of("embedded", secrets), own_system=told, signing_key=secrets["JWT_ACCESS_SECRET"]), RealPace()


@contextlib.contextmanager
def own_system(told: str, worker: int) -> Iterator[Target]:
    """The reference of one worker, as `of_each_worker` told it; of several (from 1) each has its log in a folder of its own."""
    from harness.datastores import open_database
    from harness.reference import migrate, start

    document = json.loads(told)
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(open_database(document["database"]))
        # A single one has the database that was given: whoever gave it need not be allowed to make more.
        if database.backend == "postgresql" and worker:
            database = stack.enter_context(database.throwaway())
        migrate(database.url)
        workdir = Path(document["workdir"]) / (f"worker-{worker}" if worker else "")
        system = stack.enter_context(start(database=database, workdir=workdir, secrets=document["secrets"]))
        yield stack.enter_context(system.current())


def make_unit(target: Target, pace: Pace) -> str:
    """The id of a unit of our own, made where it is not there yet. Raises HarnessError when the backend refuses."""
    from harness.smoke.session import Session

    with Session(target) as admin:
        pace.call(admin.must_login)
        created = pace.call(lambda: admin.request("POST", "/admin/units", body={"name": UNIT_NAME, "slug": UNIT_SLUG}))
        if created.status == 201:
            return str(created.field("id"))
        units = pace.call(lambda: admin.request("GET", "/admin/units"))
        for unit in units.body if isinstance(units.body, list) else ():
            if unit.get("slug") == UNIT_SLUG:
                return str(unit["id"])
        raise HarnessError(f"a unit could not be made: {created.told()}")


def connect(target: Target, pace: Pace, unit: str) -> None:
    """Connects a unit and scans its code. Raises HarnessError when it does not get connected."""
    from harness.evolution.client import EvolutionControl
    from harness.smoke.session import Session

    with Session(target) as admin, EvolutionControl(target.evolution_url, target.control_token) as control:
        pace.call(admin.must_login)
        body = {"provider": "evolution", "credentials": {}}
        answer = pace.call(lambda: admin.request("POST", f"/units/{unit}/whatsapp/connect", body=body))
        if answer.status not in (200, 201):
            raise HarnessError(f"the unit could not be connected: {answer.told()}")
        control.scan(f"unit_{unit}")
        pace.eventually(lambda: admin.status(unit).field("status") == "connected", within_s=10, what="the unit's connection")
