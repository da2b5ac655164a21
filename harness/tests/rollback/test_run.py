from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gate.journal import Journal, read
from gate.model import Outcome, Status
from harness.clock import VirtualClock
from harness.evolution import FakeEvolution
from harness.load.run import Record, Thresholds, Traffic
from harness.rollback import expected_ids
from harness.rollback.run import run
from harness.smoke.session import Session
from harness.target import Target, VirtualPace
from harness.tests.monitor.backend import CONTROL, KEY, Backend, Store

RECIPIENT = "5511987650001"
FAST = Thresholds(failure_ratio=0.01, p95_ms=5000, requests=5)


class Releases:
    """Two releases that take turns on one store and at one address."""

    def __init__(self, folder: Path, evolution: FakeEvolution, clock: VirtualClock) -> None:
        self.folder, self.evolution, self.clock = folder, evolution, clock
        self.store, self.port = Store(), 0
        self.previous_faults: dict[str, Any] = {}
        self.on_previous: Callable[[Backend], None] = lambda _: None
        self.after_previous: Callable[[], None] = lambda: None

    def _backend(self) -> Backend:
        backend = Backend(self.evolution, self.clock, self.folder / "backend.log", self.store, self.port)
        self.port = backend.server.server_address[1]
        return backend

    @contextlib.contextmanager
    def current(self) -> Iterator[Target]:
        with self._backend().serving() as target:
            yield target

    @contextlib.contextmanager
    def previous(self) -> Iterator[Target]:
        backend = self._backend()
        for name, value in self.previous_faults.items():
            setattr(backend.faults, name, value)
        self.on_previous(backend)
        with backend.serving() as target:
            yield target
        self.after_previous()


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[Releases]:
    clock = VirtualClock()
    with FakeEvolution(key=KEY, clock=clock, control_token=CONTROL, seed=1) as evolution:
        made = Releases(tmp_path, evolution, clock)
        backend = made._backend()
        with backend.serving():
            backend.add_unit(connected=True)
        yield made


def _rehearse(releases: Releases, tmp_path: Path, **options: Any) -> dict[str, Outcome]:
    journal = Journal.create(tmp_path / "journal.jsonl", release={"name": "test"})
    settings: dict[str, Any] = {"previous": releases.previous} | options
    outcomes = run(
        journal=journal,
        current=releases.current,
        pace=VirtualPace(releases.clock),
        recipient=RECIPIENT,
        workdir=tmp_path / "work",
        traffic=Traffic(users=1, duration_s=0.5, recipients=[RECIPIENT], pause_s=0.02),
        thresholds=FAST,
        **settings,
    )
    recording = read(journal.path)
    assert recording.damage == ()
    assert sorted(outcome.id for outcome in outcomes) == sorted(expected_ids()) == sorted(recording.planned)
    assert len(recording.facts["rollback.steps"]) == len(expected_ids())
    assert set(recording.facts["rollback.platforms"]) == {"railway", "render", "vercel"}
    assert RECIPIENT not in journal.path.read_text()
    return {outcome.id.removeprefix("rollback."): outcome for outcome in outcomes}


def _a_few_requests(
    target: Target, traffic: Traffic, *, units: Sequence[str], mark: str, workdir: Path, enough: int
) -> list[Record]:
    """A load of a few requests in this process, for what is not about the load."""
    records = []
    with Session(target) as session:
        session.login()
        for number in range(8):
            key = f"{mark}-{number}"
            answer = session.send(unit=units[0], phone=RECIPIENT, text=f"load {key}", client_message_id=key)
            records.append(
                Record(
                    at=float(number),
                    name="POST /messages",
                    latency_ms=1000 * answer.seconds,
                    status=answer.status,
                    error="",
                    message=key,
                    accepted=answer.status == 200,
                )
            )
    return records


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.rollback.run.drive", _a_few_requests)


@pytest.mark.process
def test_a_release_that_can_be_rolled_back_passes(releases: Releases, tmp_path: Path) -> None:
    outcomes = _rehearse(releases, tmp_path)

    assert outcomes.pop("revert-applies").status is Status.SKIP
    assert {name: (str(one.status), one.reason) for name, one in outcomes.items()} == dict.fromkeys(outcomes, ("pass", ""))
    counted = {piece.label: piece.value for piece in outcomes["nothing-lost"].evidence}
    assert counted["messages accepted before and during the rollback"] == counted["still there afterwards"]


def test_a_message_that_the_previous_release_throws_away_is_lost(light: None, releases: Releases, tmp_path: Path) -> None:
    releases.previous_faults = {"forgets_inbound": True}

    outcomes = _rehearse(releases, tmp_path)

    assert outcomes["nothing-lost"].status is Status.FAIL
    assert "1 accepted and not in the backend any more" in outcomes["nothing-lost"].reason


def test_rows_that_vanish_on_the_way_are_lost(light: None, releases: Releases, tmp_path: Path) -> None:
    releases.after_previous = releases.store.messages.clear
    assert _rehearse(releases, tmp_path)["nothing-lost"].status is Status.FAIL


def test_a_previous_release_that_sends_twice_is_found(light: None, releases: Releases, tmp_path: Path) -> None:
    releases.previous_faults = {"double_sends": True}
    assert "sent more than once" in _rehearse(releases, tmp_path)["nothing-lost"].reason


@pytest.mark.parametrize("request_line", ["GET /admin/units", "POST /messages"])
def test_a_previous_release_that_does_not_work_on_the_new_schema_fails(
    light: None, releases: Releases, tmp_path: Path, request_line: str
) -> None:
    releases.previous_faults = {"answers": {request_line: 503}}

    outcomes = _rehearse(releases, tmp_path)

    assert outcomes["previous-serves"].status is Status.FAIL
    assert "503" in outcomes["previous-serves"].reason
    assert outcomes["returns"].status is Status.PASS


def test_a_new_release_that_does_not_come_back_fails(light: None, releases: Releases, tmp_path: Path) -> None:
    def forget() -> None:
        for row in releases.store.units.values():
            row |= {"reason": "unheard of"}

    releases.after_previous = forget
    found = _rehearse(releases, tmp_path)["returns"]
    assert found.status is Status.FAIL
    assert "smoke.status-after" in found.reason


def test_a_previous_release_that_does_not_start_is_an_error(light: None, releases: Releases, tmp_path: Path) -> None:
    def never(backend: Backend) -> None:
        backend.server.server_close()
        backend.provider.close()
        raise OSError("no")

    releases.on_previous = never
    found = _rehearse(releases, tmp_path)["previous-serves"]
    assert found.status is Status.ERROR
    assert "OSError" in found.reason


def test_without_a_previous_release_its_steps_are_skipped_with_the_reason(releases: Releases, tmp_path: Path) -> None:
    outcomes = _rehearse(releases, tmp_path, previous=None, no_previous="SQLite in memory belongs to one process")
    assert {outcome.status for outcome in outcomes.values()} == {Status.SKIP}
    assert outcomes["returns"].reason == "SQLite in memory belongs to one process"


def test_without_a_connected_unit_nothing_can_be_told(light: None, releases: Releases, tmp_path: Path) -> None:
    releases.store.units.clear()
    outcomes = _rehearse(releases, tmp_path)
    assert outcomes["previous-serves"].status is Status.INCONCLUSIVE
    assert outcomes["nothing-lost"].status is Status.INCONCLUSIVE
