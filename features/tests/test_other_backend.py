"""A backend that shares nothing with the reference is run against by its address alone."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from features.tests.other_backend import OtherBackend
from gate import journal as journals
from gate.model import Status
from harness.clock import VirtualClock
from harness.evolution import FakeEvolution

pytestmark = pytest.mark.process

KEY, CONTROL, EMAIL, PASSWORD = "evolution-key-0123456789", "control-0123456789", "admin@other.example", "correct-horse-battery"
NOT_THERE = {"scenario.campaign-one-after-the-other", "scenario.tenants-isolated"}


@pytest.fixture
def evolution() -> Iterator[FakeEvolution]:
    with FakeEvolution(key=KEY, clock=VirtualClock(), control_token=CONTROL, seed=7) as evolution:
        yield evolution


@pytest.fixture
def backend(evolution: FakeEvolution) -> Iterator[OtherBackend]:
    clock = evolution.clock
    made = OtherBackend(
        provider=evolution.url,
        key=KEY,
        email=EMAIL,
        password=PASSWORD,
        now=clock.monotonic,
        sleep=lambda seconds: asyncio.run(clock.sleep(seconds)),
    )
    yield made
    made.close()


@pytest.fixture
def e2e(tmp_path: Path, evolution: FakeEvolution) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(url: str, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "harness.cli", "e2e", "--target", url, "--evolution", evolution.url, "--out", "run", *more],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=os.environ
            | {
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "PYTHONPROFILEIMPORTTIME": "1",
                "GOLIVE_ADMIN_EMAIL": EMAIL,
                "GOLIVE_ADMIN_PASSWORD": PASSWORD,
                "GOLIVE_CONTROL_TOKEN": CONTROL,
            },
            timeout=300,
        )

    return run


def test_the_seed_passes_against_another_backend_and_what_it_does_not_support_shows(
    backend: OtherBackend, e2e: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    ended = e2e(backend.url, *(f"--unsupported={item}=not sold" for item in sorted(NOT_THERE)))
    outcomes = {outcome.id: outcome for outcome in journals.read(tmp_path / "run" / "journal.jsonl").outcomes}
    found = {item: outcome.status for item, outcome in outcomes.items() if item.startswith("scenario.")}
    assert len(found) == 9
    assert {item for item, status in found.items() if status is Status.SKIP} == NOT_THERE
    assert [
        f"{item}: {outcomes[item].reason}" for item in found if found[item] is not Status.PASS and item not in NOT_THERE
    ] == []
    assert ended.returncode == 3, ended.stdout
    assert "is declared not to support scenario.tenants-isolated: not sold" in ended.stdout
    log = (tmp_path / "run" / "scenarios.log").read_text(encoding="utf-8")
    assert "features.messages" in log
    assert "reference_impl" not in ended.stderr + log


@pytest.mark.parametrize("wrong", ["lenient", "double", "deaf"])
def test_what_another_backend_does_wrong_is_found(
    backend: OtherBackend, e2e: Callable[..., subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    scenario, said = {
        "lenient": ("invalid-provider-refused", "expected 400, saw 200"),
        "double": ("outbound-sent-once", "a field deduplicated"),
        "deaf": ("inbound-creates-conversation", "expected"),
    }[wrong]
    own_send, own_webhook = backend._send, backend._webhook
    if wrong == "lenient":
        monkeypatch.setattr(backend, "_webhook", lambda parts, body: own_webhook([*parts[:2], "evolution", *parts[3:]], body))
    elif wrong == "double":
        monkeypatch.setattr(backend, "_send", lambda unit, body: own_send(unit, body | {"clientMessageId": None}))
    else:
        monkeypatch.setattr(backend, "_inbound", lambda unit, entry: True)
    ended = e2e(backend.url, f"--tags=@id:{scenario}")
    assert ended.returncode == 1, ended.stdout
    assert f"scenario.{scenario}: fail: " in ended.stdout
    assert said in ended.stdout
