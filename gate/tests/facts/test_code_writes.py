"""Columns that are written are found in whatever way they are written."""

# ruff: noqa: E501 – a sample reads best in one line

from __future__ import annotations

from pathlib import Path

import pytest

from gate.errors import GateError
from gate.facts import code_writes, left_in_code
from gate.facts.expected import load
from gate.facts.subject import Subject


def subject(tmp_path: Path, **files: str) -> Subject:
    for name, text in files.items():
        (tmp_path / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return Subject(schema=load("seed"), source_roots=(tmp_path,))


def written(tmp_path: Path, **files: str) -> list[str]:
    return [f"{one.line} {one.table}.{one.column}" for one in code_writes.read(subject(tmp_path, **files)).writes]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("S = 'INSERT INTO public.messages (id, \"content\") VALUES (%s, lower(%s))'\n", ["1 messages.id", "1 messages.content"]),
        ("S = '''\nUPDATE messages m\nSET content = coalesce(a, b), status = 'x, y = z' WHERE id = 1'''\n", ["2 messages.content", "2 messages.status"]),
        ("S = f'INSERT INTO messages (content) VALUES ({a}) ON CONFLICT (id) DO UPDATE SET content = 1'\n", ["1 messages.content"]),
        ("sa.insert(schema.messages).values(content='a', status=b)\n", ["1 messages.content", "1 messages.status"]),
        ("update(messages).where(messages.c.id == 1).values({'content': 'a'})\n", ["1 messages.content"]),
        ("messages.insert().values([{'content': 'a'}])\n", ["1 messages.content"]),
        ("S = 'SELECT content FROM messages WHERE status = 1'\n", []),
        (
            ("class Message(Base):\n    __tablename__ = 'messages'\n    content = Column(Text)\n    kept = mapped_column('status', Text)\n"
            "    late: Mapped[int]\n    unit: Mapped[Unit] = relationship()\n    other = 1\n"),
            ["3 messages.content", "4 messages.status", "5 messages.late"],
        ),
        (
            "class Far(Base):\n    __tablename__ = 'messages'\n    __table_args__ = {'schema': 'far'}\n    content = Column(Text)\n",
            [],
        ),
        ("m = sa.Table('messages', meta, sa.Column('content', sa.Text), sa.UniqueConstraint('a'))\n", ["1 messages.content"]),
    ],
)  # fmt: skip
def test_statements_in_python(tmp_path: Path, text: str, found: list[str]) -> None:
    assert written(tmp_path, app_py=text) == found


def test_statements_in_typescript(tmp_path: Path) -> None:
    text = (
        "await db.query(`INSERT INTO messages (content, late) VALUES ($1, $2)`)\n"
        "await supabase.from('messages').insert([{ content: text, 'status': f(a, { b: 1 }), ...rest, error_details: null }])\n"
        "await supabase.from('contacts').update({ name }).eq('id', 1)\n"
    )
    assert written(tmp_path, app_ts=text) == [
        "1 messages.content", "1 messages.late", "2 messages.content", "2 messages.status", "2 messages.error_details",
        "3 contacts.name",
    ]  # fmt: skip


def test_tables_that_the_code_makes_itself_are_its_own(tmp_path: Path) -> None:
    found = code_writes.read(subject(tmp_path, app_py="S = 'CREATE TABLE IF NOT EXISTS cache (a int)'\n"))
    assert found.created == {"cache"}


def test_no_source_is_an_error() -> None:
    for read in (code_writes.read, left_in_code.read):
        with pytest.raises(GateError, match="no released source code"):
            read(Subject(schema=load("seed")))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("import os\nURL = os.getenv('DATABASE_URL') or 'sqlite:///a.db'\n", "where none was given"),
        ("import os\nURL = os.getenv('DATABASE_URL', 'sqlite+aiosqlite://')\n", "where none was given"),
        ("import sys\nif 'pytest' in sys.modules:\n    URL = 'sqlite://'\n", "in a test mode"),
        ("URL = 'sqlite://' if settings.testing else url\n", "in a test mode"),
        ("try:\n    a()\nexcept Exception:\n    db = connect(':memory:')\n", "when the first cannot be had"),
    ],
)
def test_a_database_that_is_swapped_in_silence_is_seen(tmp_path: Path, text: str, what: str) -> None:
    (spot,) = left_in_code.read(subject(tmp_path, app_py=text)).swaps
    assert what in spot.what


@pytest.mark.parametrize(
    "text",
    [
        "const url = process.env.DATABASE_URL || 'sqlite::memory:';\n",
        "const db = process.env.NODE_ENV === 'test' ? new MemoryDb() : new Pool();\n",
        "try { db = await open(url) } catch (e) { db = new InMemoryDatabase() }\n",
    ],
)
def test_a_database_that_is_swapped_in_typescript_is_seen(tmp_path: Path, text: str) -> None:
    assert len(left_in_code.read(subject(tmp_path, app_ts=text)).swaps) == 1


@pytest.mark.parametrize(
    "text",
    [
        "if scheme == 'sqlite':\n    engine = open_embedded(url)\n",
        "if url.startswith('sqlite:'):\n    fault('only for tests')\n",
        "attest = 1\nURL = 'sqlite://' if attested else url\n",
        "raise SettingsError('DATABASE_URL must be postgresql:// or sqlite://')\n",
    ],
)
def test_code_that_knows_of_an_embedded_database_swaps_nothing(tmp_path: Path, text: str) -> None:
    assert left_in_code.read(subject(tmp_path, app_py=text)).swaps == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app_py", "import pdb; pdb.set_trace()\n"),
        ("app_py", "uvicorn.run(app, reload=True)\n"),
        ("app_py", "DEBUG = True\n"),
        ("app_ts", "function a() {\n  debugger;\n}\n"),
        ("app_tsx", "const V = () => { debugger; return 1 };\n"),
        ("app_py", "DEBUG: bool = True\n"),
        ("app_py", "app.debug = True\n"),
        ("app_py", "app.config['DEBUG'] = True\n"),
        ("app_py", "context.verify_mode = ssl.CERT_NONE\n"),
        ("app_py", "session.verify = False\n"),
        ("app_js", "new Agent({ 'rejectUnauthorized': !1 })\n"),
        ("app_ts", "new Agent({ rejectUnauthorized: false })\n"),
    ],
)
def test_what_was_put_in_to_look_for_a_fault_is_seen(tmp_path: Path, name: str, text: str) -> None:
    assert len(left_in_code.read(subject(tmp_path, **{name: text})).debugging) == 1


def test_what_only_sounds_like_it_is_not(tmp_path: Path) -> None:
    text = "logger.debug('a')\nrun(job, debug=False)\nverify = True\nlogging.basicConfig(debug=True)\nhttpx.get(url, verify=context)\n"
    assert left_in_code.read(subject(tmp_path, app_py=text)).debugging == ()
