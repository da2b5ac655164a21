"""Splits an SQL script into its statements, as psql does, so that each can run and be timed by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["split"]

# What may hold a semicolon that ends nothing: texts, names, dollar-quoted bodies, comments.
_TOKEN = re.compile(
    r"""
    [eE]'(?:[^'\\]|\\.|'')*'          # E'…' with escapes
  | '(?:[^']|'')*'
  | "(?:[^"]|"")*"
  | (?<![\w$])\$(?P<tag>[A-Za-z_]\w*)?\$.*?\$(?P=tag)\$
  | (?<![\w$])\$\$.*?\$\$
  | --[^\n]*
  | /\*.*?\*/
  | ;
  | .
    """,
    re.DOTALL | re.VERBOSE,
)


def split(script: str) -> Iterator[str]:
    """Every statement without its semicolon; what is only comment or space is left out."""
    statement = ""
    for token in _TOKEN.finditer(script):
        if token[0] == ";":
            if _says_something(statement):
                yield statement.strip()
            statement = ""
        else:
            statement += token[0]
    if _says_something(statement):
        yield statement.strip()


def _says_something(statement: str) -> bool:
    return bool(re.sub(r"--[^\n]*|/\*.*?\*/", "", statement, flags=re.DOTALL).strip())
