"""The processes of a chaos run: Postgres, the fake provider, API servers and workers, each killed and started again at will."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from harness.datastores import Database, open_database
from harness.errors import HarnessError
from harness.evolution.client import EvolutionControl
from harness.evolution.errors import ControlError

__all__ = ["ADMIN_EMAIL", "GRACES", "TIMEOUT_S", "ChaosSystem", "Member", "started"]

ADMIN_EMAIL = "chaos@rehearsal.invalid"
CONTROL = "control token"
TIMEOUT_S = 2.0
# Real time cannot be hurried, so what is minutes in production is seconds here.
GRACES = {
    "EVOLUTION_TIMEOUT_SECONDS": f"{TIMEOUT_S:g}",
    "LEASE_MARGIN_SECONDS": "2",
    "RECONCILE_GRACE_SECONDS": "3",
    "EVOLUTION_POLL_SECONDS": "5",
    "CAMPAIGN_GAP_SECONDS": "2",
}
PROVIDER = {
    "WEBHOOK_RETRY_MAX_ATTEMPTS": "60",
    "WEBHOOK_RETRY_INITIAL_DELAY_SECONDS": "1",
    "WEBHOOK_RETRY_MAX_DELAY_SECONDS": "3",
    "WEBHOOK_REQUEST_TIMEOUT_MS": "5000",
}
# Half of the workers live on machines whose clock is an hour wrong.
SKEWS_S = (0.0, 3600.0, 0.0, -3600.0)
READY_S = 60.0
STOP_S = 30.0
_WORKER = "import os, sys; from harness.reference import work; work(os.environ, skew_s=float(sys.argv[1]))"


@dataclass(slots=True, kw_only=True)
class Member:
    """One process that is killed and started again under the same name, at the same address if it has one."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    output: Path
    log: Path
    url: str = ""
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    _log_begins: int = 0

    @property
    def is_api(self) -> bool:
        return bool(self.url)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        self._log_begins = self.log.stat().st_size if self.log.exists() else 0
        self.process = _spawn(self.command, self.environment, self.output)
        self.starts += 1

    def kill(self) -> None:
        """As the kernel does: at once, with everything that it started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_S)

    def terminate(self) -> int:
        """Asks it to stop and waits until it has; its exit status. Raises HarnessError when it does not stop."""
        if self.process is None:
            raise HarnessError(f"{self.name} was never started")
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise HarnessError(f"{self.name} did not stop within {STOP_S:g} s of SIGTERM") from error

    def is_ready(self) -> bool:
        """Whether it does its work. Raises HarnessError with the end of its output when it has ended by itself."""
        if not self.alive:
            tail = self.output.read_text(errors="replace").strip().splitlines()[-3:] if self.output.exists() else []
            raise HarnessError(f"{self.name} ended by itself: {' / '.join(tail) or 'without a word'}")
        if self.is_api:
            return _answers(self.url)
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(self._log_begins)
            return b"worker at work" in log.read()
        return False

    def await_ready(self) -> None:
        """Raises HarnessError when it takes too long."""
        until = time.monotonic() + READY_S
        while not self.is_ready():
            if time.monotonic() > until:
                raise HarnessError(f"{self.name} was not ready within {READY_S:g} s; see {self.output}")
            time.sleep(0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosSystem:
    """Everything that runs. `secrets` must never be seen in any output."""

    database: Database
    owner_url: str
    control: EvolutionControl
    apis: tuple[Member, ...]
    workers: tuple[Member, ...]
    secrets: Mapping[str, str] = field(repr=False)
    folder: Path

    @property
    def members(self) -> tuple[Member, ...]:
        return (*self.apis, *self.workers)

    def member(self, name: str) -> Member:
        return next(member for member in self.members if member.name == name)

    def migrate(self) -> None:
        """Runs the migration again, while everything works. Raises HarnessError when it fails."""
        command = (sys.executable, "-m", "harness.cli", "backend", "migrate", "--database", self.owner_url)
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_inherited())
        if done.returncode:
            raise HarnessError(f"the migration under load failed: {done.stderr.strip().splitlines()[-1:]}")


@contextlib.contextmanager
def started(*, database: str, folder: Path, seed: int, apis: int, workers: int, chaff: str) -> Iterator[ChaosSystem]:
    """Everything running, on a database of its own that is dropped; whatever happens, no process is left behind.

    Raises HarnessError when something cannot be started.
    """
    from harness.reference import migrate, runtime_database_url

    folder.mkdir(parents=True, exist_ok=True)
    names = ("EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET", "METRICS_TOKEN", "BOOTSTRAP_ADMIN_PASSWORD", CONTROL)
    known = {name: secrets.token_urlsafe(36) for name in names}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(open_database(database))
        if server.backend != "postgresql":
            raise HarnessError("chaos needs Postgres: several processes share the database; give --database postgresql://…")
        copy = stack.enter_context(server.throwaway())
        migrate(copy.url)
        ports = _free_ports(apis + 1)
        fake_url = f"http://127.0.0.1:{ports[0]}"
        fake = _spawn(
            (sys.executable, "-m", "harness.cli", "fake", "serve", "--port", str(ports[0]), "--seed", str(seed)),
            {
                **_inherited(),
                **PROVIDER,
                "GOLIVE_EVOLUTION_KEY": known["EVOLUTION_API_KEY"],
                "GOLIVE_CONTROL_TOKEN": known[CONTROL],
            },
            folder / "fake.out",
        )
        stack.callback(_end, fake)
        control = stack.enter_context(EvolutionControl(fake_url, known[CONTROL]))
        _await_fake(control, fake, folder / "fake.out")
        environment = {
            **_inherited(),
            **GRACES,
            **{name: value for name, value in known.items() if name != CONTROL},
            "APP_ENV": "rehearsal",
            "DATABASE_URL": runtime_database_url(copy),
            "EVOLUTION_API_URL": fake_url,
            "WORKER_IN_PROCESS": "false",
            "BOOTSTRAP_ADMIN_EMAIL": ADMIN_EMAIL,
            **({"CHAFF": chaff} if chaff else {}),
        }
        system = ChaosSystem(
            database=copy,
            owner_url=copy.url,
            control=control,
            apis=tuple(_api(number, port, environment, folder) for number, port in enumerate(ports[1:])),
            workers=tuple(_worker(number, environment, folder) for number in range(workers)),
            secrets=known,
            folder=folder,
        )
        for member in system.members:
            stack.callback(member.kill)
            member.start()
        for member in system.members:
            member.await_ready()
        yield system


def _api(number: int, port: int, environment: Mapping[str, str], folder: Path) -> Member:
    name, url = f"api-{number}", f"http://127.0.0.1:{port}"
    log = folder / f"{name}.log"
    return Member(
        name=name,
        command=(sys.executable, "-m", "harness.cli", "backend", "serve", "--port", str(port)),
        # Webhooks come back to the process that registered them, so a killed one makes the provider try again.
        environment={**environment, "BASE_URL": url, "LOG_FILE": str(log)},
        output=folder / f"{name}.out",
        log=log,
        url=url,
    )


def _worker(number: int, environment: Mapping[str, str], folder: Path) -> Member:
    name = f"worker-{number}"
    log = folder / f"{name}.log"
    return Member(
        name=name,
        command=(sys.executable, "-c", _WORKER, str(SKEWS_S[number % len(SKEWS_S)])),
        environment={**environment, "BASE_URL": "http://127.0.0.1:9", "LOG_FILE": str(log)},
        output=folder / f"{name}.out",
        log=log,
    )


def _inherited() -> dict[str, str]:
    kept = ("PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV", "XDG_CACHE_HOME", "LANG", "COVERAGE_PROCESS_START")
    return {name: value for name, value in os.environ.items() if name in kept}


def _spawn(command: Sequence[str], environment: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
    with output.open("ab") as written:
        sink: IO[bytes] = written
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_S)


def _await_fake(control: EvolutionControl, process: subprocess.Popen[bytes], output: Path) -> None:
    until = time.monotonic() + READY_S
    while True:
        with contextlib.suppress(ControlError):
            control.health()
            return
        if process.poll() is not None or time.monotonic() > until:
            raise HarnessError(f"the fake provider did not start; see {output}")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{url}/health", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
