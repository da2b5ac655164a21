"""The settings of a deployment from wherever they come, judged without ever being quoted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gate.facts.expected import load
from gate.facts.sabotage import answer
from gate.facts.subject import EnvironmentRules, Subject
from gate.model import Outcome, Status
from gate.registry import Registry
from gate.tests.worlds.subjects import ENVIRONMENT

MANIFEST = "services:\n  backend:\n    environment:\n" + "".join(
    f"      {name}: {'${' + name + '}' if 'SECRET' in name or 'KEY' in name or name == 'DATABASE_URL' else value}\n"
    for name, value in ENVIRONMENT.items()
)
VALUES = "".join(f"{name}={value}\n" for name, value in ENVIRONMENT.items())
FOREIGN = Subject(
    schema=load("seed"), environment_rules=EnvironmentRules(contract=False, required=("QUEUE_NAME",), secrets=("STRIPE",))
)


def asked(checks: Registry, subject: Subject) -> Outcome:
    return answer(checks.get("config.environment"), subject)


def test_a_manifest_whose_values_nobody_saw_is_inconclusive(checks: Registry, tmp_path: Path) -> None:
    (tmp_path / "c.yml").write_text(MANIFEST)
    subject = Subject(schema=load("seed"), environment_manifest=tmp_path / "c.yml")
    outcome = asked(checks, subject)
    assert outcome.status is Status.INCONCLUSIVE
    assert "JWT_ACCESS_SECRET" in outcome.reason
    (tmp_path / "values.env").write_text(VALUES)
    assert asked(checks, replace(subject, environment_file=tmp_path / "values.env")).status is Status.PASS


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("${JWT_ACCESS_SECRET}", ENVIRONMENT["JWT_ACCESS_SECRET"]), "JWT_ACCESS_SECRET is written in the manifest"),
        (("JWT_ACCESS_SECRET:", "JWT_ACCES_SECRET:"), "did you mean JWT_ACCESS_SECRET?"),
        (("APP_ENV: production", "APP_ENV: rehearsal"), "APP_ENV is not production"),
        (("https://backend.invalid", "http://backend.invalid"), "BASE_URL does not begin with https://"),
        (("environment:\n", "environment:\n      SMTP_PASSWORD: postgres\n"), "SMTP_PASSWORD is an example value"),
    ],
)
def test_a_manifest_with_a_fault_fails(checks: Registry, tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    assert change[0] in MANIFEST
    (tmp_path / "c.yml").write_text(MANIFEST.replace(*change))
    (tmp_path / "values.env").write_text(VALUES)
    subject = Subject(schema=load("seed"), environment_manifest=tmp_path / "c.yml", environment_file=tmp_path / "values.env")
    outcome = asked(checks, subject)
    assert outcome.status is Status.FAIL
    assert complaint in outcome.reason
    assert ENVIRONMENT["JWT_ACCESS_SECRET"] not in outcome.reason


def test_what_a_secret_of_the_platform_may_hold_is_not_taken_for_there(checks: Registry, tmp_path: Path) -> None:
    (tmp_path / "k.yml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n    - name: api\n"
        "      envFrom: [{secretRef: {name: keys}}]\n"
    )
    outcome = asked(checks, Subject(schema=load("seed"), environment_manifest=tmp_path / "k.yml"))
    assert outcome.status is Status.FAIL
    assert "JWT_ACCESS_SECRET is missing; it may come from the Secret keys" in outcome.reason


def test_a_test_environment_that_was_given_is_no_rehearsal(checks: Registry, tmp_path: Path) -> None:
    (tmp_path / "e").write_text(VALUES.replace("APP_ENV=production", "APP_ENV=rehearsal"))
    outcome = asked(checks, Subject(schema=load("seed"), environment_file=tmp_path / "e"))
    assert (outcome.status, outcome.reason) == (Status.FAIL, "APP_ENV is not production")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("QUEUE_NAME=q\nSTRIPE=Vw8-kL2_qZr5TnX9sBd3JfH7mPc1YgAe", ""),
        ("STRIPE=Vw8-kL2_qZr5TnX9sBd3JfH7mPc1YgAe", "QUEUE_NAME is missing"),
        ("QUEUE_NAME=q\nSTRIPE=short", "STRIPE has 5 characters, expected at least 32"),
        ("QUEUE_NAM=q\nSTRIPE=Vw8-kL2_qZr5TnX9sBd3JfH7mPc1YgAe", "did you mean QUEUE_NAME?"),
        ("QUEUE_NAME=q\nSTRIPE=Vw8-kL2_qZr5TnX9sBd3JfH7mPc1YgAe\nDB_PASSWORD=changeme", "DB_PASSWORD is an example value"),
        ("QUEUE_NAME=q\nSTRIPE=Vw8-kL2_qZr5TnX9sBd3JfH7mPc1YgAe\nDB_PASSWORD=k3Y-9f", "DB_PASSWORD has 6 characters"),
    ],
)
def test_a_release_that_is_no_integration_has_rules_of_its_own(
    checks: Registry, tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "e").write_text(text)
    outcome = asked(checks, replace(FOREIGN, environment_file=tmp_path / "e"))
    assert outcome.status is (Status.FAIL if complaint else Status.PASS)
    assert complaint in outcome.reason


def test_a_release_that_documents_nothing_cannot_be_compared(checks: Registry, tmp_path: Path) -> None:
    (tmp_path / "app.js").write_text("const url = process.env.QUEUE_URL;\n")
    subject = replace(FOREIGN, name="theirs", source_roots=(tmp_path,))
    item = checks.get("config.names-documented")
    outcome = answer(item, subject)
    assert outcome.status is Status.INCONCLUSIVE
    assert "QUEUE_URL" in outcome.reason
    (tmp_path / ".env.example").write_text("# QUEUE_URL=amqp://localhost\nPORT=8000\n")
    assert answer(item, replace(subject, example_file=tmp_path / ".env.example")).status is Status.PASS
    (tmp_path / ".env.example").write_text("QUEUE_URI=amqp://localhost\n")
    outcome = answer(item, replace(subject, example_file=tmp_path / ".env.example"))
    assert outcome.reason == (
        "QUEUE_URI is documented and nowhere in the code, which reads QUEUE_URL;"
        " QUEUE_URL is read by the code and documented nowhere; did you mean QUEUE_URI?"
    )


@pytest.mark.parametrize("name", ["TEST_MODE", "USE_IN_MEMORY_DB", "APP_DEBUG", "SKIP_AUTH", "TESTING"])
def test_a_switch_of_the_tests_is_found_by_its_name(checks: Registry, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    subject = Subject(schema=load("seed"), environment={name: "1"}, source_roots=(tmp_path,))
    assert answer(checks.get("config.test-bypass"), subject).reason == f"{name} is on, expected unset or false"
    assert answer(checks.get("config.test-bypass"), replace(subject, environment={name: "off"})).status is Status.PASS


ANONYMOUS = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmVkLWJ5LW5vYm9keS1hdC1hbGwtZXZlcg"


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("JWT_ACCESS_SECRET", "${A_SECRET_OF_THE_PLATFORM_THAT_NOBODY_SET}", "JWT_ACCESS_SECRET is an example value"),
        ("JWT_ACCESS_SECRET", "thisisthesigningkeyofourproductionserver1", "JWT_ACCESS_SECRET is made of words"),
        ("JWT_ACCESS_SECRET", "0123456789abcdef0123456789abcdef", "JWT_ACCESS_SECRET is made of words, counted up"),
        ("JWT_ACCESS_SECRET", "q7Zk2Vx9Lw4Rt8Np" * 2, "JWT_ACCESS_SECRET is made of words, counted up or said again"),
        ("EVOLUTION_API_KEY", "429683C4C977415CAAFCCE10F7D57E11", "EVOLUTION_API_KEY is the value that everybody finds"),
        ("DATABASE_URL", "production", "DATABASE_URL is no address of a Postgres server"),
        ("DATABASE_URL", "mysql://app@database.internal/app", "DATABASE_URL is no address of a Postgres server"),
        ("DATABASE_URL", "postgresql://app:postgres@database.internal/app", "DATABASE_URL has a password that every example has"),
        ("BASE_URL", "https://localhost:8000", "BASE_URL is an address of the machine itself"),
    ],
)
def test_a_value_that_looks_set_and_is_none_fails(checks: Registry, name: str, value: str, complaint: str) -> None:
    outcome = asked(checks, Subject(schema=load("seed"), environment=ENVIRONMENT | {name: value}))
    assert outcome.status is Status.FAIL
    assert complaint in outcome.reason
    assert value not in outcome.reason


def test_the_key_that_everybody_has_is_not_that_of_the_service(checks: Registry) -> None:
    settings = {name: value for name, value in ENVIRONMENT.items() if name != "DATABASE_URL"}
    supabase = {"SUPABASE_URL": "https://project.supabase.invalid", "SUPABASE_SERVICE_ROLE_KEY": ANONYMOUS}
    outcome = asked(checks, Subject(schema=load("seed"), environment=settings | supabase))
    assert outcome.reason == "SUPABASE_SERVICE_ROLE_KEY is the anonymous key, which may read what everybody may"
    service = {"SUPABASE_SERVICE_ROLE_KEY": ANONYMOUS.replace("YW5vbiJ9", "c2VydmljZV9yb2xlIn0")}
    assert asked(checks, Subject(schema=load("seed"), environment=settings | supabase | service)).status is Status.PASS
