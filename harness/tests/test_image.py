"""Building images: what is refused and in which words, and which wheels a base image needs. No engine is used here."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

import pytest

from harness.image import build as building
from harness.image import healthcheck
from harness.image.build import ImageError, build, default_tag, fingerprint
from harness.tests.running import golive

FACTS = {"version": [3, 11], "full": "3.11.2", "machine": "x86_64", "libc": ["glibc", "2.36"]}
Commands = Callable[..., dict[str, str]]


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """An environment whose only commands are the given shell scripts, by name."""

    def make(**scripts: str) -> dict[str, str]:
        for name, script in scripts.items():
            path = tmp_path / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return {"PATH": str(tmp_path / "bin")}

    return make


def _docker(facts: Mapping[str, object], *, images: str = "exit 1", building: str = "exit 0") -> str:
    return (
        f'case "$1" in version) echo 20.10;; image) {images};; pull) exit 1;; import) exit 0;;\n'
        f"run) echo '{json.dumps(facts)}';; build) {building};; esac"
    )


@pytest.mark.parametrize(
    ("scripts", "words"),
    [
        ({}, "there is no command docker here: install Docker (Debian, Ubuntu: apt-get install docker.io)"),
        (
            {"docker": "echo 'Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?' >&2; exit 1"},
            "the Docker daemon does not answer (Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?)",
        ),
        ({"docker": _docker(FACTS)}, "there is no command mmdebstrap here to make a base image with: install it"),
        (
            {"docker": _docker(FACTS), "mmdebstrap": "echo 'E: no mirror' >&2; exit 1"},
            "mmdebstrap made no root file system: E: no mirror",
        ),
        (
            {"docker": _docker({**FACTS, "libc": ["", ""]}, images="exit 0")},
            "python:3.13-slim has Python 3.11 on another C library: take one with Python 3.11 or later on glibc",
        ),
        (
            {"docker": _docker({**FACTS, "version": [3, 9]}, images="exit 0")},
            "has Python 3.9 on glibc: take one with Python 3.11 or later",
        ),
    ],
    ids=["no docker", "no daemon", "no mmdebstrap", "mmdebstrap fails", "other C library", "old Python"],
)
def test_what_is_missing_is_one_line_that_says_what_to_do(commands: Commands, scripts: dict[str, str], words: str) -> None:
    with pytest.raises(ImageError) as refused:
        build("fake", tag="x", environment=commands(**scripts))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_build_that_fails_tells_what_the_failed_step_said(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_download", lambda *_: None)
    said = "echo 'ERROR: no matching distribution'; echo 'DEPRECATED: the legacy builder' >&2; echo 'code 1' >&2; exit 1"
    environment = commands(docker=_docker(FACTS, images="exit 0", building=said))
    with pytest.raises(ImageError, match=r"building x failed: ERROR: no matching distribution \| code 1$"):
        build("postgres", tag="x", environment=environment)


@pytest.mark.process
def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    done = golive("fake", "image", cwd=tmp_path, PATH=str(tmp_path))
    assert (done.status, done.output) == (3, "")
    assert done.errors == "golive: there is no command docker here: install Docker (Debian, Ubuntu: apt-get install docker.io)\n"


def test_other_code_is_another_image_and_other_tests_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n')
    module = tmp_path / "harness" / "clock.py"
    test = tmp_path / "harness" / "tests" / "test_clock.py"
    test.parent.mkdir(parents=True)
    module.write_text("one")
    first = fingerprint("fake")
    assert first.startswith(f"{default_tag('fake')}-")
    test.write_text("a test")
    assert fingerprint("fake") == first
    module.write_text("two")
    assert fingerprint("fake") != first


def _wheel(folder: Path, name: str, *requirements: str) -> None:
    described = "".join(f"Requires-Dist: {requirement}\n" for requirement in requirements)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{described}")


@pytest.mark.parametrize(("version", "missing"), [((3, 11), {"always>=2", "typing-extensions>=4"}), ((3, 13), {"always>=2"})])
def test_what_the_base_images_python_needs_is_judged_by_that_python(
    tmp_path: Path, version: tuple[int, int], missing: set[str]
) -> None:
    _wheel(tmp_path, "golive", 'some_part>=1; extra == "fake"', 'pytest; extra == "test"')
    _wheel(
        tmp_path, "some_part", "typing_extensions>=4; python_version < '3.13'", "colorama; sys_platform == 'win32'", "always>=2"
    )
    full = ".".join(map(str, (*version, 1)))
    interpreter = building._Interpreter(version=version, full=full, machine="x86_64", glibc_minor=36)
    assert {text.replace("_", "-") for text in building._missing(tmp_path, interpreter)} == missing


def test_wheels_are_for_no_newer_c_library_than_the_base_has() -> None:
    interpreter = building._Interpreter(version=(3, 11), full="3.11.2", machine="aarch64", glibc_minor=28)
    assert interpreter.platforms[0] == "manylinux2014_aarch64"
    assert "manylinux_2_28_aarch64" in interpreter.platforms
    assert "manylinux_2_31_aarch64" not in interpreter.platforms


@pytest.mark.process
def test_an_installed_distribution_becomes_a_wheel_that_installs_the_same(tmp_path: Path) -> None:
    original = metadata.distribution("segno")
    wheel = building._packed(original, tmp_path)
    again = tmp_path / "again"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(again), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    copied = dict(building._installed_files(next(iter(metadata.distributions(path=[str(again)])))))
    expected = dict(building._installed_files(original))
    assert "segno/__init__.py" in expected
    assert {name: path.read_bytes() for name, path in copied.items() if not name.endswith("/RECORD")} == {
        name: path.read_bytes() for name, path in expected.items() if not name.endswith("/RECORD")
    }
    assert (again / "bin" / "segno").is_file()


def test_the_health_check_asks_the_control_plane_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.evolution import FakeEvolution

    with FakeEvolution(key="k", control_token="t", control_port=0) as fake:
        monkeypatch.setattr(healthcheck, "API", fake.url)
        monkeypatch.setattr(healthcheck, "CONTROL", f"{fake.control_url}/__fake__/health")
        monkeypatch.setenv("GOLIVE_CONTROL_TOKEN", "t")
        assert healthcheck.main() == 0
        assert fake.requests() == []
        monkeypatch.setenv("GOLIVE_CONTROL_TOKEN", "wrong")
        assert healthcheck.main() == 1
        monkeypatch.delenv("GOLIVE_CONTROL_TOKEN")
        assert healthcheck.main() == 0
        assert len(fake.requests()) == 1
    assert healthcheck.main() == 1
    assert "the fake does not answer" in capsys.readouterr().err
