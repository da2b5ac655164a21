"""The gate by itself provides every fact that a check may ask for, but the one that needs a running backend."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gate.errors import GateError
from gate.facts import migrations
from gate.facts.expected import load
from gate.facts.providers import providers
from gate.facts.subject import Subject
from gate.model import Status
from gate.registry import Kind, registry
from gate.runner import Facts, run


def test_every_fact_that_a_check_names_is_provided() -> None:
    asked = {fact for item in registry(Kind.CHECK).load("gate.checks") for fact in item.facts}
    assert asked - set(providers(Subject(schema=load("seed")))) == {"flow"}


def test_a_subject_of_which_nothing_is_known_passes_nothing() -> None:
    subject = Subject(schema=load("seed"))
    outcomes = run(registry(Kind.CHECK).load("gate.checks"), Facts(providers(subject)))
    # What may be left out of a release is left out with a reason, and policy decides; everything else could not be looked at.
    left_out = {outcome.id for outcome in outcomes if outcome.status is Status.SKIP}
    ours = {"secrets.history", "secrets.package", "secrets.documents", "migration.matches-metadata", "evidence.tree-committed"}
    ran = {f"evidence.{part}-ran" for part in ("scenarios", "smoke", "load", "watch")}
    assert left_out == ours | ran | {"proof.scenarios-can-fail"}
    assert {str(outcome.status) for outcome in outcomes if outcome.id not in left_out} == {"error"}
    assert all("\n" not in outcome.reason for outcome in outcomes)


def test_no_fact_imports_an_orm_or_what_is_under_test() -> None:
    code = (
        "import sys; from gate.registry import Kind, registry; registry(Kind.CHECK).load('gate.checks');"
        "from gate.facts.providers import providers; from gate.facts.expected import load;"
        "from gate.facts.subject import Subject;"
        "providers(Subject(schema=load('seed')));"
        "print(sorted({'sqlalchemy', 'psycopg', 'rich', 'reference_impl', 'harness', 'features', 'reports'} & set(sys.modules)))"
    )
    run_of_it = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (run_of_it.stdout.strip(), run_of_it.stderr) == ("[]", "")


@pytest.mark.postgres
def test_a_migration_that_was_not_named_is_an_error(postgres_url: str) -> None:
    with pytest.raises(GateError, match="no migration to try"):
        migrations.read(Subject(schema=load("seed"), database_url=postgres_url))
