"""An expected schema is read strictly: what is misspelt is refused, with the nearest known word."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.errors import GateError, UsageError
from gate.facts.expected import load, parse

HEAD = "schema_version = 1\n"


def test_the_shipped_schema_names_what_the_migration_adds() -> None:
    schema = load("seed")
    assert schema.schema == "public"
    assert schema.column("messages", "retry_count").types == ("integer",)
    assert schema.column("messages", "retry_count").default == "0"
    assert "qr" in schema.column("unit_whatsapp_connections", "status").accepts
    assert schema.index("messages", "idx_messages_client_message_id_unit").unique
    assert {"campaigns", "campaign_recipients"} <= set(schema.tables)


def test_a_schema_of_one_s_own_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + 'schema = "app"\n[tables.orders.columns]\nid = { type = ["uuid", "bigint"], nullable = false }\n')
    schema = load(str(path))
    assert (schema.schema, schema.column("orders", "id").types) == ("app", ("uuid", "bigint"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("schema_version = 1", "it names no table"),
        ("[tables.a]", "schema_version must be 1"),
        ("schema_version = 2\n[tables.a]", "schema_version must be 1"),
        (HEAD + "[tables.a.colums.b]", "unknown key 'colums'; did you mean 'columns'?"),
        (HEAD + "[tables.a.columns.b]\ntpye = 'text'", "unknown key 'tpye'; did you mean 'type'?"),
        (HEAD + "[tables.a.columns.b]\nnullable = 'no'", "tables.a.columns.b.nullable: must be true or false"),
        (HEAD + "[tables.a.indexes.i]\nunique = true", "columns are missing"),
        (HEAD + "[tables.a.indexes.i]\ncolumns = 'b'", "must be a list of texts"),
        (HEAD + "[[tables.a.foreign_keys]]\ncolumns = ['b']", "references: must be a text"),
        (HEAD + "tables = 3", "must be a table"),
        ("schema_version = ", "not valid TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(text, name="mine")
    assert complaint in str(refused.value)
    assert str(refused.value).startswith("expected schema mine")


def test_a_schema_that_does_not_exist_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'seed'"):
        load("sed")


def test_what_is_not_expected_cannot_be_compared() -> None:
    schema = parse(HEAD + "[tables.a.columns.b]", name="mine")
    with pytest.raises(GateError, match=r"nothing is said of the table c; add \[tables.c\]"):
        schema.table("c")
    with pytest.raises(GateError, match=r"nothing is said of a\.c"):
        schema.column("a", "c")
    with pytest.raises(GateError, match="nothing is said of the index i"):
        schema.index("a", "i")
