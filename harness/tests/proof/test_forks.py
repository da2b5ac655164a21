"""Forked work ends when it should, tells how it ended, and leaves nothing behind."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.proof.forks import forks

pytestmark = pytest.mark.process

HERE = "harness.tests.proof.test_forks"


def answer(document: Mapping[str, Any]) -> int:
    Path(document["path"]).write_text(str(os.getpid()))
    return int(document["status"])


def hang(document: Mapping[str, Any]) -> int:
    Path(document["path"]).write_text(str(os.getpid()))
    time.sleep(600)
    return 0


def stumble(document: Mapping[str, Any]) -> int:
    raise LookupError(document["path"])


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while is_there(pid):
        assert time.monotonic() < deadline, f"process {pid} outlives its forks"
        time.sleep(0.01)


def test_each_piece_has_a_process_of_its_own_and_tells_its_status(tmp_path: Path) -> None:
    with forks(["json"], log=tmp_path / "log") as running:
        statuses = [
            running.run(f"{HERE}:answer", {"path": str(tmp_path / str(status)), "status": status}, time_limit_s=60)
            for status in (0, 3)
        ]
    assert statuses == [0, 3]
    assert len({(tmp_path / name).read_text() for name in ("0", "3")} | {str(os.getpid())}) == 3


def test_a_piece_that_hangs_is_ended_at_its_limit_and_one_that_stumbles_is_told(tmp_path: Path) -> None:
    with forks(["json"], log=tmp_path / "log") as running:
        assert running.run(f"{HERE}:hang", {"path": str(tmp_path / "pid")}, time_limit_s=8) is None
        wait_until_gone(int((tmp_path / "pid").read_text()))
        assert running.run(f"{HERE}:stumble", {"path": "somewhere"}, time_limit_s=60) == 70
    assert "LookupError: somewhere" in (tmp_path / "log").read_text()


def test_nothing_outlives_the_one_who_asked(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        with forks(["json"], log=tmp_path / "log") as running:
            waiting = pool.submit(running.run, f"{HERE}:hang", {"path": str(tmp_path / "pid")}, time_limit_s=600)
            deadline = time.monotonic() + 60
            while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
                assert time.monotonic() < deadline
                time.sleep(0.01)
        with pytest.raises(HarnessError, match="gone"):
            waiting.result(timeout=30)
    wait_until_gone(int((tmp_path / "pid").read_text()))
