"""Containers: the engine, the fake and Postgres in them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy as sa

from harness import containers, datastores
from harness.clock import SystemClock
from harness.containers import ContainerError, Engine, FakeEvolutionContainer, image_for, open_engine
from harness.datastores import DatastoreError, open_database
from harness.tests.evolution.listener import Listener
from harness.tests.running import ROOT, environment, golive

in_containers = pytest.mark.container


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True)


@pytest.fixture
def engine_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No engine answers, and the only commands are those in the directory that is returned."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(containers, "SYSTEM_PATHS", ())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    _command(tmp_path, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    return tmp_path


def _command(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def _refusal() -> str:
    with pytest.raises(ContainerError) as refused, open_engine():
        pass
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture(scope="module")
def fake(fake_image: str) -> Iterator[FakeEvolutionContainer]:
    settings = {"SERVER_URL": "https://fake.example", "QRCODE_LIMIT": "1"}
    with FakeEvolutionContainer(fake_image, key="the-key", control_token="the-token", seed=3, environment=settings) as container:
        yield container


@pytest.fixture(scope="module")
def initial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("initdb")
    folder.chmod(0o755)
    (folder / "1-table.sql").write_text("CREATE TABLE made (by text); INSERT INTO made VALUES ('sql');")
    (folder / "2-row.sql.gz").write_bytes(gzip.compress(b"INSERT INTO made VALUES ('sql.gz');"))
    (folder / "3-row.sh").write_text('#!/bin/bash\npsql -d "$POSTGRES_DB" -c "INSERT INTO made VALUES (\'$POSTGRES_USER\')"\n')
    (folder / "3-row.sh").chmod(0o755)
    (folder / "4-note.txt").write_text("not run")
    for file in folder.iterdir():
        file.chmod(file.stat().st_mode | 0o055)
    return folder


@pytest.fixture(scope="module")
def server(postgres_image: str, initial: Path) -> Iterator[Any]:
    from testcontainers.community.postgres import PostgresContainer

    container = PostgresContainer(postgres_image, username="ana", password="s3cret'x", dbname="loja", driver=None)
    with container.with_volume_mapping(initial, "/docker-entrypoint-initdb.d") as started:
        yield started


class TestWithoutAnEngine:
    def test_only_root_starts_one(self, engine_missing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert _refusal().endswith("an engine of our own can be started by root on Linux alone")

    def test_without_a_daemon_it_says_what_to_install(self, engine_missing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        assert "no dockerd to start either: install one (Debian, Ubuntu: apt-get install docker.io)" in _refusal()

    @pytest.mark.process
    def test_a_daemon_that_ends_is_quoted_and_leaves_nothing(self, engine_missing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        _command(engine_missing, "dockerd", "echo 'failed to mount cgroup'; exit 1")
        assert _refusal() == "dockerd did not start: failed to mount cgroup"
        assert sorted(path.name for path in engine_missing.iterdir()) == ["docker", "dockerd"]
        assert os.environ["DOCKER_HOST"] == f"unix://{engine_missing}/nobody.sock"

    def test_what_a_daemon_left_mounted_is_found_innermost_first(self) -> None:
        table = "\n".join(
            f"1 2 0:1 / {place} rw - ext4 x rw"
            for place in ("/", "/tmp/home/data", "/tmp/home2/data", "/tmp/home/data/overlay2/a")
        )
        found = containers._mounts_below(Path("/tmp/home"), table)
        assert found == ["/tmp/home/data/overlay2/a", "/tmp/home/data"]

    def test_a_database_in_a_container_is_refused_in_one_line(
        self, engine_missing: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        words = "no Postgres in a container: the Docker daemon does not answer"
        with pytest.raises(DatastoreError, match=words), open_database("docker:"):
            pass

    @pytest.mark.process
    @pytest.mark.parametrize(("required", "ends"), [("", "1 skipped"), ("1", "1 error")])
    def test_tests_in_containers_are_skipped_unless_they_are_required(
        self, engine_missing: Path, required: str, ends: str
    ) -> None:
        _command(engine_missing, "dockerd", "echo 'not here'; exit 1")
        test = "harness/tests/test_containers.py::TestFake::test_it_answers_as_the_process_does"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", test],
            cwd=ROOT,
            env=environment(GOLIVE_REQUIRE_CONTAINERS=required, PYTHONWARNINGS=""),
            capture_output=True,
            text=True,
        )
        assert ends in done.stdout.splitlines()[-1], done.stdout
        reasons = ("the Docker daemon does not answer", "dockerd did not start: not here")
        assert any(reason in done.stdout for reason in reasons), done.stdout


class TestChoice:
    @pytest.mark.parametrize(
        ("binaries", "commands", "choice"), [(True, True, "embedded"), (False, True, "docker:"), (False, False, "embedded")]
    )
    def test_auto_takes_a_container_where_there_are_no_binaries(
        self, engine_missing: Path, monkeypatch: pytest.MonkeyPatch, binaries: bool, commands: bool, choice: str
    ) -> None:
        monkeypatch.setattr(datastores, "find_binaries", lambda: (Path("/"),) if binaries else ())
        monkeypatch.setenv("PATH", str(engine_missing) if commands else "")
        monkeypatch.setattr(datastores, "DAEMONS_PATH", "")
        assert datastores._at_hand(None) == choice

    def test_a_setting_names_the_image(self) -> None:
        assert image_for("fake", {"GOLIVE_FAKE_IMAGE": "mine:1"}) == "mine:1"
        assert image_for("postgres", {"GOLIVE_POSTGRES_IMAGE": "postgres:17"}) == "postgres:17"


@in_containers
class TestFake:
    def test_it_answers_as_the_process_does(self, fake: FakeEvolutionContainer) -> None:
        answer = httpx.get(fake.url)
        assert (answer.status_code, answer.json()["version"]) == (200, "2.3.7")
        assert httpx.get(f"{fake.url}/instance/fetchInstances", headers={"apikey": "wrong"}).status_code == 401
        assert httpx.get(f"{fake.url}/instance/fetchInstances", headers={"apikey": "the-key"}).json() == []
        assert fake.control.health()["clock"] == "SystemClock"

    def test_its_webhooks_reach_this_machine(self, fake: FakeEvolutionContainer) -> None:
        fake.control.reset()
        with Listener(SystemClock(), address="0.0.0.0", name=fake.webhook_host) as listener:
            webhook = {"url": f"{listener.url}/ok", "events": ["INSTANCE_CREATE"]}
            wish = {"instanceName": "shop", "integration": "WHATSAPP-BAILEYS", "webhook": webhook}
            httpx.post(f"{fake.url}/instance/create", headers={"apikey": "the-key"}, json=wish).raise_for_status()
            fake.control.quiesce(10)
            [body] = listener.bodies("instance.create")
        assert (body["instance"], body["server_url"]) == ("shop", "https://fake.example")

    def test_neither_key_nor_token_is_an_argument(self, fake: FakeEvolutionContainer) -> None:
        shown = json.loads(_docker("inspect", fake.get_container_id()).stdout)[0]
        assert "--seed" in shown["Args"]
        assert "the-key" not in str((shown["Path"], shown["Args"]))
        assert "the-token" not in str((shown["Path"], shown["Args"]))

    def test_it_runs_as_nobody_in_particular_and_says_that_it_is_well(self, fake: FakeEvolutionContainer) -> None:
        container = fake.get_wrapped_container()
        assert container.exec_run(["id", "-u"]).output.strip() == b"10001"
        before = fake.control.requests()
        checked = container.exec_run(["python", "-m", "harness.image.healthcheck"])
        assert (checked.exit_code, checked.output) == (0, b"")
        shown = json.loads(_docker("inspect", fake.get_container_id()).stdout)[0]
        assert shown["Config"]["Healthcheck"]["Test"] == ["CMD", "python", "-m", "harness.image.healthcheck"]
        assert sorted(shown["Config"]["ExposedPorts"]) == ["8080/tcp", "8081/tcp"]
        assert fake.control.requests() == before

    def test_it_is_reached_at_a_published_port_as_well(
        self, fake: FakeEvolutionContainer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from testcontainers.core.config import ConnectionMode
        from testcontainers.core.config import testcontainers_config as config

        monkeypatch.setattr(config, "connection_mode_override", ConnectionMode.docker_host)
        monkeypatch.setattr(config, "tc_host_override", "127.0.0.1")
        assert fake.url.startswith("http://127.0.0.1:")
        assert httpx.get(fake.url).json()["version"] == "2.3.7"

    def test_one_that_ends_at_once_is_quoted_and_gone(self, fake_image: str) -> None:
        broken = FakeEvolutionContainer(fake_image, key="", control_token="t")
        began = time.monotonic()
        broken.env.pop("GOLIVE_EVOLUTION_KEY")
        words = r"has ended: golive: Missing option '--key' \(env var: .*GOLIVE_EVOLUTION_KEY"
        with pytest.raises(ContainerError, match=words), broken:
            pass
        assert time.monotonic() - began < containers.START_SECONDS
        assert broken.get_container_id() not in _docker("ps", "--all", "--quiet", "--no-trunc").stdout

    def test_an_image_that_nobody_has_is_one_line(self, engine: Engine) -> None:
        nobody = FakeEvolutionContainer("golive-nobody:1", key="k", control_token="t")
        with pytest.raises(ContainerError, match="did not start in a container of golive-nobody:1") as refused, nobody:
            pass
        assert "\n" not in str(refused.value)

    def test_the_real_servers_variable_is_the_key_too(self, fake_image: str) -> None:
        container = FakeEvolutionContainer(
            fake_image, key="", control_token="t", environment={"AUTHENTICATION_API_KEY": "theirs"}
        )
        container.env.pop("GOLIVE_EVOLUTION_KEY")
        with container:
            answer = httpx.get(f"{container.url}/instance/fetchInstances", headers={"apikey": "theirs"})
        assert answer.status_code == 200


@in_containers
class TestPostgres:
    def test_the_librarys_own_container_runs_unchanged(self, server: Any) -> None:
        with psycopg.connect(server.get_connection_url()) as connection:
            assert connection.execute("SELECT current_user, current_database()").fetchone() == ("ana", "loja")
            assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)

    def test_the_init_directory_was_run_in_order(self, server: Any) -> None:
        with psycopg.connect(server.get_connection_url()) as connection:
            assert connection.execute("SELECT by FROM made").fetchall() == [("sql",), ("sql.gz",), ("ana",)]

    def test_the_password_is_asked_for(self, server: Any) -> None:
        wrong = sa.make_url(server.get_connection_url()).set(password="wrong").render_as_string(hide_password=False)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)

    def test_the_server_does_not_run_as_root(self, server: Any) -> None:
        container = server.get_wrapped_container()
        assert container.exec_run(["stat", "-c", "%u", "/proc/1"]).output.strip() == b"999"

    def test_without_a_password_it_refuses_in_one_line(self, postgres_image: str) -> None:
        done = _docker("run", "--rm", postgres_image)
        assert (done.returncode, done.stderr) == (
            1,
            "golive-postgres: set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust\n",
        )

    def test_a_database_may_come_from_a_container(self, postgres_image: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GOLIVE_POSTGRES_IMAGE", postgres_image)
        with open_database("docker:") as database:
            assert (database.backend, database.origin) == ("postgresql", "container")
            assert int(database.server_version.partition(".")[0]) >= 15
            with database.throwaway() as other, psycopg.connect(other.conninfo) as connection:
                assert connection.execute("SHOW fsync").fetchone() == ("off",)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(database.conninfo, connect_timeout=2)

    def test_a_durable_one_writes_to_disk(self, postgres_image: str) -> None:
        with (
            open_database(f"docker:{postgres_image}", durable=True) as database,
            psycopg.connect(database.conninfo) as connection,
        ):
            assert connection.execute("SHOW fsync").fetchone() == ("on",)


@in_containers
class TestImage:
    def test_the_command_builds_one_that_runs(self, engine: Engine, tmp_path: Path) -> None:
        tag = f"golive-test-{os.getpid()}:1"
        try:
            built = golive("fake", "image", "--tag", tag, "--base", "debian", cwd=tmp_path)
            assert (built.status, built.errors) == (0, "")
            assert built.output.startswith(f"{tag}: ")
            assert " MB, on golive-base:bookworm-" in built.output
            done = _docker("run", "--rm", "--network", "none", tag, "--help")
            assert done.stdout.startswith("Usage: golive fake serve")
        finally:
            _docker("rmi", "--force", tag)
