"""Every planned scenario is answered for, however the process that runs them ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gate import journal as journals
from gate.errors import SelectionError
from gate.journal import Journal
from gate.model import Outcome, Status
from harness import scenarios
from harness.errors import HarnessError
from harness.scenarios import FEATURES, declared, read_features, run, select
from harness.target import Target
from harness.targets import of_each_worker

TARGET = Target(url="http://127.0.0.1:9", admin_email="admin@example.com", admin_password="correct-horse-battery")
SEED = {
    "scenario.connect-generates-qr",
    "scenario.scan-connects",
    "scenario.inbound-creates-conversation",
    "scenario.inbound-stored-once",
    "scenario.outbound-sent-once",
    "scenario.campaign-one-after-the-other",
    "scenario.invalid-provider-refused",
    "scenario.unknown-instance-tolerated",
    "scenario.tenants-isolated",
}
FEATURE = """
Feature: Some
  @id:one @seed @critical
  Scenario: One
    Given a unit that is connected to WhatsApp
    Then the unit is connected within 5 seconds, because the scan was completed

  @id:two @seed
  Scenario: Two
    Given a unit whose QR code waits to be scanned
    Then no QR code is shown any more
"""

Child = Callable[[str], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "scenarios"
    path.mkdir()
    (path / "some.feature").write_text(FEATURE)
    return path


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path / "journal.jsonl", release={"name": "tested"})


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Child:
    """Puts another program in the place of pytest; it knows the journal's path as `journal`."""

    def replace(program: str) -> None:
        def command(_target: Target, journal: Journal, *_: object) -> list[str]:
            return [sys.executable, "-c", f"journal = {str(journal.path)!r}\n{textwrap.dedent(program)}"]

        monkeypatch.setattr(scenarios, "_command", command)

    return replace


@pytest.fixture
def silent_backend() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def target(silent_backend: str) -> Target:
    return Target(url=silent_backend, admin_email="admin@example.com", admin_password="correct-horse-battery")


ANSWER = """
from datetime import UTC, datetime
from pathlib import Path
from gate.journal import Journal
from gate.model import Evidence, Outcome, Status
def answer(id, status=Status.PASS):
    evidence = (Evidence(label="seen", value=1),)
    Journal(Path(journal)).append(Outcome(id=id, status=status, reason="why", evidence=evidence, observed_at=datetime.now(UTC)))
"""


def test_the_nine_scenarios_of_the_seed_are_there_and_critical() -> None:
    seed = select(read_features(FEATURES), ["@seed"])
    assert {scenario.id for scenario in seed} == SEED
    assert {scenario.id for scenario in select(read_features(FEATURES), ["seed", "critical"])} == SEED


def test_a_tag_that_nothing_carries_is_refused_with_the_nearest(folder: Path) -> None:
    with pytest.raises(SelectionError, match="did you mean @critical"):
        select(read_features(folder), ["@critcal"])


def test_tags_that_no_scenario_carries_together_select_nothing_and_that_is_an_error(folder: Path) -> None:
    with pytest.raises(SelectionError, match="no scenario carries all of"):
        select(read_features(folder), ["@critical", "@id:two"])


def test_an_empty_folder_is_an_error_and_no_pass(tmp_path: Path, journal: Journal) -> None:
    with pytest.raises(SelectionError, match="no scenario at all"):
        run(TARGET, journal, log=tmp_path / "log", features=tmp_path)


@pytest.mark.parametrize("text", ["Scenario: without a feature", "Feature: x\n  Scenario: y\n    Given a\n    Whenever z"])
def test_a_file_that_is_not_gherkin_is_named(folder: Path, text: str) -> None:
    (folder / "bad.feature").write_text(text)
    with pytest.raises(HarnessError, match=r"bad\.feature"):
        read_features(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="nowhere"):
        read_features(tmp_path / "nowhere")


@pytest.mark.process
@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://nobody.invalid:8000", "https://127.0.0.1:9/api"])
def test_scenarios_that_cannot_reach_their_target_are_errors(folder: Path, journal: Journal, tmp_path: Path, url: str) -> None:
    progress: list[Outcome] = []
    outcomes = run(replace(TARGET, url=url), journal, log=tmp_path / "log", features=folder, on_progress=progress.append)
    assert [(outcome.id, outcome.status) for outcome in outcomes] == [
        ("scenario.one", Status.ERROR),
        ("scenario.two", Status.ERROR),
    ]
    assert all("cannot be reached" in outcome.reason for outcome in outcomes)
    # Even one whose steps would never have asked.
    assert not (tmp_path / "log").exists()
    assert {outcome.id for outcome in progress} == {"scenario.one", "scenario.two"}
    [part] = journals.read(journal.path).parts
    assert (part.name, part.expected, part.ended_at is not None) == ("scenarios", ("scenario.one", "scenario.two"), True)


@pytest.mark.process
def test_scenarios_that_the_lint_refuses_are_errors_with_what_it_found(
    folder: Path, journal: Journal, tmp_path: Path, target: Target
) -> None:
    (folder / "some.feature").write_text(FEATURE.replace("no QR code is shown", "no QR coat is shown"))
    outcomes = run(target, journal, log=tmp_path / "log", features=folder)
    assert {outcome.status for outcome in outcomes} == {Status.ERROR}
    assert all("some.feature:11: undefined-step: " in outcome.reason for outcome in outcomes)


@pytest.mark.process
def test_a_run_that_hangs_is_stopped_after_its_time_limit(folder: Path, journal: Journal, tmp_path: Path, target: Target) -> None:
    began = time.monotonic()
    outcomes = run(target, journal, log=tmp_path / "log", features=folder, time_limit_s=2.0)
    assert time.monotonic() - began < 10.0
    assert {outcome.status for outcome in outcomes} == {Status.ERROR}
    assert all("time limit of 2 s" in outcome.reason for outcome in outcomes)


@pytest.mark.process
def test_workers_have_each_a_system_and_a_clock_of_their_own(journal: Journal, tmp_path: Path) -> None:
    only = ("scenario.inbound-stored-once", "scenario.missed-event-is-noticed")
    with of_each_worker("memory", tmp_path / "systems") as (target, _):
        outcomes = run(target, journal, log=tmp_path / "log", only=only, workers=2)
    assert {outcome.id: (outcome.status, outcome.reason) for outcome in outcomes} == dict.fromkeys(only, (Status.PASS, ""))
    logs = sorted((tmp_path / "systems").glob("worker-*/backend.log"))
    assert len(logs) == 2
    # Hours passed in both, and no secret of theirs is in what they left.
    left = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert target.admin_password.encode() not in left
    assert target.control_token.encode() not in left


@pytest.mark.process
@pytest.mark.parametrize("word", ["two", "scenario.two", "@slow"])
def test_what_a_backend_is_declared_not_to_support_is_not_run_and_shows(
    folder: Path, journal: Journal, tmp_path: Path, target: Target, child: Child, word: str
) -> None:
    (folder / "some.feature").write_text(FEATURE.replace("@id:two", "@id:two @slow"))
    child(ANSWER + "answer('scenario.one')")
    progress: list[Outcome] = []
    outcomes = run(
        target, journal, log=tmp_path / "log", features=folder, unsupported=[f"{word}=not sold"], on_progress=progress.append
    )
    assert [(outcome.id, outcome.status) for outcome in outcomes] == [
        ("scenario.one", Status.PASS),
        ("scenario.two", Status.SKIP),
    ]
    assert outcomes[1].reason == f"the backend is declared not to support {word}: not sold"
    assert [outcome.id for outcome in journals.read(journal.path).outcomes] == ["scenario.one", "scenario.two"]
    assert "scenario.two" in {outcome.id for outcome in progress}


def test_a_declaration_that_fits_nothing_is_refused_with_the_nearest(folder: Path) -> None:
    with pytest.raises(SelectionError, match=r"'@sed' is declared as not supported.*did you mean @seed\?"):
        declared(read_features(folder), ["@sed"])
    assert set(declared(read_features(folder), ["@seed"])) == {"scenario.one", "scenario.two"}


def test_a_backend_that_supports_nothing_passes_nothing(
    folder: Path, journal: Journal, tmp_path: Path, target: Target, child: Child
) -> None:
    child("raise SystemExit(1)")
    outcomes = run(target, journal, log=tmp_path / "log", features=folder, unsupported=["@seed"])
    assert {outcome.status for outcome in outcomes} == {Status.SKIP}


@pytest.mark.process
@pytest.mark.parametrize("status", [0, 1, 2, 3, 4, 5, 139])
def test_a_child_that_answers_nothing_is_never_a_pass(
    folder: Path, journal: Journal, tmp_path: Path, target: Target, child: Child, status: int
) -> None:
    child(f"print('token=correct-horse-battery, and gone'); raise SystemExit({status})")
    outcomes = run(target, journal, log=tmp_path / "log", features=folder)
    assert [outcome.status for outcome in outcomes] == [Status.ERROR, Status.ERROR]
    assert all("and gone" in outcome.reason and "correct-horse" not in outcome.reason for outcome in outcomes)
    assert {outcome.id for outcome in journals.read(journal.path).outcomes} == {"scenario.one", "scenario.two"}


@pytest.mark.process
@pytest.mark.parametrize(
    ("program", "wrong", "said"),
    [
        ("answer('scenario.one')", "scenario.two", "never answered"),
        (
            "answer('scenario.one'); answer('scenario.two'); answer('scenario.three')",
            "scenario.three",
            "without having been planned",
        ),
        ("answer('scenario.one'); answer('scenario.two'); answer('scenario.two')", "scenario.two", "answered 2 times"),
        ("answer('scenario.one'); answer('scenario.two'); raise SystemExit(1)", "scenario.run", "do not agree"),
        ("answer('scenario.one'); answer('scenario.two', Status.FAIL)", "scenario.run", "do not agree"),
        ("answer('scenario.one'); answer('scenario.two'); raise SystemExit(3)", "scenario.run", "exit status 3"),
    ],
)
def test_answers_must_be_those_that_were_planned(
    folder: Path, journal: Journal, tmp_path: Path, target: Target, child: Child, program: str, wrong: str, said: str
) -> None:
    child(ANSWER + program)
    outcomes = run(target, journal, log=tmp_path / "log", features=folder)
    reasons = [outcome.reason for outcome in outcomes if outcome.id == wrong and outcome.status is Status.ERROR]
    assert len(reasons) == 1
    assert said in reasons[0]


@pytest.mark.process
def test_answers_of_an_earlier_run_in_the_same_journal_do_not_count(
    folder: Path, journal: Journal, tmp_path: Path, target: Target, child: Child
) -> None:
    child(ANSWER + "answer('scenario.one'); answer('scenario.two')")
    first = run(target, journal, log=tmp_path / "log", features=folder)
    assert [outcome.status for outcome in first] == [Status.PASS, Status.PASS]
    child("")
    second = run(target, journal, log=tmp_path / "log", features=folder)
    assert [outcome.status for outcome in second] == [Status.ERROR, Status.ERROR]


@pytest.mark.process
def test_an_interrupt_ends_the_child_and_what_the_child_started(tmp_path: Path, folder: Path, silent_backend: str) -> None:
    pids = tmp_path / "pids"
    grandchild = f"import os, time; open({str(pids)!r}, 'a').write(f'{{os.getpid()}} '); time.sleep(600)"
    program = f"""
        import subprocess, sys
        from pathlib import Path
        from gate.journal import Journal
        from harness import scenarios
        from harness.target import Target
        start = [sys.executable, "-c", {grandchild!r}]
        both = f"import subprocess; subprocess.Popen({{start!r}}); exec({{start[2]!r}})"
        scenarios._command = lambda *_: [sys.executable, "-c", both]
        journal = Journal.create(Path({str(tmp_path / "interrupted.jsonl")!r}), release={{}})
        target = Target(url={silent_backend!r}, admin_email="a", admin_password="b")
        scenarios.run(target, journal, log=Path({str(tmp_path / "log")!r}), features=Path({str(folder)!r}))
    """
    environment = os.environ | {"PYTHONPATH": str(FEATURES.parent)}
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], env=environment, stderr=subprocess.DEVNULL) as runner:
        _await(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        runner.send_signal(signal.SIGINT)
        assert runner.wait(timeout=20) != 0
    _await(lambda: not any(_is_running(int(pid)) for pid in pids.read_text().split()))


def _await(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
