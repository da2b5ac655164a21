"""What is found is told by rule and place, and what is allowed is allowed for a reason."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.errors import UsageError
from gate.facts.allowances import Allowance
from gate.facts.planted import Planted
from gate.facts.secret_rules import load, parse
from gate.facts.secret_scan import Scanner

SCANNER = Scanner()
KEY = Planted(7).github()


def test_the_line_the_rule_and_a_short_digest_are_told() -> None:
    (one,) = SCANNER.scan(f"a\nb\ntoken = '{KEY}'\n".encode(), "x/settings.py")
    assert (one.path, one.line, one.rule) == ("x/settings.py", 3, "github-token")
    assert re.fullmatch(r"x/settings\.py:3: a GitHub token \(github-token, [0-9a-f]{8}\)", str(one))


def test_the_same_value_has_the_same_digest_and_another_key_another_one() -> None:
    text = f"token = '{KEY}'\n".encode()
    (here,), (there,) = SCANNER.scan(text, "a.py"), Scanner().scan(text + b"\n", "b.py")
    (keyed,) = Scanner(key=b"another").scan(text, "a.py")
    assert here.digest == there.digest != keyed.digest


def test_one_value_is_told_once_by_the_rule_that_knows_it_best() -> None:
    assert [one.rule for one in SCANNER.scan(f'GITHUB_TOKEN: str = "{KEY}"\n'.encode(), "a.py")] == ["github-token"]


@pytest.mark.parametrize(
    "place", ["{line}  # golive:allow {rule}: made up for this test\n", "# golive:allow {rule}: made up for it\n{line}\n"]
)
def test_a_comment_with_a_reason_allows_its_line_and_the_next(place: str) -> None:
    text = place.format(line=f"token = '{KEY}'", rule="github-token")
    (one,) = SCANNER.scan(text.encode(), "a.py")
    assert one.allowed.startswith("made up for")


@pytest.mark.parametrize(
    "marker", ["golive:allow github-token", "golive:allow github-token: ok", "golive:allow stripe-key: made up for this test"]
)
def test_a_comment_without_a_reason_or_for_another_rule_allows_nothing(marker: str) -> None:
    (one,) = SCANNER.scan(f"token = '{KEY}'  # {marker}\n".encode(), "a.py")
    assert not one.allowed


def test_a_comment_far_away_allows_nothing() -> None:
    text = f"# golive:allow github-token: made up for this test\n\n\ntoken = '{KEY}'\n"
    assert not SCANNER.scan(text.encode(), "a.py")[0].allowed


def test_a_comment_does_not_speak_for_a_minified_file() -> None:
    text = "/* golive:allow *: somebody wrote this */" + "a=1;" * 2000 + f"token='{KEY}'"
    assert not SCANNER.scan(text.encode(), "a.min.js")[0].allowed


def test_an_allowance_covers_its_rule_in_its_files_and_is_noted_as_used() -> None:
    wanted = Allowance(rule="github-token", path="tests/**", reason="made up for the tests")
    unused = Allowance(rule="stripe-key", path="**", reason="made up for the tests")
    scanner = Scanner(allowances=[wanted, unused])
    text = f"token = '{KEY}'\n".encode()
    assert scanner.scan(text, "tests/a/b.py")[0].allowed == "made up for the tests"
    assert not scanner.scan(text, "src/tests.py")[0].allowed
    assert scanner.used == {wanted}


@pytest.mark.parametrize(
    ("rule", "path", "reason"), [("*", "**", "it is a large repository"), ("a-rule", "**", " "), ("*", "a/*", "ok")]
)
def test_an_allowance_without_a_reason_or_for_everything_is_refused(rule: str, path: str, reason: str) -> None:
    with pytest.raises(UsageError):
        Allowance(rule=rule, path=path, reason=reason)


@given(before=st.binary(max_size=300), after=st.binary(max_size=300))
def test_whatever_stands_around_a_key_does_not_hide_it(before: bytes, after: bytes) -> None:
    content = (
        b"text "
        + before.replace(b"\0", b"").replace(b"golive", b"")
        + b"\n"
        + KEY.encode()
        + b"\n"
        + after.replace(b"golive", b"")
    )
    assert "github-token" in {one.rule for one in SCANNER.scan(content, "a.bin")}


@given(st.binary(max_size=2000))
def test_no_content_makes_a_scan_crash(content: bytes) -> None:
    SCANNER.scan(content, "a.env")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no"),
        ("[[rules]]\nid = 'a'\nregex = 'a'\n", "keywords is missing"),
        ("[[rules]]\nid = 'a'\nregex = '('\nkeywords = ['a']\n", "cannot be used"),
        ("[[rules]]\nid = 'a'\nregex = 'a'\nkeywords = ['a']\nentropie = 1\n", "did you mean 'entropy'"),
        ("[[rules]]\nid = 'a'\nregex = 'a'\nkeywords = ['a']\nsecretGroup = 2\n", "no group"),
        ("[[rules]]\nid = 'a'\nregex = 'a'\nkeywords = ['a']\n" * 2, "twice"),
        ("rules = ", "not valid TOML"),
    ],
)
def test_rules_that_cannot_be_used_are_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse(text, name="own.toml")


def test_a_rule_in_the_format_of_gitleaks_can_be_added() -> None:
    rules = parse(
        "[[rules]]\nid = 'erp'\ndescription = 'a key of the ERP'\nregex = '''(?i)x{0,5}erp-([0-9]{12})'''\n"
        "keywords = ['erp-']\nsecretGroup = 1\n"
        "[[rules.allowlists]]\nregexes = ['''^0+$''']\n",
        name="own.toml",
    )
    scanner = Scanner(rules)
    assert [one.rule for one in scanner.scan(b"xxERP-123456789012", "a")] == ["erp"]
    assert scanner.scan(b"erp-000000000000", "a") == []


def test_every_shipped_rule_says_where_its_keyword_stands() -> None:
    for rule in load().rules:
        assert rule.anchored, rule.id
        assert not rule.token or min(map(len, rule.keywords)) >= 3, rule.id
