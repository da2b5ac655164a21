"""The settings of a deployment: names and values, with the values kept out of every message."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gate.errors import GateError
from gate.facts.subject import Subject

__all__ = ["Environment", "parse_dotenv", "read"]

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """`values` are set, `documented` are the known names with their example values (empty for none)."""

    values: Mapping[str, str] = field(repr=False)
    documented: Mapping[str, str] = field(default_factory=dict, repr=False)

    def get(self, *names: str) -> str:
        """The value of the first of the names that is set and not blank, else an empty text."""
        return next((self.values[name].strip() for name in names if self.values.get(name, "").strip()), "")


def read(subject: Subject) -> Environment:
    """Raises GateError when the subject has no environment: what was not looked at is not fine."""
    if subject.environment is None:
        raise GateError("no settings of the deployment were given; name the file with them (--env-file, or environment.file)")
    return Environment(values=dict(subject.environment), documented=dict(subject.example_environment))


def parse_dotenv(path: Path) -> dict[str, str]:
    """Reads `NAME=value` lines. Raises GateError naming the line that cannot be understood, never its value."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise GateError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise GateError(f"{path}: cannot be read as text ({type(error).__name__})") from error
    return dict(_pairs(text, path))


def _pairs(text: str, path: Path) -> Iterator[tuple[str, str]]:
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        found = _LINE.fullmatch(content)
        if not found:
            raise GateError(f"{path}, line {number}: not of the form NAME=value")
        name, value = found[1], found[2].strip()
        if name in seen:
            raise GateError(f"{path}, line {number}: {name} is set a second time, first on line {seen[name]}")
        seen[name] = number
        quoted = re.fullmatch(r"""(['"])(.*)\1(?:\s+#.*)?""", value)
        yield name, quoted[2] if quoted else re.sub(r"\s+#.*$", "", value)
