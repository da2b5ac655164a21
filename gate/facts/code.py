"""Ways past the rules that were left in released code: signs of a test mode that production would carry along."""

from __future__ import annotations

import ast
import functools
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gate.errors import GateError
from gate.facts.subject import Subject

__all__ = ["Code", "Spot", "nodes_of", "read", "released_code"]

_PARSER = threading.Lock()
_NOT_RELEASED = {"tests", "test", "__tests__", "node_modules", "__pycache__", "site-packages", "build", "dist"}
_ENDINGS = {".py", ".js", ".cjs", ".mjs", ".jsx", ".ts", ".cts", ".mts", ".tsx"}
_TEST_RUNNERS = {"pytest", "unittest", "_pytest"}
_TEST_MODES = {"test", "tests", "testing"}
_RUNNING = re.compile(r"modules|argv")
_MODE = re.compile(r"(?:\w*_)?env(?:ironment)?", re.IGNORECASE)
_RUNNER_VARIABLE = re.compile(r"PYTEST_CURRENT_TEST|PYTEST_VERSION|JEST_WORKER_ID|VITEST")
_HEADER = re.compile(r"x-(?:test|bypass|debug|skip|no)-?(?:[a-z-]*)|x-[a-z-]*-?bypass", re.IGNORECASE)
_SWITCH = re.compile(
    r"(?:SKIP|DISABLE|BYPASS|NO)_(?:AUTH|AUTHENTICATION|LOGIN|WEBHOOK_SECRET|SIGNATURE|VERIFICATION)", re.IGNORECASE
)
_SETTING = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_QUOTED_NAME = re.compile(rf"['\"]({_SETTING.pattern})['\"]")
_TAKEN_IN_SCRIPT = re.compile(
    rf"(?:process|import\.meta|Bun|Deno)\.env(?:\??\.(?:get\(\s*)?['\"]?({_SETTING.pattern})\b|(?:\?\.)?\[['\"`]({_SETTING.pattern})['\"`]\])"
)
_TAKEN_APART = re.compile(r"\{([^{}]*)\}\s*(?::\s*[\w.]+\s*)?=\s*process\.env\b(?![.\[?])")
_IN_SCRIPTS = (
    (
        "asks for the test environment",
        re.compile(
            r"(?:NODE_ENV|APP_ENV|MODE)['\"`]?\]?\)?\s*===?\s*['\"`]test(?:ing)?['\"`]|['\"`]test(?:ing)?['\"`]\s*===?\s*(?:process|import\.meta)\.env"
        ),
    ),
    ("asks whether a test runner is at work", _RUNNER_VARIABLE),
    ("takes a header that bypasses", re.compile(rf"['\"](?:{_HEADER.pattern})['\"]", re.IGNORECASE)),
    ("has a switch that turns a protection off", re.compile(rf"\b{_SWITCH.pattern}\b")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A place in released code, and what was found there."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """`files` and `lines` of released code were looked through.

    words: every text in it that could be the name of a setting. settings: the names that it takes from the environment directly.
    """

    files: int
    lines: int
    bypasses: tuple[Spot, ...]
    words: frozenset[str]
    settings: frozenset[str]


def read(subject: Subject) -> Code:
    """Raises GateError when there is no source to look through, or it cannot be read."""
    files = lines = 0
    bypasses: list[Spot] = []
    words: set[str] = set()
    settings: set[str] = set()
    for name, text in released_code(subject):
        files, lines = files + 1, lines + text.count("\n")
        if name.endswith(".py"):
            nodes = nodes_of(text, name)
            found = _in_python(nodes)
            words |= {word for node in nodes if (word := _name_of_setting(node))}
            settings |= set(_taken_in_python(nodes))
        else:
            found = _in_script(text)
            settings |= set(_taken_in_script(text))
            words |= {quoted[1] for quoted in _QUOTED_NAME.finditer(text)}
        bypasses += [Spot(file=name, line=line, what=what) for line, what in found]
    return Code(
        files=files, lines=lines, bypasses=tuple(bypasses), words=frozenset(words | settings), settings=frozenset(settings)
    )


def released_code(subject: Subject) -> Iterator[tuple[str, str]]:
    """The text of every source file below the subject's roots, without its tests, by its name with the root's.

    Raises GateError for a folder that is not there, for a file that cannot be read, and when there was none.
    """
    files = 0
    for root in subject.source_roots:
        if not root.is_dir():
            raise GateError(f"{root}: no such folder with released code; correct repository.source")
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root)
            if path.suffix in _ENDINGS and not _NOT_RELEASED & set(inside.parts[:-1]) and path.is_file():
                files, name = files + 1, f"{root.name}/{inside.as_posix()}"
                try:
                    text = path.read_text(encoding="utf-8")
                except (OSError, UnicodeDecodeError) as error:
                    raise GateError(f"{name}: cannot be read ({type(error).__name__})") from error
                yield name, text
    if not files:
        raise GateError("no released source code was found to look through; name its folders (repository.source)")


@functools.lru_cache(maxsize=512)
def nodes_of(text: str, name: str) -> tuple[ast.AST, ...]:
    """Every node of a Python text, walked once for all who ask. Raises GateError for what is not valid Python."""
    try:
        # Two threads at once make CPython 3.11 raise "AST constructor recursion depth mismatch".
        with _PARSER:
            return tuple(ast.walk(ast.parse(text)))
    except SyntaxError as error:
        raise GateError(f"{name}: is not valid Python (line {error.lineno})") from None


def _name_of_setting(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _SETTING.fullmatch(node.value):
        return node.value
    return ""


def _taken_in_python(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """`os.environ["X"]`, `os.environ.get("X")`, `os.getenv("X")`, `env("X")`, `env.str("X")`, `config("X")`, and pydantic's."""
    for node in nodes:
        source: ast.expr
        if isinstance(node, ast.ClassDef) and any(_last(base) == "BaseSettings" for base in node.bases):
            yield from _fields_of_settings(node)
        if isinstance(node, ast.Subscript):
            source, key = node.value, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            source, key = node.func, node.args[0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            source, key = (node.func if node.func.attr == "getenv" else node.func.value), node.args[0]
        else:
            continue
        taken_from = source.attr if isinstance(source, ast.Attribute) else source.id if isinstance(source, ast.Name) else ""
        known = taken_from in ("environ", "getenv", "env") or (taken_from == "config" and source is getattr(node, "func", None))
        if known and (name := _name_of_setting(key)):
            yield name


def _fields_of_settings(node: ast.ClassDef) -> Iterator[str]:
    """Of `class Settings(BaseSettings)`: each field by the name under which it is read, or by its alias."""
    prefix = next(
        (
            str(keyword.value.value)
            for part in ast.walk(node)
            if isinstance(part, ast.Call)
            for keyword in part.keywords
            if keyword.arg == "env_prefix" and isinstance(keyword.value, ast.Constant)
        ),
        "",
    )
    for field in node.body:
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name) or field.target.id == "model_config":
            continue
        aliases = [
            keyword.value.value
            for keyword in (field.value.keywords if isinstance(field.value, ast.Call) else ())
            if keyword.arg in ("alias", "validation_alias") and isinstance(keyword.value, ast.Constant)
        ]
        name = str(aliases[0]) if aliases else f"{prefix}{field.target.id}"
        if _SETTING.fullmatch(name.upper()):
            yield name.upper()


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _taken_in_script(text: str) -> Iterator[str]:
    """`process.env.X`, `process.env["X"]`, `const { X, Y: y = 1 } = process.env`, and the same of the runtimes beside Node."""
    yield from (taken[1] or taken[2] for taken in _TAKEN_IN_SCRIPT.finditer(text))
    for apart in _TAKEN_APART.finditer(text):
        yield from re.findall(rf"(?:^|,)\s*({_SETTING.pattern})\b", apart[1])


def _in_python(nodes: Sequence[ast.AST]) -> Iterator[tuple[int, str]]:
    """By syntax, so that comments and docstrings may speak of what code must not do."""
    prose = {
        id(node.body[0].value)
        for node in nodes
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            if _RUNNER_VARIABLE.fullmatch(node.value):
                yield node.lineno, "asks whether a test runner is at work"
            elif _HEADER.fullmatch(node.value):
                yield node.lineno, f"takes a header that bypasses ({node.value})"
            elif _SWITCH.fullmatch(node.value):
                yield node.lineno, f"has a switch that turns a protection off ({node.value})"
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            values = {side.value for side in sides if isinstance(side, ast.Constant) and isinstance(side.value, str)}
            if values & _TEST_RUNNERS and any(_mentions(side, _RUNNING) for side in sides):
                yield node.lineno, "asks whether a test runner is at work"
            elif values & _TEST_MODES and any(_mentions(side, _MODE) for side in sides):
                yield node.lineno, "asks for the test environment"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            if any(module.partition(".")[0] in _TEST_RUNNERS for module in names):
                yield node.lineno, "imports a test runner"


def _mentions(node: ast.expr, name: re.Pattern[str]) -> bool:
    for part in ast.walk(node):
        text = part.value if isinstance(part, ast.Constant) else _last(part) if isinstance(part, ast.Attribute | ast.Name) else ""
        if isinstance(text, str) and name.fullmatch(text):
            return True
    return False


def _in_script(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in _IN_SCRIPTS:
            if pattern.search(line):
                yield number, what
