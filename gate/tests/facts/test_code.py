"""Ways past the rules are found in code, not in comments, docstrings or tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.errors import GateError
from gate.facts import code
from gate.facts.code import Code
from gate.facts.expected import load
from gate.facts.subject import Subject


def looked_through(folder: Path, name: str, text: str) -> Code:
    path = folder / "shop" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return code.read(Subject(schema=load("seed"), source_roots=(folder / "shop",)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "import os\nif os.environ.get('PYTEST_CURRENT_TEST'): allow = True"),
        ("a.py", "import sys\nfast = 'pytest' in sys.modules"),
        ("a.py", "def f(h): return h.get('X-Test-User')"),
        ("a.py", "def f(h): return h['x-auth-bypass']"),
        ("a.py", "SWITCH = 'DISABLE_AUTH'"),
        ("a.py", "import pytest"),
        ("a.py", "from unittest import mock"),
        ("server.ts", "if (process.env.NODE_ENV === 'test') db = memory()"),
        ("server.js", "if (req.headers['x-test-bypass']) return next()"),
        ("server.mts", "if (process.env['NODE_ENV'] === 'test') allow()"),
        ("view.tsx", "if (import.meta.env.MODE === 'test') allow()"),
        ("a.py", "import os\nif os.environ.get('APP_ENV') == 'test': allow = True"),
        ("a.py", "if 'testing' == settings.environment: allow = True"),
        ("a.py", "import sys\nfast = 'pytest' in sys.argv[0]"),
    ],
)
def test_a_way_past_the_rules_is_found_with_its_place(tmp_path: Path, name: str, text: str) -> None:
    found = looked_through(tmp_path, name, text)
    assert found.files == 1
    assert [bypass.file for bypass in found.bypasses] == [f"shop/{name}"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "'''Never asks for PYTEST_CURRENT_TEST or x-test-bypass.'''\n# PYTEST_CURRENT_TEST\nx = 1"),
        ("a.py", "NAMES = ('ENABLE_TEST_BYPASS', 'X-Request-Id', 'x-forwarded-for')"),
        ("a.py", "kinds = [kind for kind in kinds if kind == 'test' or rows['sample'] != 'test']"),
        ("tests/a.py", "import pytest"),
        ("__tests__/a.js", "if (process.env.NODE_ENV === 'test') {}"),
    ],
)
def test_prose_and_tests_are_left_alone(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "b.py").write_text("x = 1\n")
    assert looked_through(tmp_path, name, text).bypasses == ()


@pytest.mark.parametrize(
    ("name", "text", "taken"),
    [
        ("a.py", "import os\na = os.environ['SHOP_URL']\nb = os.environ.get('SHOP_KEY', '')", {"SHOP_URL", "SHOP_KEY"}),
        ("a.py", "from os import environ, getenv\na = environ['SHOP_URL']\nb = {'x': 1}['SHOP_KEY']", {"SHOP_URL"}),
        ("a.py", "import os\nc = os.getenv('SHOP_ID')", {"SHOP_ID"}),
        ("a.py", "from os import getenv\nc = getenv('SHOP_ID')", {"SHOP_ID"}),
        ("a.py", "import environ\nenv = environ.Env()\na = env('SHOP_URL')\nb = env.bool('SHOP_KEY')", {"SHOP_URL", "SHOP_KEY"}),
        ("a.py", "from decouple import config\na = config('SHOP_URL')\nb = app.config('SHOP_KEY')", {"SHOP_URL"}),
        (
            "a.py",
            (
                "class Settings(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix='SHOP_')\n    url: str\n"
                "    key: str = Field(alias='OTHER_KEY')\n"
            ),
            {"SHOP_URL", "OTHER_KEY"},
        ),
        ("a.js", "const a = process.env.SHOP_URL, b = process.env['SHOP_KEY']", {"SHOP_URL", "SHOP_KEY"}),
        (
            "a.ts",
            "const { SHOP_URL, SHOP_KEY: key = '1', PORT } = process.env;\nconst { SHOP_ID } = other;",
            {"SHOP_URL", "SHOP_KEY"},
        ),
        ("a.jsx", "const a = import.meta.env.SHOP_URL, b = process.env?.SHOP_KEY", {"SHOP_URL", "SHOP_KEY"}),
    ],
)
def test_names_taken_from_the_environment_are_known(tmp_path: Path, name: str, text: str, taken: set[str]) -> None:
    found = looked_through(tmp_path, name, text)
    assert found.settings == taken
    assert found.words >= taken


def test_no_code_and_broken_code_are_errors(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="no released source code"):
        code.read(Subject(schema=load("seed"), source_roots=(tmp_path,)))
    with pytest.raises(GateError, match="shpo: no such folder with released code"):
        code.read(Subject(schema=load("seed"), source_roots=(tmp_path, tmp_path / "shpo")))
    with pytest.raises(GateError, match=r"shop/a\.py: is not valid Python \(line 1\)"):
        looked_through(tmp_path, "a.py", "def (:")
