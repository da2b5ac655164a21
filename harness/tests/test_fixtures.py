"""What a project gets by installing golive: a fixture, without importing anything that its tests do not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from harness.evolution import FakeEvolution


def test_the_fixture_is_a_fake_with_a_key_of_its_own_and_a_clock_that_moves(fake_evolution: FakeEvolution) -> None:
    assert httpx.get(f"{fake_evolution.url}/instance/fetchInstances").status_code == 401
    found = httpx.get(f"{fake_evolution.url}/instance/fetchInstances", headers={"apikey": fake_evolution.key})
    assert (found.status_code, found.json()) == (200, [])
    before = fake_evolution.monotonic()
    fake_evolution.advance(3600)
    assert fake_evolution.monotonic() - before >= 3600


def test_two_fakes_have_different_keys() -> None:
    assert FakeEvolution().key != FakeEvolution().key


def test_the_plugin_imports_nothing_of_the_fake(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\n\ndef test_it():\n"
        "    assert 'harness.fixtures' in sys.modules\n    assert 'harness.evolution' not in sys.modules\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "harness.fixtures", "-c", "/dev/null", "--rootdir", str(tmp_path)]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
