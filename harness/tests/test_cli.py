"""The command line: every refusal is one line and a status, every command explains itself, and programs get documents."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest

from gate.journal import read
from gate.registry import Kind, registry
from harness import cli
from harness.target import RealPace
from harness.tests.running import environment, golive

pytestmark = pytest.mark.process


def commands(group: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            found += commands(command, (*path, name))
    return found


@pytest.mark.parametrize("path", commands(cli.app), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    command: click.Command = cli.app
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    text = command.get_help(click.Context(command))
    assert "Usage:" in text
    assert command.help
    leaf_with_arguments = not isinstance(command, click.Group) and len(command.params) > 1
    assert "golive" in text or not leaf_with_arguments


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["rehearce"], "no command 'rehearce'; did you mean 'rehearse'?"),
        (["gate", "explan"], "no command 'explan'; did you mean 'explain'?"),
        (["gate", "--selekt", "x"], "--selekt"),
        (["gate", "--select", "schema.idempotency-indx"], "did you mean 'schema.idempotency-index'?"),
        (["gate", "--select", "@sead"], "did you mean '@seed'?"),
        (["gate", "--format", "yaml"], "'yaml' is not one of 'text', 'json', 'junit'"),
        (["gate", "--policy", "relase"], "did you mean 'release'?"),
        (["gate", "explain", "schema.campaign"], "did you mean 'schema.campaigns'?"),
        (["e2e", "--tags", "@sead"], "@seed"),
        (["e2e", "--target", "localhost:8000"], "is no address; write http://"),
        (["e2e", "--target", "http://"], "is no address; write http://"),
        (["e2e", "--target", "http://[::1"], "is no address; write http://"),
        (["e2e", "--target", "http://127.0.0.1:80000"], "is no address; write http://"),
        (["e2e", "--target", "http://127.0.0.1:1"], "set GOLIVE_ADMIN_EMAIL, GOLIVE_ADMIN_PASSWORD in the environment"),
        (["e2e", "--evolution", "http://127.0.0.1:1"], "give both"),
        (["smoke", "--recipient", "somebody"], "a recipient of 8 to 15 digits"),
        (["rehearse", "--commits", "HEAD"], "not of the form FIRST..LAST"),
        (["smoke"], "--recipient"),
        (["load", "--users", "0", "--recipient", "5511987650001"], "0 is not in the range"),
        (["rehearse", "--policy", "no-such.toml"], "no such file"),
        (["judge", "no-such-run"], "no such directory of a run"),
        (["report", "no-such-run"], "no such directory of a run"),
        (["gate", "--database", ""], "an empty text after --database; is a variable not set?"),
        (["gate", "--database="], "an empty text of --database=; is a variable not set?"),
        (["smoke", "--recipient", "5511987650001", "--target", " "], "an empty text after --target"),
        (["verify", "run", "--key", "key", "--commit", ""], "an empty text after --commit"),
        (["rehearse", "--load-seconds", "nan"], "nan is no finite number"),
        (["load", "--recipient", "5511987650001", "--p95-ms", "inf"], "inf is no finite number"),
        (["verify", "run", "--key", "key", "--max-age-hours", "nan"], "nan is no finite number"),
        (["backend", "migrate"], "give --database or set DATABASE_URL"),
        (["fake", "serve"], "--key"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line_before_anything_starts(
    arguments: list[str], complaint: str, tmp_path: Path
) -> None:
    done = golive(*arguments, cwd=tmp_path)
    assert done.status == 2
    assert complaint in done.errors
    assert done.errors.startswith("golive: ")
    assert done.errors.count("\n") == 1
    assert done.output == ""
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_key_of_a_policy_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    policy = tmp_path / "mine.toml"
    policy.write_text('schema_version = 1\nname = "mine"\nrequird = ["*"]\n')
    done = golive("rehearse", "--policy", policy, cwd=tmp_path)
    assert done.status == 2
    assert "unknown key 'requird'; did you mean 'required'?" in done.errors
    assert [item.name for item in tmp_path.iterdir()] == ["mine.toml"]


def test_the_checks_are_listed_for_people_and_for_programs(tmp_path: Path) -> None:
    text = golive("gate", "list", "--tags", cwd=tmp_path)
    listed = json.loads(golive("gate", "list", "--format", "json", cwd=tmp_path).output)
    ids = [item.id for item in registry(Kind.CHECK).load("gate.checks")]
    assert [item["id"] for item in listed] == ids
    assert len([item for item in listed if "seed" in item["tags"]]) == 23
    assert text.last_line == f"{len(ids)} checks"
    assert all(any(line.startswith(name) for line in text.output.splitlines()) for name in ids)


def test_a_check_is_explained_with_its_saboteurs(tmp_path: Path) -> None:
    done = golive("gate", "explain", "schema.idempotency-index", cwd=tmp_path)
    assert done.status == 0
    for word in ("Why:", "Fix:", "Seen to fail when:", "not unique"):
        assert word in done.output


def test_the_gate_answers_in_every_format_with_the_same_status(tmp_path: Path) -> None:
    arguments = ("gate", "--select", "@seed", "--database", "memory")
    text = golive(*arguments, cwd=tmp_path)
    assert (text.status, text.last_line) == (0, "GO"), text.output
    for line in (
        "unit_whatsapp_connections - 4/4 columns exist",
        "messages - 4/4 columns exist",
        "campaigns - 2/2 tables exist",
        "In-memory DB has upsert shim",
        "All modules import successfully",
        "Evolution provider loads correctly",
        "Campaign service loads correctly",
        "ALL CHECKS PASSED",
    ):
        assert line in text.output
    as_json = golive(*arguments, "--format", "json", cwd=tmp_path)
    assert as_json.status == 0
    document = json.loads(as_json.output)
    assert document["verdict"]["decision"] == "GO"
    assert len(document["outcomes"]) == 23
    assert all(outcome["evidence"] for outcome in document["outcomes"])
    as_junit = golive(*arguments, "--format", "junit", cwd=tmp_path)
    assert as_junit.status == 0
    assert len(ElementTree.fromstring(as_junit.output).findall(".//testcase")) >= 23


@pytest.mark.parametrize(
    "arguments",
    [
        ["smoke"],
        ["load", "--seconds", "3", "--p95-ms", "10000"],
        ["watch"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_part_by_itself_runs_on_the_embedded_reference(arguments: list[str], tmp_path: Path) -> None:
    done = golive(*arguments, "--recipient", "5511987650001", "--database", "memory", "--out", tmp_path / "run", cwd=tmp_path)
    assert (done.status, done.last_line) == (0, "GO"), done.output + done.errors
    recording = read(tmp_path / "run" / "journal.jsonl")
    assert {outcome.id.partition(".")[0] for outcome in recording.outcomes} == {arguments[0]}
    assert "5511987650001" not in (tmp_path / "run" / "journal.jsonl").read_text()


@pytest.mark.parametrize("command", ["smoke", "load"])
def test_a_target_that_does_not_answer_holds(command: str, tmp_path: Path) -> None:
    done = golive(
        *(command, "--target", "http://127.0.0.1:1", "--recipient", "5511987650001"),
        cwd=tmp_path,
        GOLIVE_ADMIN_EMAIL="admin@example.invalid",
        GOLIVE_ADMIN_PASSWORD="canary-password",
    )
    assert (done.status, done.last_line) == (3, "HOLD")
    assert "no answer from http://127.0.0.1:1" in done.output
    assert "canary-password" not in done.output + done.errors


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = golive("fake", "serve", "--port", str(port), "--key", "test-key-1", cwd=tmp_path)
    assert done.status == 3
    assert f"127.0.0.1:{port}" in done.errors
    assert done.errors.count("\n") == 1


def test_the_fake_serves_until_it_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness.cli", "fake", "serve", "--port", "0", "--key", "test-key-1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment()
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}/", timeout=10) as answer:
            assert json.load(answer)["version"] == "2.3.7"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode in (0, 130)
    assert "Traceback" not in errors


def _children(pid: int) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.add(int(path.parent.name))
    return found | {grandchild for child in found for grandchild in _children(child)}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see which children are left")
def test_an_interrupted_rehearsal_stops_its_children_and_leaves_a_readable_journal(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "harness.cli", "rehearse", "--out", str(run)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment(),
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Smoke test"):
                break
        deadline = time.monotonic() + 30
        children: set[int] = set()
        while len(children) < 2 and time.monotonic() < deadline:
            children = _children(process.pid)
        assert len(children) >= 2, "the database and the scenarios run in processes of their own"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "golive: interrupted; children are stopped and the journal is whole"
    assert "Traceback" not in errors
    RealPace().eventually(
        lambda: not [child for child in children if Path(f"/proc/{child}").exists()], within_s=20, what="the end of all children"
    )
    judged = golive("judge", run, cwd=tmp_path)
    assert (judged.status, judged.last_line) == (3, "HOLD")
    assert "began and never ended" in judged.output


def test_output_into_a_closed_pipe_is_no_traceback(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "harness.cli", "gate", "list"],
            stdout=writing,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment(),
            check=False,
        )
    finally:
        os.close(writing)
    assert done.returncode != 0
    assert b"Traceback" not in done.stderr


def test_the_gate_proves_that_its_checks_can_fail(tmp_path: Path) -> None:
    done = golive("gate", "prove", "--select", "config.environment", "--database", "memory", "--format", "json", cwd=tmp_path)
    assert done.status == 0, done.output + done.errors
    proof = json.loads(done.output)
    assert proof["killed"] == proof["of"] == len(proof["trials"]) - 1 > 0
    assert {trial["end"] for trial in proof["trials"]} == {"passed", "killed"}


def test_a_proof_of_no_check_is_refused(tmp_path: Path) -> None:
    done = golive("gate", "prove", "--select", "config.enviroment", cwd=tmp_path)
    assert done.status == 2
    assert "config.environment" in done.errors
