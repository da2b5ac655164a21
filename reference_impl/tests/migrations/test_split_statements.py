"""The splitter of SQL scripts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl.migrations.migrate import BASELINE, MIGRATION, split_statements

WORDS = st.sampled_from(
    ["SELECT 1", "x = $1", "a.b", "(a, b)", "tab$le$x", "1e5", "E", "é$$", "price_e", "\n", " ", "+-", "@>", "%s"]
)
PIECES = st.sampled_from(
    [
        "'a;b'", "'it''s; so'", "E'back\\'slash; \\\\'", "e''", '"na;me"', '"qu""ote;"', "$$ body; 'open $$", "$f$ $$; \" ;$f$",
        "$été$ ; $été$", "-- comment; it's\n", "--\r", "/* ; ' \" */", "/* outer /* inner; */ ' */", "U&'d;e'", "B'01'",
    ]
)  # fmt: skip
BODIES = st.lists(st.one_of(WORDS, PIECES), min_size=1, max_size=8).map(" ".join).map(lambda text: f"SELECT {text}")


@given(st.lists(BODIES, max_size=6))
def test_joined_statements_are_split_at_the_joints(bodies: list[str]) -> None:
    script = "\n;\n".join(bodies)
    assert [statement.text for statement in split_statements(script)] == [body.strip() for body in bodies]


@given(st.text(max_size=60))
def test_any_text_is_split_without_loss_or_refused(script: str) -> None:
    try:
        statements = split_statements(script)
    except ValueError:
        return
    position = 0
    for statement in statements:
        position = script.index(statement.text, position) + len(statement.text)
        assert statement.text


def test_each_statement_knows_its_line() -> None:
    script = "SELECT 1;\n\n-- about the second\nSELECT\n  2;  SELECT 3"
    assert [(statement.line, statement.title) for statement in split_statements(script)] == [
        (1, "SELECT 1"),
        (3, "SELECT"),
        (5, "SELECT 3"),
    ]


def test_comments_and_empty_statements_are_no_statements() -> None:
    assert split_statements("; ;; -- nothing;\n /* ; */ ;\n") == ()


@pytest.mark.parametrize(
    "script", ["SELECT 'open; x", 'SELECT "open;', "SELECT $a$ open; $b$", "/* open; /* */", "SELECT E'a\\';"]
)
def test_an_unfinished_quote_or_comment_is_refused(script: str) -> None:
    with pytest.raises(ValueError, match="line 1: .* not closed"):
        split_statements(script)


def test_a_body_that_only_a_parser_can_end_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2: BEGIN ATOMIC"):
        split_statements("CREATE FUNCTION f() RETURNS int\nBEGIN ATOMIC SELECT 1; END;")


def test_the_scripts_of_the_release_split_into_single_statements() -> None:
    assert all(
        statement.text.startswith(("CREATE", "--")) for statement in split_statements(BASELINE.read_text(encoding="utf-8"))
    )
    *_, last = split_statements(MIGRATION.read_text(encoding="utf-8"))
    assert "DO $verification$" in last.text
