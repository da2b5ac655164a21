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


def test_what_is_installed_for_the_gate_is_not_taken_for_what_a_release_is_built_from(tmp_path: Path) -> None:
    with pytest.raises(GateError, match=r"nothing says what the release is built from; name dependencies\.requirements"):
        dependencies.audit(subject(tmp_path, name="theirs"))


def test_the_requirements_of_a_release_are_found_at_its_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("httpx==0.28.1\n")
    said(monkeypatch, report(SOUND))
    assert dependencies.audit(subject(tmp_path, name="theirs")).source == "requirements.txt"


def npm(**vulnerabilities: Any) -> str:
    return json.dumps(
        {"auditReportVersion": 2, "vulnerabilities": vulnerabilities, "metadata": {"dependencies": {"prod": 1, "total": 68}}}
    )


def test_what_npm_audit_said_elsewhere_counts_as_well(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    path.write_text(npm())
    assert judged(dependencies.audit(subject(tmp_path, audit_report=path)))[0].value == 68
    path.write_text(npm(qs={"name": "qs", "severity": "high", "range": "<6.5.3", "fixAvailable": True}))
    with pytest.raises(Failure, match=r"qs <6\.5\.3: high, mended by npm audit fix"):
        judged(dependencies.audit(subject(tmp_path, audit_report=path)))
    path.write_text('{"auditReportVersion": 2, "error": {"code": "ENOLOCK"}}')
    with pytest.raises(GateError, match=r"audit\.json: is no report of pip-audit or npm audit in JSON"):
        dependencies.audit(subject(tmp_path, audit_report=path))
