"""A script is split where psql splits it."""

from __future__ import annotations

import pytest

from gate.facts.statements import split


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1", ["SELECT 1"]),
        ("", []),
        (" ; -- nothing;\n ; /* nor; here */ ;", []),
        ("SELECT ';'; SELECT 'it''s;'", ["SELECT ';'", "SELECT 'it''s;'"]),
        (r"SELECT E'\';'; SELECT 2", [r"SELECT E'\';'", "SELECT 2"]),
        ('SELECT ";" FROM a; SELECT 2', ['SELECT ";" FROM a', "SELECT 2"]),
        ("DO $$ BEGIN a; END $$; SELECT 2", ["DO $$ BEGIN a; END $$", "SELECT 2"]),
        ("DO $x$ a; $$ b; $$ c; $x$; SELECT 2", ["DO $x$ a; $$ b; $$ c; $x$", "SELECT 2"]),
        ("SELECT 1 -- a;\n + 1; SELECT 2", ["SELECT 1 -- a;\n + 1", "SELECT 2"]),
        ("SELECT $1; SELECT $2", ["SELECT $1", "SELECT $2"]),
    ],
)
def test_it_splits_outside_texts_names_bodies_and_comments(script: str, statements: list[str]) -> None:
    assert list(split(script)) == statements
