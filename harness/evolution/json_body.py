"""A body that is no JSON, and what the real server says of it: the words of V8's parser, as release 20 of Node has them."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["read_json"]

# Characters on either side that V8 quotes; what is not longer than both together is quoted whole.
_CONTEXT = 10
# As Python's parser says it, and as V8 does. Python tells what it expects, and where, by the same grammar.
_WORDS = (
    (r"Unterminated string", "Unterminated string in JSON at position {}"),
    (r"Invalid control character", "Bad control character in string literal in JSON at position {}"),
    (r"Extra data", "Unexpected non-whitespace character after JSON at position {}"),
)


class _NotJsonError(ValueError):
    """A word that Python's parser knows and JSON does not."""


def read_json(data: bytes) -> tuple[Any, str]:
    """The object or list, or an empty object and why it is none. Bytes that are no UTF-8 are replaced, as there."""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    start = re.search(r"[^ \t\n\r]", text)
    if start is None:
        return {}, "Unexpected end of JSON input"
    if start[0] not in "{[":
        return {}, _quoted(text, start.start())
    try:
        return json.loads(text, parse_constant=_refuse), ""
    except json.JSONDecodeError as error:
        return {}, _in_other_words(text, error)
    except _NotJsonError as error:
        return {}, _unexpected(text, text.index(str(error)))


def _refuse(word: str) -> Any:
    raise _NotJsonError(word)


def _in_other_words(text: str, error: json.JSONDecodeError) -> str:
    place = error.pos
    if "property name" in error.msg or "trailing comma before end of object" in error.msg:
        before = text[:place].rstrip()
        if "trailing comma" in error.msg:
            place = text.index("}", place)
        comma = before.endswith(",") or "trailing comma" in error.msg
        words = "Expected double-quoted property name" if comma else "Expected property name or '}'"
        return f"{words} in JSON at position {place}"
    if "trailing comma before end of array" in error.msg:
        return _unexpected(text, text.index("]", place))
    if "':' delimiter" in error.msg:
        first = re.search(r'\{[ \t\n\r]*"(?:[^"\\]|\\.)*"[ \t\n\r]*\Z', text[:place])
        return f"Expected ':' after property name in JSON at position {place}" if first else _token(text, place)
    if error.msg.startswith("Invalid \\u"):
        digits = re.compile(r"[0-9A-Fa-f]{0,4}").match(text, text.index("u", place) + 1)
        end = digits.end() if digits else place
        whole = digits is not None and len(digits[0]) == 4
        return f"{'Unterminated string' if whole else 'Bad Unicode escape'} in JSON at position {end}"
    if "Unterminated" in error.msg and re.search(r"(?<!\\)(?:\\\\)*\\\Z", text):
        return "Unexpected end of JSON input"
    if error.msg.startswith("Invalid \\escape"):
        return f"Bad escaped character in JSON at position {place + 1}"
    if "',' delimiter" in error.msg and (words := _number_gone_wrong(text, place)):
        return words
    if "',' delimiter" in error.msg:
        words = "',' or ']' after array element" if _within_array(text, place) else "',' or '}' after property value"
        return f"Expected {words} in JSON at position {place}"
    for pattern, words in _WORDS:
        if re.match(pattern, error.msg):
            # Python names the place where the string began, V8 the one where it should have ended.
            return words.format(len(text) if "Unterminated" in error.msg else place)
    return _unexpected(text, place)


def _within_array(text: str, place: int) -> bool:
    """Whether the innermost thing that is open at this place is a list."""
    still_open: list[str] = []
    for found in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text[:place]):
        if found[0] in "[{":
            still_open.append(found[0])
        elif found[0] in "]}" and still_open:
            still_open.pop()
    return still_open[-1:] == ["["]


def _number_gone_wrong(text: str, place: int) -> str:
    """Python takes the beginning of such a number for a whole one."""
    if text[place - 1 : place] == "0" and text[place : place + 1].isdigit():
        return f"Unexpected number in JSON at position {place}"
    if text[place - 1 : place].isdigit() and (found := re.compile(r"(\.)(?!\d)|([eE][+-]?)(?!\d)").match(text, place)):
        words = "Unterminated fractional number" if found[1] else "Exponent part is missing a number"
        return f"{words} in JSON at position {found.end()}"
    return ""


def _unexpected(text: str, place: int) -> str:
    """Where a value should begin."""
    place += len(text[place:]) - len(text[place:].lstrip(" \t\n\r"))
    if re.compile(r"-(?!\d)").match(text, place):
        return f"No number after minus sign in JSON at position {place + 1}"
    word = next((word for word in ("true", "false", "null") if text.startswith(word[0], place)), "")
    # The parser stumbles where a word that it knows goes on otherwise.
    alike = next((length for length in range(len(word), 0, -1) if text.startswith(word[:length], place)), 0)
    return _token(text, place + alike)


def _token(text: str, place: int) -> str:
    if place == len(text):
        return "Unexpected end of JSON input"
    if text[place].isdigit() or text[place] == "-":
        return f"Unexpected number in JSON at position {place}"
    if text[place] == '"':
        return f"Unexpected string in JSON at position {place}"
    return _quoted(text, place)


def _quoted(text: str, place: int) -> str:
    shown = f'"{text}"'
    if len(text) > 2 * _CONTEXT:
        before, after = place >= _CONTEXT, place < len(text) - _CONTEXT
        part = text[place - _CONTEXT if before else 0 : place + _CONTEXT if after else len(text)]
        shown = f'{"..." if before else ""}"{part}"{"..." if after else ""}'
    return f"Unexpected token '{text[place]}', {shown} is not valid JSON"
