"""golive.toml: every mistake in it is one line with the place and the nearest name; what it says reaches the gate."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate import documents
from gate.errors import GateError, PolicyError, UsageError
from gate.release import find, load

LEAST = 'schema_version = 1\n[release]\nname = "mine"\n[gate]\nrequired = ["schema.*"]\n'
KNOWN = {"schema.not-empty", "schema.as-expected", "config.environment", "own.mine", "own.other"}


def written(folder: Path, text: str) -> Path:
    path = folder / "golive.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "schema_version is missing"),
        (LEAST.replace("= 1", "= 2", 1), "schema_version: must be 1"),
        (LEAST.replace("name", "nmae"), "golive.toml, release: unknown key 'nmae'; did you mean 'name'?"),
        (LEAST + "[databse]\n", "unknown key 'databse'; did you mean 'database'?"),
        (LEAST + '[database]\nmigraton = "x"', "database: unknown key 'migraton'; did you mean 'migration'?"),
        (LEAST + '[modules.webhok-route]\nname = "a:b"', "did you mean 'webhook-route'?"),
        (LEAST + '[platform]\nname = "railwai"', "did you mean 'railway'?"),
        (LEAST + '[platform]\nname = "render"\nurl = "http://x"', "platform.url: is not of the form"),
        (LEAST + "[thresholds]\nhold_at_warnings = 0", "is 0, expected at least 1"),
        (LEAST + "[thresholds]\nhold_at_warnings = true", "must be a whole number"),
        (LEAST + "[evidence]\nmax_age_hours = inf", "at most 720"),
        (LEAST + "contacts = 1", "gate: unknown key 'contacts'"),
        (LEAST.replace('["schema.*"]', "[]"), "gate.required: needs at least 1 entries"),
        (LEAST.replace('"schema.*"', '"Schema.*"'), "gate.required, entry 1: is not of the form"),
        (LEAST + '[release]\nname = "again"', "not valid TOML"),
        ("schema_version = 1\n[release]\nname = '  '\n[gate]\nrequired = ['a.b']", "release.name: is empty"),
        (LEAST + "a = " + "[" * 5000, "not valid TOML"),
        (LEAST.replace('"mine"', '"a\\u0000b"'), "holds a zero byte"),
    ],
)
def test_what_cannot_be_meant_is_one_line_with_the_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as refused:
        load(written(tmp_path, text))
    assert complaint in str(refused.value)


def test_a_password_in_the_url_is_refused_and_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        load(written(tmp_path, LEAST + '[database]\nurl = "postgresql://app:hunter2@db/app"'))
    assert "url_from" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["embedded", "memory", "docker:", "postgresql://app@db/app", "sqlite:///app.sqlite"])
def test_a_url_without_a_password_may_stand_there(tmp_path: Path, url: str) -> None:
    assert load(written(tmp_path, LEAST + f'[database]\nurl = "{url}"')).database_url({}) == url


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (LEAST.replace("schema.*", "shema.*"), "no check is named 'shema.*'; did you mean 'schema.*'?"),
        (LEAST.replace("schema.*", "schema.not-emtpy"), "did you mean 'schema.not-empty'?"),
        (LEAST + 'advisory = ["own.mien"]', "gate.advisory: no check is named 'own.mien'; did you mean 'own.mine'?"),
        (
            LEAST + '[[waiver]]\nid = "config.enviroment"\nowner = "A"\nreason = "r"\nticket = "T"\nexpires = 2026-12-01',
            "waiver.id: no check is named 'config.enviroment'; did you mean 'config.environment'?",
        ),
    ],
)
def test_a_name_that_names_no_check_is_refused_before_anything_runs(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as refused:
        load(written(tmp_path, text)).expected(KNOWN)
    assert complaint in str(refused.value)


@pytest.mark.parametrize("advisory", ["*", "schema.*"])
def test_what_is_required_cannot_be_advisory_altogether(tmp_path: Path, advisory: str) -> None:
    with pytest.raises(UsageError, match="it cannot be both"):
        load(written(tmp_path, LEAST + f'advisory = ["{advisory}"]')).expected(KNOWN)


def test_what_is_expected_is_what_is_required_and_not_only_advisory(tmp_path: Path) -> None:
    release = load(written(tmp_path, LEAST.replace('"schema.*"', '"schema.*", "own.*"') + 'advisory = ["own.mine"]\n'))
    assert release.expected(KNOWN) == {"schema.not-empty", "schema.as-expected", "own.other"}
    assert release.asked(KNOWN) == {"schema.not-empty", "schema.as-expected", "own.other", "own.mine"}


@pytest.mark.parametrize(
    ("waiver", "complaint"),
    [
        ('id = "schema.*"\nowner = "A"\nreason = "r"\nticket = "T"\nexpires = 2026-12-01', "never a family or a wildcard"),
        ('id = "secrets.repository"\nowner = "A"\nreason = "r"\nticket = "T"\nexpires = 2026-12-01', "cannot be waived"),
        ('id = "schema.a"\nowner = "A"\nreason = "r"\nexpires = 2026-12-01', "ticket is missing"),
        ('id = "schema.a"\nowner = "A"\nreason = "r"\nticket = "T"\nexpires = "2026-12-01"', "must be a date such as"),
        ('id = "schema.a"\nowner = "A"\nreason = "r"\nticket = "T"\nexpires = 2026-12-01T10:00:00', "must be a date such as"),
    ],
)
def test_a_waiver_that_says_too_little_or_too_much_is_refused(tmp_path: Path, waiver: str, complaint: str) -> None:
    with pytest.raises((UsageError, PolicyError)) as refused:
        load(written(tmp_path, f"{LEAST}[[waiver]]\n{waiver}"))
    assert complaint in str(refused.value)


def test_what_the_file_says_reaches_the_gate(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("x")
    release = load(
        written(
            tmp_path,
            LEAST
            + """
[repository]
source = ["src"]
[database]
migration = "m.sql"
[modules.messages-route]
name = "app.messages:router"
routes = ["POST /messages", "GET /messages/{id}"]
[environment]
file = ".env"
secrets = ["STRIPE_KEY"]
[backend]
logs = ["logs/*.log"]
[evidence]
smoke = "run"
[[waiver]]
id = "schema.as-expected"
owner = "Ana"
reason = "r"
ticket = "T-1"
expires = 2026-12-01
[contacts]
"on call" = "Ana, ask the duty phone"
""",
        )
    )
    subject = release.subject(database_url="sqlite://", environment={})
    assert subject.source_roots == (tmp_path / "src",)
    assert subject.migration == tmp_path / "m.sql"
    assert [str(route) for route in subject.modules[0].routes] == ["POST /messages", "GET /messages/{id}"]
    assert subject.environment_file == tmp_path / ".env"
    assert subject.environment_rules.secrets == ("STRIPE_KEY",)
    assert subject.logs == (tmp_path / "logs" / "a.log",)
    assert subject.journals is not None
    assert subject.journals.paths == {"smoke": tmp_path / "run"}
    assert release.policy.waivers[0].expires == date(2026, 12, 1)
    assert release.record()["contacts"] == {"on call": "Ana, ask the duty phone"}


def test_a_log_pattern_that_names_no_file_is_refused(tmp_path: Path) -> None:
    release = load(written(tmp_path, LEAST + '[backend]\nlogs = ["logs/*.log"]'))
    with pytest.raises(UsageError, match="names no file"):
        release.subject(database_url="", environment={})


def test_two_places_of_the_settings_are_refused(tmp_path: Path) -> None:
    release = load(written(tmp_path, LEAST + '[environment]\nfile = "a"\nprocess = true'))
    with pytest.raises(UsageError, match="name one place of the values"):
        release.subject(database_url="", environment={})


def test_a_link_that_leads_nowhere_is_no_absence(tmp_path: Path) -> None:
    assert find(None, tmp_path) is None
    (tmp_path / "golive.toml").symlink_to(tmp_path / "gone.toml")
    with pytest.raises(UsageError, match="no such file"):
        find(None, tmp_path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_one_line(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "golive.toml")
    with pytest.raises(UsageError, match="is no file"):
        find(None, tmp_path)


def test_it_is_found_from_below_up_to_the_root_of_the_repository_and_no_further(tmp_path: Path) -> None:
    repository, below = tmp_path / "repository", tmp_path / "repository" / "src" / "app"
    below.mkdir(parents=True)
    written(tmp_path, LEAST)
    assert find(None, below) is None
    (repository / ".git").mkdir()
    assert find(None, below) is None
    written(repository, LEAST.replace("mine", "theirs"))
    found = find(None, below)
    assert found is not None
    assert found.name == "theirs"


@pytest.mark.parametrize("content", [b"\xff\xfe", b'name = "\xe9"', b"\x00"])
def test_a_file_that_is_no_text_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "golive.toml").write_bytes(content)
    with pytest.raises(UsageError, match="is not text in UTF-8|not valid TOML"):
        find(None, tmp_path)


def test_every_word_of_the_schema_is_checked_here() -> None:
    documents.refuse_unknown_keywords(documents.schema("golive"))
    with pytest.raises(GateError, match="'uniqueItems'"):
        documents.refuse_unknown_keywords({"properties": {"a": {"type": "array", "uniqueItems": True}}})


def test_the_published_schema_says_the_same_as_the_validator_of_others(tmp_path: Path) -> None:
    """An editor must not find fault with what the gate takes, nor the reverse."""
    validator = pytest.importorskip("jsonschema", reason="comes with another library of the tests").Draft202012Validator
    rules = json.loads(documents.schema_text("golive"))
    validator.check_schema(rules)
    for text in (LEAST, LEAST + '[platform]\nname = "railwai"', LEAST + "[gat]", LEAST.replace("mine", ""), LEAST + "checks = 3"):
        document = tomllib.loads(text)
        try:
            documents.validate(document, rules, where="golive.toml")
            taken = True
        except UsageError:
            taken = False
        assert validator(rules).is_valid(document) == taken, text


documents_of_any_kind = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["release", "gate", "database", "waiver", "modules", "x"]), documents_of_any_kind, max_size=4)
)
def test_no_document_makes_the_validator_stumble(document: dict[str, object]) -> None:
    try:
        documents.validate({"schema_version": 1, **document}, documents.schema("golive"), where="golive.toml")
    except UsageError:
        return
    assert {"release", "gate"} <= set(document)
