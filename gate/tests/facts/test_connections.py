"""A database that cannot be opened is named in one line, and never with its password."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

import psycopg
import pytest

from gate.errors import GateError
from gate.facts import catalog
from gate.facts.connections import backend_of, postgres, postgres_address, shown, sqlite, with_database

PASSWORD = "s3cr3t%2Fp%40ss"


@pytest.mark.parametrize(
    ("url", "backend"),
    [
        ("postgresql+psycopg://h/d", "postgresql"),
        ("postgres://h/d", "postgresql"),
        ("sqlite://", "sqlite"),
        ("sqlite:///a.db", "sqlite"),
    ],
)
def test_the_url_names_the_database(url: str, backend: str) -> None:
    assert backend_of(url) == backend


@pytest.mark.parametrize("url", ["", "hunter2-a-password", "mysql://root:hunter2@h/d", "redis://h"])
def test_what_is_no_database_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(GateError, match="neither postgresql://user@host/name nor sqlite:///path") as refused:
        backend_of(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://app:{PASSWORD}@host:5432/shop",
        "postgresql://app:p@ss:w0rd@host/shop",
        "postgresql://host/shop?user=app&password=w0rd",
    ],
)
def test_a_shown_url_has_no_password(url: str) -> None:
    assert "***" in shown(url)
    assert PASSWORD not in shown(url)
    assert "w0rd" not in shown(url)


def test_the_driver_is_taken_off_and_the_database_exchanged() -> None:
    assert postgres_address("postgresql+psycopg://app@host/shop?sslmode=disable") == "postgresql://app@host/shop?sslmode=disable"
    pooled = "postgresql://app@host:6543/shop?pgbouncer=true&sslmode=require&connection_limit=1&schema=public&options=-c%20a%3Db"
    assert postgres_address(pooled) == "postgresql://app@host:6543/shop?sslmode=require&options=-c%20a%3Db"
    assert with_database("postgresql://app@host:5/shop?a=b", "other") == "postgresql://app@host:5/other?a=b"


def test_an_unreachable_server_is_an_error_in_one_line() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with (
        pytest.raises(GateError, match="nothing listens there") as refused,
        postgres(f"postgresql://app:{PASSWORD}@127.0.0.1:{port}/shop"),
    ):
        pass
    assert "\n" not in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("password", ["hun/ter2", "hun@ter2", "hun#ter2", "hun?ter2", "hun:ter2"])
def test_a_password_that_breaks_the_url_is_not_shown_in_pieces(password: str) -> None:
    with pytest.raises(GateError) as refused, postgres(f"postgresql://app:{password}@127.0.0.1:1/shop"):
        pass
    assert "hun" not in str(refused.value)
    assert "ter2" not in str(refused.value)


@pytest.mark.postgres
def test_a_database_and_a_user_that_do_not_exist_are_told_apart(postgres_url: str) -> None:
    with pytest.raises(GateError, match="there is no database of that name"), postgres(with_database(postgres_url, "nowhere")):
        pass
    stranger = postgres_url.replace("://postgres", "://stranger", 1)
    with pytest.raises(GateError, match="the server knows no such user"), postgres(stranger):
        pass


@pytest.mark.postgres
def test_a_read_only_connection_refuses_to_write(postgres_url: str) -> None:
    import psycopg

    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), postgres(postgres_url, read_only=True) as server:
        server.execute("CREATE TABLE never (id integer)")


def test_a_file_that_is_missing_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "missing.db"
    with pytest.raises(GateError, match="no such file"), sqlite(f"sqlite:///{path}"):
        pass
    assert not path.exists()


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("not a database, but long enough to be taken for the header of one" * 20)
    with pytest.raises(GateError, match="not a database"), sqlite(f"sqlite:///{path}"):
        pass


def test_a_shared_database_in_memory_is_reached_by_its_name() -> None:
    url = "sqlite:///file:shared-for-a-test?mode=memory&cache=shared&uri=true"
    with sqlite(url) as first:
        first.execute("CREATE TABLE here (id integer)")
        with sqlite(url) as second:
            assert second.execute("SELECT name FROM sqlite_master").fetchall() == [("here",)]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('FATAL: password authentication failed for user "app"', "the server refused the user or the password"),
        ("fe_sendauth: no password supplied", "the server refused the user or the password"),
        ('FATAL: role "app" does not exist', "the server knows no such user"),
        ('FATAL: database "shop" does not exist', "there is no database of that name"),
        ("connection timeout expired", "no answer within 5 s"),
        ("[Errno -2] Name or service not known", "the host name cannot be resolved"),
        ("connection to server at 10.0.0.1 failed: Connection refused", "nothing listens there"),
        (
            "SSL error: certificate verify failed near w0rd",
            r"cannot connect \(SSL error: certificate verify failed near \*\*\*\)",
        ),
    ],
)
def test_each_way_of_not_connecting_has_its_own_advice_and_never_the_password(
    said: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise psycopg.OperationalError(said)

    monkeypatch.setattr(psycopg, "connect", refuse)
    with pytest.raises(GateError, match=told) as refused, postgres("postgresql://app:w0rd@host/shop"):
        pytest.fail("there is no connection")
    assert "w0rd" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("url", ["postgresql://[::1/shop", "postgresql://host/shop?connect_timeout=%zz"])
def test_a_url_that_cannot_be_understood_says_how_to_write_one(url: str) -> None:
    with pytest.raises(GateError, match="write postgresql://user@host:port/name"), postgres(url):
        pytest.fail("there is no connection")


@pytest.mark.postgres
def test_a_database_that_knows_no_encoding_is_read_letter_by_letter(postgres_url: str) -> None:
    name = f"ascii_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_address(postgres_url), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'".encode())
        try:
            url = with_database(postgres_url, name)
            with psycopg.connect(postgres_address(url), autocommit=True) as connection:
                connection.pgconn.exec_(b'CREATE TABLE "caf\xe9" ("a\xe7\xe3o" text DEFAULT \'\xe9\')')
            found = catalog.snapshot(url, "public")
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    assert {table: list(found.tables[table].columns) for table in found.tables} == {"café": ["ação"]}
