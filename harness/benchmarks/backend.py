"""The reference beside its own database: `python -m harness.benchmarks.backend [inbound|sends|visible|memory …] [--json FILE]`.

Absolute figures mean nothing on a shared machine; ratios do. The bare statements and the backend take turns on one Postgres, in
as many processes and over as many connections; medians of rounds are told. A figure that misses its aim ends the script with
status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec

from harness.benchmarks.load import Wish
from harness.datastores import Database, open_database
from harness.evolution import FakeEvolution
from harness.reference import migrate, runtime_database_url

PROCESSES = 2
CONNECTIONS = 16
ROUNDS = 5
AIMS = {"inbound": 0.4, "sends": 0.4, "visible_p99_ms": 250.0, "growth_mb": 10.0, "memory_mb": 150.0}
EVENTS_PER_SECOND = 200
_numbers = itertools.count(1)
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A backend that serves, and one connected unit in it."""

    url: str
    pid: int
    database: Database
    runtime_url: str
    unit: UUID
    instance: str
    secret: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    evolution: FakeEvolution

    @property
    def webhook(self) -> str:
        return f"/webhooks/whatsapp/evolution/{self.secret}"

    def processes(self) -> list[int]:
        """The server and its children."""
        found = [self.pid]
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, IndexError):
                    if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) in found:
                        found.append(int(entry.name))
        return found

    def memory_mb(self) -> float:
        """Resident memory of the largest process."""
        return max(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.processes()) * _PAGE / 2**20


@contextlib.contextmanager
def serving(*, processes: int = PROCESSES) -> Iterator[Served]:
    """The backend in processes of its own on a migrated Postgres, with a connected unit."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(open_database("embedded"))
        database = stack.enter_context(server.throwaway())
        migrate(database.url)
        names = ("EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET", "METRICS_TOKEN", "BOOTSTRAP_ADMIN_PASSWORD")
        known = {name: secrets.token_urlsafe(36) for name in names}
        evolution = stack.enter_context(FakeEvolution(key=known["EVOLUTION_API_KEY"]))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="golive-bench-")))
        port = _free_port()
        url = f"http://127.0.0.1:{port}"
        environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV")},
            **known,
            "APP_ENV": "rehearsal",
            "DATABASE_URL": runtime_database_url(database),
            "EVOLUTION_API_URL": evolution.url,
            "BASE_URL": url,
            "BOOTSTRAP_ADMIN_EMAIL": "bench@rehearsal.invalid",
            "LOG_FILE": str(scratch / "backend.log"),
            "WORKER_IN_PROCESS": "false",
            # One unit gets half of a process's connections at once, and there is only one here.
            "DATABASE_POOL_SIZE": str(2 * CONNECTIONS // processes),
            "ACCOUNT_REQUESTS_PER_SECOND": "100000",
            "WEBHOOKS_PER_SECOND": "100000",
        }
        command = (sys.executable, "-m", "harness.cli", "backend", "serve", "--port", str(port), "--workers", str(processes))
        backend = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(_stop, backend)
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            _await_health(client, backend)
            admin = _login(client, "bench@rehearsal.invalid", known["BOOTSTRAP_ADMIN_PASSWORD"])
            made = client.post("/admin/units", json={"name": "Bench", "slug": "bench"}, headers=admin).raise_for_status().json()
            unit, password = made["id"], known["METRICS_TOKEN"]
            person = {"name": "B", "email": "b@units.invalid", "password": password, "role": "unit_admin", "unitId": unit}
            client.post("/admin/users", json=person, headers=admin).raise_for_status()
            member = _login(client, person["email"], person["password"])
            body = {"provider": "evolution", "credentials": {}}
            client.post(f"/units/{unit}/whatsapp/connect", json=body, headers=member).raise_for_status()
            instance = f"unit_{unit}"
            evolution.scan(instance)
            until = time.monotonic() + 30
            while client.get(f"/units/{unit}/whatsapp/status", headers=member).json()["status"] != "connected":
                if time.monotonic() > until:
                    sys.exit("the unit did not connect")
                time.sleep(0.1)
        (row,) = evolution.instances()
        yield Served(
            url=url,
            pid=backend.pid,
            database=database,
            runtime_url=runtime_database_url(database),
            unit=UUID(unit),
            instance=instance,
            secret=str(row["webhook"]["url"]).rpartition("/")[2],
            headers=member,
            evolution=evolution,
        )


def inbound(options: argparse.Namespace) -> dict[str, Any]:
    """Inbound webhooks answered (so committed) a second, against the statements that one needs, without anything around them."""
    with serving() as served:

        def through_the_backend() -> float:
            return _drive(served, served.webhook, [_event(served) for _ in range(options.requests)], 200, {})

        return _ratio("inbound", options, lambda: _bare(served, _receive, options.requests), through_the_backend)


def sends(options: argparse.Namespace) -> dict[str, Any]:
    """Messages accepted into the queue a second (`Prefer: respond-async`), against the statements that one needs."""
    with serving() as served:

        def through_the_backend() -> float:
            asked = [{"phone": _phone(), "message": "hello", "clientMessageId": uuid4().hex} for _ in range(options.requests)]
            bodies = [json.dumps(body) for body in asked]
            return _drive(served, "/messages", bodies, 202, {**served.headers, "Prefer": "respond-async"})

        return _ratio("sends", options, lambda: _bare(served, _queue, options.requests), through_the_backend)


def visible(options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds from a webhook of a connection to the status that the API then shows, under 200 other events a second."""
    with serving() as served:
        found = asyncio.run(_watch(served, options.seconds))
    p99 = statistics.quantiles(found["ms"], n=100)[98]
    return {
        "p50_ms": round(statistics.median(found["ms"]), 1),
        "p99_ms": round(p99, 1),
        "changes": len(found["ms"]),
        "events_per_second": round(found["rate"], 1),
        "aim_ms": AIMS["visible_p99_ms"],
        "met": p99 < AIMS["visible_p99_ms"] and found["rate"] > 0.9 * EVENTS_PER_SECOND,
    }


def memory(options: argparse.Namespace) -> dict[str, Any]:
    """Resident memory of one API process after a warm-up and after many requests."""
    with serving(processes=1) as served:
        figures = []
        for share in range(5):
            body = [_event(served) for _ in range(1_000)]
            _drive(served, served.webhook, body, 200, {}, requests=max(1_000, options.memory_requests // 5))
            figures.append(round(served.memory_mb(), 1))
            print(f"  {share + 1}/5: {figures[-1]} MB", file=sys.stderr)  # noqa: T201
    growth = figures[-1] - figures[0]
    return {
        "requests": options.memory_requests,
        "mb": figures,
        "growth_mb": round(growth, 1),
        "aim_mb": AIMS["memory_mb"],
        "met": figures[-1] < AIMS["memory_mb"] and growth < AIMS["growth_mb"],
    }


def _ratio(name: str, options: argparse.Namespace, bare: Callable[[], float], backend: Callable[[], float]) -> dict[str, Any]:
    bare(), backend()
    rounds = [(bare(), backend()) if number % 2 else tuple(reversed((backend(), bare()))) for number in range(options.rounds)]
    ratios = [through / alone for alone, through in rounds]
    return {
        "requests": options.requests,
        "processes": PROCESSES,
        "connections": CONNECTIONS,
        "bare_per_s": round(statistics.median(alone for alone, _ in rounds)),
        "backend_per_s": round(statistics.median(through for _, through in rounds)),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "aim": AIMS[name],
        "met": statistics.median(ratios) >= AIMS[name],
    }


def _drive(
    served: Served, path: str, bodies: Sequence[str], status: int, headers: Mapping[str, str], *, requests: int = 0
) -> float:
    """Requests answered a second. Raises SystemExit unless all get `status`."""
    address = httpx.URL(served.url)
    wish = Wish(
        host=address.host,
        port=address.port or 80,
        paths=[path],
        headers=dict(headers),
        bodies=list(bodies),
        requests=requests or len(bodies),
        connections=CONNECTIONS,
    )
    command = (sys.executable, "-m", "harness.benchmarks.load", "-")
    done = subprocess.run(command, input=msgspec.json.encode(wish).decode(), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the load failed: {done.stderr.strip().splitlines()[-1:]}")
    outcome = json.loads(done.stdout)
    if outcome["statuses"] != {str(status): wish.requests}:
        sys.exit(f"not every request was answered with {status}: {outcome['statuses']}")
    return wish.requests / float(outcome["seconds"])


# One use of the database: (unit, instance) over one psycopg connection.
_Use = Callable[[Any, UUID, str], Any]


def _bare(served: Served, use: _Use, times: int) -> float:
    """Uses a second over all connections, of as many processes as the backend has."""
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        shares = [(use, served.runtime_url, served.unit, served.instance, times // PROCESSES)] * PROCESSES
        # Interpreters start before the clock does.
        pool.map(_nothing, range(PROCESSES), chunksize=1)
        seconds = pool.starmap(_alone, shares, chunksize=1)
    return times / max(seconds)


def _nothing(_: int) -> None:
    import psycopg  # noqa: F401


def _alone(use: _Use, url: str, unit: UUID, instance: str, times: int) -> float:
    return asyncio.run(_all(use, url, unit, instance, times))


async def _all(use: _Use, url: str, unit: UUID, instance: str, times: int) -> float:
    import psycopg

    conninfo = url.replace("postgresql+psycopg://", "postgresql://", 1)
    connections = [await psycopg.AsyncConnection.connect(conninfo, autocommit=True) for _ in range(CONNECTIONS // PROCESSES)]
    left = iter(range(times))

    async def work(connection: Any) -> None:
        for _ in left:
            await use(connection, unit, instance)

    try:
        began = time.perf_counter()
        await asyncio.gather(*(work(connection) for connection in connections))
        return time.perf_counter() - began
    finally:
        for connection in connections:
            await connection.close()


async def _receive(connection: Any, unit: UUID, instance: str) -> None:
    """What an inbound message needs: its connection and secret, and in the unit's transaction the contact, the conversation and
    the row.
    """
    async with connection.transaction():
        await connection.execute("SELECT set_config('app.scope', 'system', true)")
        found = await connection.execute("SELECT * FROM unit_whatsapp_connections WHERE instance_id = %s", [instance])
        await found.fetchone()
    async with connection.transaction():
        await connection.execute("SELECT set_config('app.unit_id', %s, true)", [str(unit)])
        key = uuid4().hex
        await connection.execute("SELECT id FROM messages WHERE unit_id = %s AND external_id = %s", [unit, key])
        conversation = await _conversation(connection, unit)
        await connection.execute(
            "INSERT INTO messages (id, unit_id, conversation_id, direction, sender, content, message_type, status,"
            " external_id, remote_jid, provider, provider_timestamp, created_at, updated_at) VALUES (%s, %s, %s, 'inbound',"
            " 'customer', %s, 'text', 'received', %s, %s, 'evolution', now(), now(), now()) ON CONFLICT DO NOTHING RETURNING id",
            [uuid4(), unit, conversation, "hello", key, "5511900000000@s.whatsapp.net"],
        )


async def _queue(connection: Any, unit: UUID, instance: str) -> None:
    """What an accepted message needs: the key, the connection's state, the contact, the conversation, the row and the job."""
    async with connection.transaction():
        await connection.execute("SELECT set_config('app.unit_id', %s, true)", [str(unit)])
        key = uuid4().hex
        await connection.execute("SELECT * FROM messages WHERE unit_id = %s AND client_message_id = %s", [unit, key])
        await connection.execute("SELECT * FROM unit_whatsapp_connections WHERE instance_id = %s", [instance])
        conversation = await _conversation(connection, unit)
        await connection.execute(
            "INSERT INTO messages (id, unit_id, conversation_id, direction, sender, content, message_type, status,"
            " recipient_phone, client_message_id, params_hash, delivery_policy, provider, next_attempt_at, created_at,"
            " updated_at) VALUES (%s, %s, %s, 'outbound', 'agent', %s, 'text', 'queued', %s, %s, %s, 'at_most_once', 'evolution',"
            " now(), now(), now()) ON CONFLICT DO NOTHING RETURNING id",
            [uuid4(), unit, conversation, "hello", "5511900000000", key, secrets.token_hex(32)],
        )
    # A job waits already, as it does for a unit that has more to send.
    await connection.execute(
        "SELECT id FROM procrastinate.procrastinate_jobs WHERE status = 'todo' AND queueing_lock = %s", [f"send:{unit}"]
    )


async def _conversation(connection: Any, unit: UUID) -> UUID:
    found = await connection.execute(
        "INSERT INTO contacts (id, unit_id, phone, created_at, updated_at) VALUES (%s, %s, %s, now(), now())"
        " ON CONFLICT (unit_id, phone) DO UPDATE SET updated_at = now() RETURNING id",
        [uuid4(), unit, _phone()],
    )
    (contact,) = await found.fetchone()
    found = await connection.execute("SELECT id FROM conversations WHERE contact_id = %s AND status = 'open'", [contact])
    row = await found.fetchone()
    if row is not None:
        await connection.execute("UPDATE conversations SET last_message_at = now(), updated_at = now() WHERE id = %s", [row[0]])
        return UUID(str(row[0]))
    conversation = uuid4()
    await connection.execute(
        "INSERT INTO conversations (id, unit_id, contact_id, status, last_message_at, created_at, updated_at)"
        " VALUES (%s, %s, %s, 'open', now(), now(), now())",
        [conversation, unit, contact],
    )
    return conversation


async def _watch(served: Served, seconds: float) -> dict[str, Any]:
    """Open model: events go out at their time whether or not earlier ones were answered."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    found: list[float] = []
    async with httpx.AsyncClient(base_url=served.url, timeout=30, trust_env=False, limits=limits) as client:
        answers: list[asyncio.Task[Any]] = []

        async def change(state: str) -> None:
            began = time.perf_counter()
            moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            data = {"instance": served.instance, "state": state, "statusReason": 200}
            body = {"event": "connection.update", "instance": served.instance, "data": data, "date_time": moment}
            posted = asyncio.ensure_future(client.post(served.webhook, json=body))
            wanted = "connected" if state == "open" else "connecting"
            while True:
                told = await client.get(f"/units/{served.unit}/whatsapp/status", headers=dict(served.headers))
                if told.json()["status"] == wanted:
                    break
            found.append((time.perf_counter() - began) * 1000)
            await posted

        began = time.perf_counter()
        total = int(seconds * EVENTS_PER_SECOND)
        states = itertools.cycle(("connecting", "open"))
        watching: asyncio.Task[None] | None = None
        for number in range(total):
            due = began + number / EVENTS_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            answers.append(
                asyncio.ensure_future(
                    client.post(served.webhook, content=_event(served), headers={"Content-Type": "application/json"})
                )
            )
            if number % (EVENTS_PER_SECOND // 10) == 0 and (watching is None or watching.done()):
                watching = asyncio.ensure_future(change(next(states)))
        sent = time.perf_counter() - began
        if watching is not None:
            await watching
        statuses = {answer.status_code for answer in await asyncio.gather(*answers)}
    if statuses != {200}:
        sys.exit(f"not every event was answered with 200: {statuses}")
    return {"ms": found, "rate": total / sent}


def _event(served: Served) -> str:
    phone = _phone()
    key = {"id": uuid4().hex.upper(), "remoteJid": f"{phone}@s.whatsapp.net", "fromMe": False}
    data = {
        "key": key,
        "pushName": "Customer",
        "message": {"conversation": "hello"},
        "messageType": "conversation",
        "messageTimestamp": int(time.time()),
    }
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"event": "messages.upsert", "instance": served.instance, "data": data, "date_time": moment})


def _phone() -> str:
    # Customers come back: a thousand of them.
    return f"55119{80_000_000 + next(_numbers) * 7919 % 1000 * 1009:08d}"


def _login(client: httpx.Client, email: str, password: str) -> dict[str, str]:
    answer = client.post("/admin/login", json={"email": email, "password": password}).raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['accessToken']}"}


def _await_health(client: httpx.Client, backend: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while True:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/health").status_code == 200:
                return
        if backend.poll() is not None or time.monotonic() > until:
            sys.exit("the backend did not start")
        time.sleep(0.1)


def _stop(backend: subprocess.Popen[bytes]) -> None:
    backend.terminate()
    try:
        backend.wait(30)
    except subprocess.TimeoutExpired:
        backend.kill()


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


BENCHMARKS = {"inbound": inbound, "sends": sends, "visible": visible, "memory": memory}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m harness.benchmarks.backend", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which; all without any")
    parser.add_argument("--requests", type=int, default=2_000, help="in each round")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=15.0, help="of events for `visible`")
    parser.add_argument("--memory-requests", type=int, default=50_000, help="for `memory`; the promise speaks of a million")
    parser.add_argument("--json", type=Path, default=None, help="also write the figures here")
    options = parser.parse_args(arguments)
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")  # noqa: T201
    found: dict[str, Any] = {}
    for name in options.names or BENCHMARKS:
        found[name] = BENCHMARKS[name](options)
        print(json.dumps({name: found[name]}), flush=True)  # noqa: T201
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(not all(figures["met"] for figures in found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
