"""What a person leaves in code while he looks for a fault, and where code takes another database than the one it was given."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gate.facts.code import Spot, nodes_of, released_code
from gate.facts.subject import Subject

__all__ = ["LeftInCode", "read"]

_DEBUGGERS = {"pdb", "ipdb", "pudb", "debugpy", "pydevd", "wdb", "rpdb", "remote_pdb"}
_SWITCHES = {"debug": True, "reload": True, "verify": False, "verify_ssl": False, "check_hostname": False}
_SERVERS = {"FastAPI", "Flask", "Starlette", "Litestar", "Quart", "run", "Granian", "run_app", "main"}
_EMBEDDED = re.compile(r"^sqlite(?:\+\w+)?:|^:memory:$|^file::memory:|^memory://")
_TESTING = re.compile(r"(?:^|[^a-z])(?:test(?:ing|s)?|pytest|unittest|jest|vitest|ci|mock)(?:$|[^a-z])", re.IGNORECASE)
_IN_SCRIPTS = (
    (re.compile(r"(?:^|[;{})])[ \t]*debugger[ \t]*(?:;|\}|$)", re.MULTILINE), "stops for a debugger"),
    (re.compile(r"rejectUnauthorized['\"]?\s*:\s*(?:false|!1)"), "does not verify certificates"),
    (re.compile(r"NODE_TLS_REJECT_UNAUTHORIZED['\"\]]{0,2}\s*=\s*['\"]?0"), "does not verify certificates"),
    (re.compile(r"--inspect(?:-brk)?(?:=0\.0\.0\.0)"), "lets a debugger in from outside"),
)
_SWAPS_IN_SCRIPTS = (
    (
        re.compile(r"process\.env\.\w*(?:DATABASE|DB|SUPABASE)\w*\s*(?:\|\||\?\?)\s*['\"`](?:sqlite:|:memory:|file:|memory:)"),
        "takes an embedded database where none was given",
    ),
    (
        re.compile(
            r"(?:NODE_ENV|APP_ENV|TESTING|VITEST|JEST_WORKER_ID)[^;{}\n]{0,60}\?[^;\n]{0,80}(?:sqlite|memory|mock|fake)",
            re.IGNORECASE,
        ),
        "takes another database in a test mode",
    ),
    (
        re.compile(
            r"catch\s*(?:\([^)]*\))?\s*\{[^{}]{0,300}(?:['\"`](?:sqlite:|:memory:)"
            r"|new\s+(?:InMemory|Memory|Mock|Fake)\w*(?:DB|Database|Store))",
            re.DOTALL,
        ),
        "takes another database when the first cannot be had",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftInCode:
    """`debugging` should not be released; `swaps` go to another database in silence."""

    files: int
    debugging: tuple[Spot, ...]
    swaps: tuple[Spot, ...]


def read(subject: Subject) -> LeftInCode:
    """Raises GateError when there is no source to look through, or it cannot be read."""
    debugging: list[Spot] = []
    swaps: list[Spot] = []
    files = 0
    for name, text in released_code(subject):
        files += 1
        if name.endswith(".py"):
            nodes = nodes_of(text, name)
            debugging += [Spot(file=name, line=line, what=what) for line, what in _debugging(nodes)]
            swaps += [Spot(file=name, line=line, what=what) for line, what in _swaps(nodes)]
        else:
            for patterns, found in ((_IN_SCRIPTS, debugging), (_SWAPS_IN_SCRIPTS, swaps)):
                for pattern, what in patterns:
                    found += [
                        Spot(file=name, line=text.count("\n", 0, match.start()) + 1, what=what)
                        for match in pattern.finditer(text)
                    ]
    return LeftInCode(files=files, debugging=tuple(debugging), swaps=tuple(swaps))


def _debugging(nodes: Sequence[ast.AST]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for name in names:
                if name.partition(".")[0] in _DEBUGGERS:
                    yield node.lineno, f"imports the debugger {name.partition('.')[0]}"
        elif isinstance(node, ast.Call):
            called = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else node.func.id
                if isinstance(node.func, ast.Name)
                else ""
            )
            if called == "breakpoint" and isinstance(node.func, ast.Name):
                yield node.lineno, "stops for a debugger"
            elif called == "_create_unverified_context":
                yield node.lineno, "does not verify certificates"
            for keyword in node.keywords:
                if not isinstance(keyword.value, ast.Constant) or keyword.arg not in _SWITCHES:
                    continue
                if keyword.value.value is not _SWITCHES[keyword.arg]:
                    continue
                if keyword.arg in ("verify", "verify_ssl", "check_hostname"):
                    yield node.lineno, "does not verify certificates"
                elif called in _SERVERS:
                    yield node.lineno, f"serves with {keyword.arg}=True"
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from ((node.lineno, what) for what in _set(target, node.value))


def _set(target: ast.expr, value: ast.expr | None) -> Iterator[str]:
    """`DEBUG: bool = True`, `app.debug = True`, `app.config["DEBUG"] = True`, `context.verify_mode = ssl.CERT_NONE`."""
    if isinstance(target, ast.Subscript):
        name = target.slice.value if isinstance(target.slice, ast.Constant) else ""
    else:
        name = target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""
    given = value.value if isinstance(value, ast.Constant) else value.attr if isinstance(value, ast.Attribute) else None
    if given is True and (name == "DEBUG" or (name == "debug" and isinstance(target, ast.Attribute))):
        yield f"has {name} = True"
    elif isinstance(target, ast.Attribute) and (
        (given is False and name in ("verify", "check_hostname")) or (name == "verify_mode" and given == "CERT_NONE")
    ):
        yield "does not verify certificates"


def _swaps(nodes: Sequence[ast.AST]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        if isinstance(node, ast.ExceptHandler):
            for line in _embedded(node.body):
                yield line, "takes another database when the first cannot be had"
        elif isinstance(node, ast.If | ast.IfExp) and _asks_for_a_test(node.test):
            for line in _embedded(node.body if isinstance(node.body, list) else [node.body]):
                yield line, "takes another database in a test mode"
        elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            for line in _embedded(node.values[1:]):
                yield line, "takes an embedded database where none was given"
        elif isinstance(node, ast.Call) and len(node.args) > 1:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            if (
                called in ("get", "getenv", "setdefault")
                and isinstance(first, ast.Constant)
                and re.search(r"DATABASE|DB_URL|SUPABASE", str(first.value))
            ):
                for line in _embedded(node.args[1:]):
                    yield line, "takes an embedded database where none was given"


def _asks_for_a_test(test: ast.expr) -> bool:
    for node in ast.walk(test):
        text = ""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.Name):
            text = node.id
        elif isinstance(node, ast.Attribute):
            text = node.attr
        if text and _TESTING.search(text.replace("_", " ")):
            return True
    return False


def _embedded(nodes: list[ast.stmt] | list[ast.expr]) -> Iterator[int]:
    for top in nodes:
        for node in ast.walk(top):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _EMBEDDED.search(node.value):
                yield node.lineno
