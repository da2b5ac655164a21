"""Opens a database by URL, and says in one line why one cannot be opened.

Only drivers are used here: a gate that has to answer in a second cannot afford an ORM's import.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from gate.errors import GateError

if TYPE_CHECKING:
    import psycopg

__all__ = ["Backend", "backend_of", "database_name", "held", "postgres", "postgres_address", "shown", "sqlite", "with_database"]

Backend = Literal["postgresql", "sqlite"]

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 10_000


def backend_of(url: str) -> Backend:
    """Which database a URL names. Raises GateError for one that is neither Postgres nor SQLite."""
    scheme = url.partition(":")[0].partition("+")[0].lower()
    if scheme in ("postgresql", "postgres"):
        return "postgresql"
    if scheme == "sqlite":
        return "sqlite"
    # Not quoted: what is no URL may be a password on its own.
    raise GateError("the database URL is neither postgresql://user@host/name nor sqlite:///path; set DATABASE_URL or --database")


def shown(url: str) -> str:
    """The URL without its password, for messages."""
    return re.sub(r"(?<=password=)[^&\s]+", "***", re.sub(r"(://[^:/@]*):.*@(?=[^@]*$)", r"\1:***@", url))


def database_name(url: str) -> str:
    return unquote(_split(url).path.lstrip("/"))


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(_split(url)._replace(path=f"/{name}"))


def postgres_address(url: str) -> str:
    """The URL in the form that libpq takes: without a driver's name, and without options that only drivers know.

    An address of a pooler carries some of Prisma's or of asyncpg's (`pgbouncer`, `connection_limit`, `schema`).
    """
    from psycopg import pq

    parts = _split(url)
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    # As they stand: what is quoted in there stays so.
    options = [option for option in parts.query.split("&") if option.partition("=")[0] in known or option == "ssl=true"]
    return urlunsplit(parts._replace(scheme="postgresql", query="&".join(options)))


# Connections that stand for a URL of their own, see `held`.
_HELD: dict[str, psycopg.Connection[Any]] = {}


@contextmanager
def held(url: str) -> Iterator[str]:
    """A URL behind which everybody shares one transaction, which is rolled back at the end: what is done there, never was."""
    import psycopg

    parts = _split(url)
    mark = urlencode({"application_name": f"golive-trial-{secrets.token_hex(8)}"})
    shared = urlunsplit(parts._replace(query=f"{parts.query}&{mark}" if parts.query else mark))
    try:
        connection = psycopg.connect(postgres_address(shared), connect_timeout=CONNECT_TIMEOUT_S, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise GateError(_why_not(url, error)) from None
    try:
        # Begun here: a transaction block inside is then a savepoint, and commits nothing.
        connection.execute("SELECT 1")
        _HELD[shared] = connection
        yield shared
    finally:
        _HELD.pop(shared, None)
        connection.rollback()
        connection.close()


@contextmanager
def postgres(url: str, *, read_only: bool = False, autocommit: bool = False) -> Iterator[psycopg.Connection[Any]]:
    """A connection to Postgres whose statements may take 10 s. Raises GateError in one line, never with a password.

    Nothing but that is set for the session, so that it also works through a pooler in transaction mode: the encoding, where the
    database knows none.
    """
    import psycopg

    if (held := _HELD.get(url)) is not None:
        with held.transaction():
            yield held
        return
    try:
        connection = psycopg.connect(
            postgres_address(url),
            connect_timeout=CONNECT_TIMEOUT_S,
            autocommit=autocommit,
            prepare_threshold=None,
            application_name="golive-gate",
        )
    except psycopg.OperationalError as error:
        raise GateError(_why_not(url, error)) from None
    except psycopg.ProgrammingError:
        raise GateError("the database URL cannot be understood; write postgresql://user@host:port/name") from None
    with connection:
        if connection.info.encoding == "ascii":
            # What the server calls SQL_ASCII may be anything: each byte is a letter then, and every name can be read.
            connection.pgconn.exec_(b"SET client_encoding = LATIN1")
        if read_only:
            connection.read_only = True
        try:
            if not autocommit:
                connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")
            yield connection
        except psycopg.OperationalError as error:
            text = " ".join((error.diag.message_primary or str(error)).split())
            raise GateError(
                f"database {shown(url)}: the query did not end well ({text}); is the server busy or going down?"
            ) from None


@contextmanager
def sqlite(url: str, *, read_only: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection to SQLite in autocommit. Raises GateError when there is no such file or it is no database."""
    parts = _split(url)
    path = unquote(parts.path)[1:]
    options = dict(parse_qsl(parts.query))
    if options.pop("uri", None) or path.startswith("file:"):
        name, uri = path + (f"?{urlencode(options)}" if options else ""), True
    elif path in ("", ":memory:"):
        name, uri = ":memory:", False
    else:
        if not Path(path).is_file():
            raise GateError(f"database {shown(url)}: no such file; migrate the database first, or correct --database")
        name, uri = f"{Path(path).absolute().as_uri()}?mode={'ro' if read_only else 'rw'}", True
    try:
        connection = sqlite3.connect(name, uri=uri, isolation_level=None, timeout=CONNECT_TIMEOUT_S)
    except sqlite3.Error as error:
        raise GateError(f"database {shown(url)}: cannot be opened ({error})") from None
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        yield connection
    except sqlite3.DatabaseError as error:
        raise GateError(f"database {shown(url)}: {error}") from None
    finally:
        connection.close()


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise GateError("the database URL cannot be understood; write postgresql://user@host:port/name") from None


def _why_not(url: str, error: Exception) -> str:
    text = " ".join(str(error).split())
    where = f"database {shown(url)}"
    if "password authentication failed" in text or "no password supplied" in text:
        return f"{where}: the server refused the user or the password; correct DATABASE_URL"
    if "does not exist" in text and "role" in text:
        return f"{where}: the server knows no such user; correct DATABASE_URL"
    if "does not exist" in text:
        return f"{where}: there is no database of that name; create and migrate it, or correct DATABASE_URL"
    if "timeout expired" in text or "timed out" in text:
        return f"{where}: no answer within {CONNECT_TIMEOUT_S} s; is the server up and the network open?"
    if "Name or service not known" in text or "resolve" in text or "name resolution" in text:
        return f"{where}: the host name cannot be resolved; correct DATABASE_URL"
    if "refused" in text:
        return f"{where}: nothing listens there (connection refused); start the server or correct DATABASE_URL"
    return f"{where}: cannot connect ({_without_password(url, text)})"


def _without_password(url: str, text: str) -> str:
    """A password with `/` or `@` in it splits a URL in the wrong places, and libpq then quotes the pieces."""
    found = re.search(r"://[^:/@]*:(.*)@", url)
    pieces = {found[1], unquote(found[1]), *re.split(r"[/@:?#\[\]]", found[1])} if found else set()
    for piece in sorted(pieces - {""}, key=len, reverse=True):
        text = text.replace(piece, "***")
    return text
