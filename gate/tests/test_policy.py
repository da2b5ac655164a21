"""Policies: what is understood, and that anything else is refused in one line."""

from __future__ import annotations

from datetime import date
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.errors import PolicyError
from gate.policy import Policy, Waiver, load, matches, nearest, parse
from gate.tests.strategies import ids, policies

HEAD = 'schema_version = 1\nname = "p"\n'

SHIPPED = sorted(item.name for item in resources.files("gate.policies").iterdir() if item.name.endswith(".toml"))


@pytest.mark.parametrize("file", SHIPPED)
def test_every_shipped_policy_can_be_loaded_by_name(file: str) -> None:
    policy = load(file.removesuffix(".toml"))
    assert policy.name == file.removesuffix(".toml")
    assert policy.required


def test_a_policy_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        HEAD + 'required = ["schema.*", "smoke.login"]\nmay_skip = ["schema.locks"]\nadvisory = ["watch.*"]\n'
        "[warnings]\nhold_at = 2\nno_go_at = 4\n"
        '[[waiver]]\nid = "schema.a"\nowner = "Ana"\nreason = "next week"\nticket = "OPS-1"\nexpires = 2026-12-01\n'
    )
    assert load(str(path)) == Policy(
        name="p",
        required=("schema.*", "smoke.login"),
        may_skip=("schema.locks",),
        advisory=("watch.*",),
        waivers=(Waiver(id="schema.a", owner="Ana", reason="next week", ticket="OPS-1", expires=date(2026, 12, 1)),),
        hold_at_warnings=2,
        no_go_at_warnings=4,
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("requird = []", "unknown key 'requird'; did you mean 'required'?"),
        ('required = ["schema.*"]\n[warnings]\nhold = 1', "[warnings]: unknown key 'hold'; did you mean 'hold_at'?"),
        ('required = "schema.*"', "required must be a list"),
        ('required = ["Schema!"]', "'Schema!', which is neither an id"),
        ("required = []", "requires nothing"),
        ('required = ["a.b"]\nwarnings = 3', "must be a table"),
        ('required = ["a.b"]\n[warnings]\nhold_at = true', "must be a whole number"),
        ('required = ["a.b"]\n[warnings]\nhold_at = 4\nno_go_at = 2', "1 <= hold_at <= no_go_at"),
        ('required = ["a.b"]\nwaiver = "all"', "written as [[waiver]] tables"),
        ('required = ["a.b"]\n[[waiver]]\nid = "a.b"', "expires, owner, reason, ticket missing"),
        (
            'required = ["a.b"]\n[[waiver]]\nid = "a.*"\nowner = "A"\nreason = "r"\nticket = "OPS-1"\nexpires = 2026-12-01',
            "never a family",
        ),
        (
            'required = ["a.b"]\n[[waiver]]\nid = "a.b"\nowner = " "\nreason = "r"\nticket = "OPS-1"\nexpires = 2026-12-01',
            "must be a text",
        ),
        (
            'required = ["a.b"]\n[[waiver]]\nid = "a.b"\nowner = "A"\nreason = "r"\nticket = "OPS-1"\nexpires = "soon"',
            "must be a date",
        ),
        (
            '[[waiver]]\nid = "secrets.backend-log"\nowner = "A"\nreason = "r"\nticket = "T"\nexpires = 2026-12-01',
            "cannot be waived",
        ),
        (
            'required = ["a.b"]\n'
            + '[[waiver]]\nid = "a.b"\nowner = "A"\nreason = "r"\nticket = "OPS-1"\nexpires = 2026-12-01\n' * 2,
            "more than one waiver for a.b",
        ),
        ("required = [", "not valid TOML"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse(HEAD + text, name="mine.toml")
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value).replace("\n", "", 0) or "TOML" in complaint


def test_a_waiver_built_in_code_needs_a_person_too() -> None:
    with pytest.raises(PolicyError, match="owner is empty"):
        Waiver(id="a.b", owner=" ", reason="r", ticket="OPS-1", expires=date(2026, 12, 1))


def test_another_schema_version_is_refused() -> None:
    with pytest.raises(PolicyError, match="schema_version must be 1"):
        parse('schema_version = 2\nname = "p"\nrequired = ["*"]', name="p")


def test_an_unknown_policy_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(PolicyError, match="did you mean 'rehearsal'"):
        load("rehersal")


def test_a_policy_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PolicyError, match="cannot be read"):
        load(str(path))


@given(ids)
def test_an_id_matches_itself_its_family_and_everything(outcome_id: str) -> None:
    assert matches(outcome_id, outcome_id)
    assert matches(outcome_id.split(".")[0] + ".*", outcome_id)
    assert matches("*", outcome_id)


def test_a_family_does_not_match_a_family_that_begins_alike() -> None:
    assert not matches("schema.*", "schemata.a")
    assert not matches("schema", "schema.a")


@given(policies(), st.lists(ids))
def test_pinning_only_ever_adds_demands_and_only_what_the_policy_requires(policy: Policy, planned: list[str]) -> None:
    pinned = policy.pinned(planned)
    assert pinned.expected >= policy.expected
    assert {item for item in planned if policy.requires(item)} <= pinned.expected
    assert all(policy.requires(item) for item in pinned.expected)
    assert pinned.pinned(planned) == pinned


def test_a_word_without_a_near_one_gets_no_guess() -> None:
    assert nearest("zzzzzz", ["schema"]) == ""
