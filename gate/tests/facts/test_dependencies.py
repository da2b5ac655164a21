"""A dependency that was not looked up is not a dependency without a weakness."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gate.errors import Failure, GateError, Inconclusive
from gate.facts import dependencies
from gate.facts.dependencies import Audit
from gate.facts.expected import load
from gate.facts.subject import Subject
from gate.registry import Kind, registry

SOUND = {"name": "httpx", "version": "0.28.1", "vulns": []}
PASSED_OVER = {"name": "ours", "skip_reason": "not on the index"}
WEAK = {
    "name": "jinja2",
    "version": "2.4",
    "vulns": [{"id": "PYSEC-2", "fix_versions": ["2.10.1"], "aliases": []}, {"id": "PYSEC-1"}],
}


def subject(tmp_path: Path, **fields: Any) -> Subject:
    return Subject(schema=load("seed"), repository=tmp_path, **fields)


def judged(audit: Audit) -> list[Any]:
    return list(registry(Kind.CHECK).load("gate.checks").get("dependencies.audit")(audit))


def report(*entries: dict[str, Any]) -> str:
    return json.dumps({"dependencies": entries, "fixes": []})


def said(monkeypatch: pytest.MonkeyPatch, stdout: str, returncode: int = 0, stderr: str = "") -> None:
    """pip-audit answers with this."""
    answer = subprocess.CompletedProcess[str]([], returncode, stdout, stderr)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)


def test_every_dependency_was_looked_up_and_none_is_weak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said(monkeypatch, report(SOUND, {**SOUND, "name": "starlette"}))
    assert judged(dependencies.audit(subject(tmp_path)))[0].value == 2


def test_weaknesses_are_named_with_the_version_that_mends_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said(monkeypatch, report(SOUND, WEAK), returncode=1)
    with pytest.raises(Failure, match=r"jinja2 2\.4: PYSEC-1, PYSEC-2, mended in 2\.10\.1"):
        judged(dependencies.audit(subject(tmp_path)))


def test_a_dependency_that_was_passed_over_is_inconclusive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said(monkeypatch, report(SOUND, PASSED_OVER))
    with pytest.raises(Inconclusive, match=r"ours \(not on the index\)"):
        judged(dependencies.audit(subject(tmp_path)))


def test_an_audit_of_nothing_is_inconclusive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said(monkeypatch, report())
    with pytest.raises(Inconclusive, match="no dependency was looked up"):
        judged(dependencies.audit(subject(tmp_path)))


@pytest.mark.parametrize(
    "stdout", ["", "No known vulnerabilities found", "[]", '{"dependencies": 3}', '{"dependencies": [{"name": "a"}]}']
)
def test_no_answer_is_an_error_that_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stdout: str) -> None:
    said(monkeypatch, stdout, returncode=1, stderr="Traceback\nConnectionError: no route to the index\n")
    with pytest.raises(GateError, match="nothing is known: ConnectionError: no route to the index"):
        dependencies.audit(subject(tmp_path))


def test_an_exit_status_that_does_not_fit_the_findings_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said(monkeypatch, report(SOUND), returncode=1)
    with pytest.raises(GateError, match="do not agree"):
        dependencies.audit(subject(tmp_path))


def test_a_tool_that_never_ends_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def never(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("pip-audit", 1)

    monkeypatch.setattr(subprocess, "run", never)
    with pytest.raises(GateError, match="did not end"):
        dependencies.audit(subject(tmp_path))


def test_a_tool_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dependencies, "find_spec", lambda _: None)
    with pytest.raises(GateError, match="pip-audit is not installed"):
        dependencies.audit(subject(tmp_path))


def test_requirements_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    pytest.importorskip("pip_audit", reason="asks for the extra 'dependencies'")
    with pytest.raises(GateError, match="no such file of requirements"):
        dependencies.audit(subject(tmp_path, requirements=(tmp_path / "requirements.txt",)))


def test_a_report_made_elsewhere_counts_for_a_day(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    path.write_text(report(SOUND))
    now = datetime.now(UTC)
    assert dependencies.audit(subject(tmp_path, audit_report=path), now=now).audited == 1
    with pytest.raises(GateError, match="the report is 25 h old"):
        dependencies.audit(subject(tmp_path, audit_report=path), now=now + timedelta(hours=25))
    with pytest.raises(GateError, match="cannot be read"):
        dependencies.audit(subject(tmp_path, audit_report=tmp_path / "gone.json"))


def locked(tmp_path: Path, **files: str) -> tuple[str, ...]:
    for name, text in files.items():
        (tmp_path / name.replace("__", "-").replace("_", ".")).write_text(text)
    return dependencies.locked(subject(tmp_path)).faults


PROJECT = '[project]\nname = "a"\ndependencies = ["HTTPX[http2]>=0.28,<1", "uvloop>=1; sys_platform == \'win32\'", "local @ file:///a"]\n'


def test_a_lock_that_fits_its_declaration_has_no_fault(tmp_path: Path) -> None:
    assert (
        locked(tmp_path, pyproject_toml=PROJECT, requirements_txt="httpx[http2]==0.28.1 \\\n  --hash=sha256:00\nlocal==1\n") == ()
    )


@pytest.mark.parametrize(
    ("lock", "fault"),
    [
        ('[[package]]\nname = "httpx"\nversion = "0.27.0"\n', "httpx is 0.27.0 in uv.lock, declared >=0.28,<1"),
        ('[[package]]\nname = "local"\nversion = "1"\n', "httpx is declared and not in uv.lock"),
    ],
)
def test_a_lock_that_is_older_than_its_declaration_is_told(tmp_path: Path, lock: str, fault: str) -> None:
    assert fault in locked(tmp_path, pyproject_toml=PROJECT, uv_lock=lock)


def test_no_lock_at_all_is_told(tmp_path: Path) -> None:
    assert locked(tmp_path, pyproject_toml=PROJECT) == (
        "pyproject.toml declares 3 dependencies and there is no lock file, such as uv.lock",
    )


def test_node_s_lock_is_compared_with_its_declaration(tmp_path: Path) -> None:
    manifest = '{"dependencies": {"express": "^5.0.0", "pino": "^9.0.0"}}'
    lock = {"packages": {"": {"dependencies": {"express": "^4.0.0"}}, "node_modules/express": {"version": "4.0.0"}}}
    (tmp_path / "package.json").write_text(manifest)
    (tmp_path / "package-lock.json").write_text(json.dumps(lock))
    assert dependencies.locked(subject(tmp_path)).faults == (
        "express is declared ^5.0.0, and package-lock.json was made for ^4.0.0",
        "pino is declared and not in package-lock.json",
    )


def test_files_that_cannot_be_understood_are_errors(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project\n")
    with pytest.raises(GateError, match=r"pyproject\.toml: cannot be understood"):
        dependencies.locked(subject(tmp_path))
