"""Containers for tests: the fake Evolution API and Postgres, on an engine that answers or on one of our own.

The one module that uses testcontainers; importing it takes a second, so it is imported where a container is wanted.

    with FakeEvolutionContainer(key="test-key", control_token="control") as fake:
        backend = start_backend(evolution=fake.url, key=fake.key)
        fake.control.incoming("shop", "5511988887777", "hello")

A webhook reaches a listener on this machine at `http://host.docker.internal:PORT`; it has to listen on more than loopback.

Images: `GOLIVE_FAKE_IMAGE` and `GOLIVE_POSTGRES_IMAGE`; without them those of `harness/image/` are built when the engine does not
have them yet. Ryuk, the janitor of testcontainers, is used when it is there and not switched off: every container here ends with
its `with` block, and an engine of our own ends with its process.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from harness.errors import HarnessError
from harness.evolution.client import EvolutionControl
from harness.evolution.errors import ControlError
from harness.image.build import ImageError, Kind, build, fingerprint, has_image, has_label, server_version

try:
    import docker.errors
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.config import ConnectionMode, testcontainers_config
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.exceptions import ContainerStartException
except ImportError as missing:
    raise HarnessError(f"containers need the extra `containers` ({missing}): pip install 'golive[containers]'") from None

__all__ = [
    "ContainerError", "Engine", "FakeEvolutionContainer", "image_for", "open_engine", "postgres",
]  # fmt: skip

IMAGE_VARIABLES: Mapping[Kind, str] = {"fake": "GOLIVE_FAKE_IMAGE", "postgres": "GOLIVE_POSTGRES_IMAGE"}
PORT, CONTROL_PORT = 8080, 8081
# By which every process knows the engine as one of ours.
LABEL = "golive.engine=own"
HOST_NAME = "host.docker.internal"
POLL_SECONDS = 0.1
START_SECONDS = 60
# What testcontainers and its client raise when a container does not come up.
_STARTING = (docker.errors.DockerException, TimeoutError, RuntimeError)
# Debian keeps the daemon's own tools where only root's shell looks.
SYSTEM_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# The daemon ends with the process that started it, however that dies.
LAUNCHER = """
import ctypes, os, signal, sys
parent = int(sys.argv[1])
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != parent:
    sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class ContainerError(HarnessError):
    """No container can be had. One line: what is missing and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A container engine that answers. `own` when it was started by this block and ends with it."""

    version: str
    own: bool


@contextlib.contextmanager
def open_engine() -> Iterator[Engine]:
    """The engine that answers; else, as root where `dockerd` is installed, one of our own for the length of the block.

    An own engine keeps its data, sockets and process id in a directory that is removed with it, publishes ports on loopback
    alone, and is what `DOCKER_HOST` names inside the block.

    Raises ContainerError with the reason: no engine answers and none can be started.
    """
    try:
        version = server_version()
    except ImageError as silent:
        reason = str(silent)
    else:
        with _reached(own=has_label(LABEL)):
            yield Engine(version=version, own=False)
        return
    with _own_engine(reason) as engine:
        yield engine


@contextlib.contextmanager
def _own_engine(reason: str) -> Iterator[Engine]:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_PATHS])
    if os.geteuid() != 0 or sys.platform != "linux":
        raise ContainerError(f"{reason}; an engine of our own can be started by root on Linux alone")
    daemon = shutil.which("dockerd", path=path)
    if daemon is None or shutil.which("docker", path=path) is None:
        raise ContainerError(f"{reason}; no dockerd to start either: install one (Debian, Ubuntu: apt-get install docker.io)")
    home = Path(tempfile.mkdtemp(prefix="golive-engine-"))
    address = f"unix://{home / 'docker.sock'}"
    options = [
        "--data-root", str(home / "data"), "--exec-root", str(home / "exec"), "--pidfile", str(home / "pid"),
        "--host", address, "--ip", "127.0.0.1", "--label", LABEL, "--log-level", "warn",
    ]  # fmt: skip
    try:
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", LAUNCHER, str(os.getpid()), daemon, *options],
                env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            with _setting("DOCKER_HOST", address), _reached(own=True):
                version = _answering(process, home / "log")
                yield Engine(version=version, own=True)
        finally:
            # It ends its containers itself; the bridge docker0 stays, as after any daemon.
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        for place in _mounts_below(home, Path("/proc/self/mountinfo").read_text(encoding="utf-8")):
            subprocess.run(["umount", place], env={**os.environ, "PATH": path}, check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def _mounts_below(home: Path, table: str) -> list[str]:
    """What is mounted in `home`, the innermost first: a daemon that is told to stop while it is busy leaves its own behind."""
    places = [line.split()[4] for line in table.splitlines()]
    return sorted((place for place in places if place.startswith(f"{home}/")), key=len, reverse=True)


def _answering(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return server_version()
        except ImageError as silent:
            if process.poll() is not None or time.monotonic() > deadline:
                said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
                raise ContainerError(f"dockerd did not start: {said[-1] if said else silent}") from None
            time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def _setting(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextlib.contextmanager
def _reached(*, own: bool) -> Iterator[None]:
    """How testcontainers uses the engine, where its own variables do not say.

    The containers of an engine of our own are reached at their own addresses: what resets a connection is then the container, and
    no proxy of published ports stands between. Its janitor is done without where its image would first have to be pulled.
    """
    config = testcontainers_config
    before = config.connection_mode_override, config.ryuk_disabled
    if own and config.connection_mode_override is None:
        config.connection_mode_override = ConnectionMode.bridge_ip
    config.ryuk_disabled = config.ryuk_disabled or own or not has_image(config.ryuk_image)
    try:
        yield
    finally:
        config.connection_mode_override, config.ryuk_disabled = before


def image_for(kind: Kind, environment: Mapping[str, str] = os.environ) -> str:
    """The image that the setting names, else that of this very code, built when the engine does not have it.

    Raises ImageError when it cannot be built.
    """
    given = environment.get(IMAGE_VARIABLES[kind], "")
    if given:
        return given
    tag = _own_tag(kind)
    return tag if has_image(tag) else build(kind, tag=tag).tag


@functools.cache
def _own_tag(kind: Kind) -> str:
    # The code of a process is what it was when it started.
    return fingerprint(kind)


class FakeEvolutionContainer(DockerContainer):
    """A fake Evolution API 2.3.7 in a container of its own.

    `url` is where this machine reaches it, `control` speaks to its control plane, `webhook_host` is the name by which the fake
    reaches this machine. With `virtual_clock` the control plane moves its time; with `frozen` time moves in no other way.
    `environment` are variables of the real server, such as `SERVER_URL` or `WEBHOOK_GLOBAL_URL`.

    Raises ContainerError when it does not start.
    """

    webhook_host = HOST_NAME

    def __init__(
        self,
        image: str = "",
        *,
        key: str,
        control_token: str,
        virtual_clock: bool = False,
        frozen: bool = False,
        seed: int | None = None,
        environment: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(image or image_for("fake"), **more)
        self.key = key
        self.control_token = control_token
        self._control: EvolutionControl | None = None
        for name, value in (environment or {}).items():
            self.with_env(name, value)
        # By environment: an argument would be there for all to read.
        self.with_env("GOLIVE_EVOLUTION_KEY", key).with_env("GOLIVE_CONTROL_TOKEN", control_token)
        words = ["--virtual-clock"] if virtual_clock or frozen else []
        words += ["--frozen"] if frozen else []
        words += ["--seed", str(seed)] if seed is not None else []
        self.with_command(words)
        self.with_exposed_ports(PORT, CONTROL_PORT)
        self.with_kwargs(extra_hosts={HOST_NAME: "host-gateway"})

    def start(self) -> Self:
        try:
            super().start()
            self._wait()
        except _STARTING as error:
            raise ContainerError(f"the fake did not start in a container of {self.image}: {_first_line(error)}") from error
        return self

    def _wait(self) -> None:
        """Returns when the control plane answers; a request to the API would be in the journal before the first of the test."""
        deadline = time.monotonic() + START_SECONDS
        container = self.get_wrapped_container()
        while True:
            container.reload()
            if container.status == "exited" or time.monotonic() > deadline:
                said = container.logs().decode(errors="replace").strip().splitlines()
                words = "has ended" if container.status == "exited" else "does not answer"
                raise ContainerError(
                    f"the fake in a container of {self.image} {words}: {said[-1] if said else 'it said nothing'}"
                )
            # What the library raises for a port that is not there yet, and our client for one that nobody answers.
            with contextlib.suppress(ControlError, ContainerStartException, ConnectionError, TimeoutError):
                # A container that has just ended answers nothing at all, not even with a refusal.
                with EvolutionControl(self.control_url, self.control_token, timeout=2.0) as asking:
                    asking.health()
                return
            time.sleep(POLL_SECONDS)

    def stop(self, force: bool = True, delete_volume: bool = True) -> None:
        if self._control is not None:
            self._control.disconnect()
            self._control = None
        super().stop(force=force, delete_volume=delete_volume)

    @property
    def url(self) -> str:
        """Where it listens, without a trailing slash."""
        return self._address(PORT)

    @property
    def control_url(self) -> str:
        """Where its control plane is, also while a fault keeps the port of the API closed."""
        return self._address(CONTROL_PORT)

    def _address(self, port: int) -> str:
        return f"http://{self.get_container_host_ip()}:{self.get_exposed_port(port)}"

    @property
    def control(self) -> EvolutionControl:
        """The verbs of its control plane."""
        if self._control is None:
            self._control = EvolutionControl(self.control_url, self.control_token)
        return self._control


@contextlib.contextmanager
def postgres(image: str = "", *, durable: bool = False) -> Iterator[str]:
    """A Postgres in a container of its own for the length of the block; yields its URL, for psycopg through SQLAlchemy.

    `image` is the official one or one that takes the same variables. Not `durable` means data in memory, without fsync and
    synchronous commits. Raises ContainerError when it does not start, ImageError when there is no image and none can be built.
    """
    name = "golive"
    container = PostgresContainer(image or image_for("postgres"), username=name, password=name, dbname=name, driver="psycopg")
    if not durable:
        container.with_command("postgres -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_connections=150")
        container.with_tmpfs_mount("/var/lib/postgresql/data", size="size=512m")
    with contextlib.ExitStack() as stack:
        # Its own wait asks once a second by default.
        stack.enter_context(_polling())
        try:
            stack.enter_context(container)
        except _STARTING as error:
            raise ContainerError(f"Postgres did not start in a container of {container.image}: {_first_line(error)}") from error
        yield container.get_connection_url()


@contextlib.contextmanager
def _polling() -> Iterator[None]:
    before = testcontainers_config.sleep_time
    testcontainers_config.sleep_time = POLL_SECONDS
    try:
        yield
    finally:
        testcontainers_config.sleep_time = before


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
