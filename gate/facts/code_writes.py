"""Which columns the released code writes: in SQL, through SQLAlchemy (statements and models), through the client of Supabase."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gate.facts.code import nodes_of, released_code
from gate.facts.subject import Subject

__all__ = ["CodeWrites", "Write", "read"]

_NAME = r'(?:(?:"?[a-z_]\w*"?)\.)?"?([a-z_]\w*)"?'
_INSERT = re.compile(rf"\bINSERT\s+INTO\s+{_NAME}(?:\s+AS\s+\w+)?\s*\(([^()]*)\)", re.IGNORECASE)
_UPDATE = re.compile(
    rf"\bUPDATE\s+(?:ONLY\s+)?{_NAME}(?:\s+(?:AS\s+)?(?!SET\b)\w+)?\s+SET\s+(.*?)(?=\bWHERE\b|\bRETURNING\b|\bFROM\b|;|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_CREATED = re.compile(rf"\bCREATE\s+(?:TEMP(?:ORARY)?\s+|UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}", re.IGNORECASE)
_ASSIGNED = re.compile(r'(?:\A|,)\s*"?([a-z_]\w*)"?\s*=', re.IGNORECASE)
_COLUMN = re.compile(r'"?([a-z_]\w*)"?', re.IGNORECASE)
_CLIENT = re.compile(r"\.from\(\s*['\"`](\w+)['\"`]\s*\)\s*\.(?:insert|update|upsert)\(\s*\[?\s*\{", re.DOTALL)
_KEY = re.compile(r"\s*(?:['\"]?([A-Za-z_]\w*)['\"]?\s*(?=[:,}])|\.\.\.[\w.]+)")
_PLACE = "\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One column that a statement writes. `sure` that the name is a table's: it stands in SQL."""

    file: str
    line: int
    table: str
    column: str
    sure: bool

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeWrites:
    """`created` are tables that the code makes for itself."""

    files: int
    writes: tuple[Write, ...]
    created: frozenset[str]


def read(subject: Subject) -> CodeWrites:
    """Raises GateError when there is no source to look through, or it cannot be read."""
    writes: list[Write] = []
    created: set[str] = set()
    files = 0
    for name, text in released_code(subject):
        files += 1
        found = _in_python(nodes_of(text, name)) if name.endswith(".py") else _in_script(text)
        for line, table, column, sure in found:
            if column:
                writes.append(Write(file=name, line=line, table=table.lower(), column=column, sure=sure))
            else:
                created.add(table.lower())
    return CodeWrites(files=files, writes=tuple(dict.fromkeys(writes)), created=frozenset(created))


_Found = tuple[int, str, str, bool]


def _in_python(nodes: Sequence[ast.AST]) -> Iterator[_Found]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _in_sql(node.value, node.lineno)
        elif isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else _PLACE for part in node.values]
            yield from _in_sql("".join(str(part) for part in parts), node.lineno)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values":
            table = _written_table(node.func.value)
            if table:
                yield from ((node.lineno, table, name, False) for name in _given(node))
        elif isinstance(node, ast.ClassDef):
            yield from _mapped(node)
        elif isinstance(node, ast.Call) and _last(node.func) == "Table" and not any(one.arg == "schema" for one in node.keywords):
            table = _text(node.args[0]) if node.args else ""
            for argument in node.args[1:] if table else ():
                if (
                    isinstance(argument, ast.Call)
                    and _last(argument.func) == "Column"
                    and argument.args
                    and (name := _text(argument.args[0]))
                ):
                    yield argument.lineno, table, name, True


def _mapped(node: ast.ClassDef) -> Iterator[_Found]:
    """Of a model with `__tablename__`: every attribute that is a column, by the column's own name where it has another."""
    fields = [
        (target.id, field)
        for field in node.body
        if isinstance(field, ast.Assign | ast.AnnAssign)
        for target in (field.targets if isinstance(field, ast.Assign) else [field.target])
        if isinstance(target, ast.Name)
    ]
    table = next((_text(field.value) for name, field in fields if name == "__tablename__" and field.value), "")
    if not table or any(name == "__table_args__" and "'schema'" in ast.dump(field) for name, field in fields):
        return
    for name, field in fields:
        value = field.value
        if isinstance(value, ast.Call) and _last(value.func) in ("Column", "mapped_column"):
            yield field.lineno, table, (_text(value.args[0]) if value.args else "") or name, True
        elif (
            value is None
            and isinstance(field, ast.AnnAssign)
            and ast.unparse(field.annotation).startswith(("Mapped[", "orm.Mapped["))
        ):
            yield field.lineno, table, name, True


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _written_table(node: ast.expr) -> str:
    """`insert(messages)`, `sa.update(schema.messages).where(…)`, `messages.insert()`."""
    while isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
        if "insert" in name or "update" in name or "upsert" in name:
            if node.args:
                return _last(node.args[0])
            return _last(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if not isinstance(node.func, ast.Attribute):
            return ""
        node = node.func.value
    return ""


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _given(call: ast.Call) -> Iterator[str]:
    yield from (keyword.arg for keyword in call.keywords if keyword.arg)
    for argument in call.args:
        for element in argument.elts if isinstance(argument, ast.List | ast.Tuple) else [argument]:
            if isinstance(element, ast.Dict):
                yield from (key.value for key in element.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


def _in_sql(text: str, line: int) -> Iterator[_Found]:
    for insert in _INSERT.finditer(text):
        for column in insert[2].split(","):
            found = _COLUMN.fullmatch(column.strip())
            if found:
                yield line + text.count("\n", 0, insert.start()), insert[1], found[1], True
    for update in _UPDATE.finditer(text):
        # What stands in quotes or parentheses is a value.
        changes = re.sub(r"'(?:[^']|'')*'", "''", update[2])
        while (flat := re.sub(r"\([^()]*\)", "", changes)) != changes:
            changes = flat
        for assigned in _ASSIGNED.finditer(changes):
            yield line + text.count("\n", 0, update.start()), update[1], assigned[1], True
    for made in _CREATED.finditer(text):
        yield line, made[1], "", True


def _in_script(text: str) -> Iterator[_Found]:
    yield from _in_sql(text, 1)
    for call in _CLIENT.finditer(text):
        line, place = text.count("\n", 0, call.start()) + 1, call.end()
        while key := _KEY.match(text, place):
            if key[1]:
                yield line, call[1], key[1], True
            place = _after_value(text, key.end())
            if place >= len(text) or text[place] == "}":
                break
            place += 1


def _after_value(text: str, place: int) -> int:
    """Where the value that begins here ends: at the comma or the bracket that closes the object."""
    depth = 0
    quote = ""
    while place < len(text):
        character = text[place]
        if quote:
            if character == "\\":
                place += 1
            elif character == quote:
                quote = ""
        elif character in "'\"`":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            if depth == 0:
                return place
            depth -= 1
        elif character == "," and depth == 0:
            return place
        place += 1
    return place
