"""Settings are read from a file without guessing, and complaints about them never quote a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.checks.config import environment as check
from gate.errors import Failure, GateError
from gate.facts.environment import Environment, parse_dotenv, read
from gate.facts.expected import load
from gate.facts.subject import Subject
from gate.tests.worlds.subjects import ENVIRONMENT


def complaint(**changes: str) -> str:
    with pytest.raises(Failure) as failed:
        list(check.run(environment=Environment(values={**ENVIRONMENT, **changes})))
    return str(failed.value)


def test_a_file_is_read_with_comments_quotes_and_export(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# settings\nA=1\nexport B = \"two # words\" # why\nC='x=y'\nD=\nE=plain # comment\nF=a#b\n")
    assert parse_dotenv(path) == {"A": "1", "B": "two # words", "C": "x=y", "D": "", "E": "plain", "F": "a#b"}


@pytest.mark.parametrize(
    ("text", "why"), [("A=1\nhunter2\n", "line 2: not of the form"), ("A=1\nA=2", "line 2: A is set a second time")]
)
def test_a_line_that_cannot_be_meant_is_named_and_not_quoted(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / ".env"
    path.write_text(text)
    with pytest.raises(GateError, match=why) as refused:
        parse_dotenv(path)
    assert "hunter2" not in str(refused.value)


def test_settings_that_were_not_given_are_an_error() -> None:
    with pytest.raises(GateError, match="no settings of the deployment were given"):
        read(Subject(schema=load("seed")))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"APP_ENV": ""}, "APP_ENV is missing, expected production"),
        ({"NODE_ENV": "test"}, "NODE_ENV is not production"),
        ({"JWT_ACCESS_SECRET": "a" * 40}, "JWT_ACCESS_SECRET is made of 1 different characters"),
        ({"EVOLUTION_API_KEY": "   "}, "EVOLUTION_API_KEY is missing"),
        ({"EVOLUTION_API_URL": "evolution:8080"}, "EVOLUTION_API_URL does not begin with http:// or https:// and a host"),
        ({"BASE_URL": "https://app:pw@backend.invalid"}, "BASE_URL holds credentials"),
        ({"BASE_URL": "https://api.example.com"}, "BASE_URL is an example value"),
        ({"BASE_URL": "https://[broken"}, "BASE_URL is not a URL"),
        ({"DATABASE_URL": ""}, "DATABASE_URL is missing (or SUPABASE_URL"),
        ({"DATABASE_URL": "sqlite://"}, "DATABASE_URL is an embedded database"),
        ({"DATABASE_URL": "", "SUPABASE_URL": "https://x.supabase.co"}, "SUPABASE_SERVICE_ROLE_KEY is missing"),
        ({"EVOLUTON_API_URL": "http://e"}, ""),
    ],
)
def test_each_fault_is_a_sentence_of_its_own(changes: dict[str, str], reason: str) -> None:
    if not reason:
        # The right name is set too: the misspelt one changes nothing.
        assert list(check.run(environment=Environment(values={**ENVIRONMENT, **changes})))
        return
    assert reason in complaint(**changes)


def test_several_faults_are_told_at_once_and_no_value_is() -> None:
    weak = "short-but-secret"
    reason = complaint(JWT_ACCESS_SECRET=weak, JWT_REFRESH_SECRET=weak, BASE_URL="")
    assert reason.count(";") >= 3
    assert weak not in reason


def test_the_documented_example_is_refused_whatever_it_looks_like() -> None:
    environment = Environment(values=ENVIRONMENT, documented={"JWT_ACCESS_SECRET": ENVIRONMENT["JWT_ACCESS_SECRET"]})
    with pytest.raises(Failure, match="JWT_ACCESS_SECRET is an example value"):
        list(check.run(environment=environment))
