"""The settings of a deployment: names and values, with the values kept out of every message."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gate.errors import GateError
from gate.facts.subject import EnvironmentRules, Subject

__all__ = ["Environment", "documented", "parse_dotenv", "read"]

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """`values` are set, `documented` are the known names with their example values (empty for none).

    elsewhere: names that are set, with values that are not to be seen here. open_ended: what may set further names. written:
    names whose value stands in a manifest, for everybody who reads the repository. given: these are the settings of a
    deployment, and not those that a rehearsal made for itself.
    """

    values: Mapping[str, str] = field(repr=False)
    documented: Mapping[str, str] = field(default_factory=dict, repr=False)
    elsewhere: frozenset[str] = frozenset()
    open_ended: tuple[str, ...] = ()
    written: frozenset[str] = frozenset()
    rules: EnvironmentRules = field(default_factory=EnvironmentRules)
    given: bool = False

    def get(self, *names: str) -> str:
        """The value of the first of the names that is set and not blank, else an empty text."""
        return next((self.values[name].strip() for name in names if self.values.get(name, "").strip()), "")


def read(subject: Subject) -> Environment:
    """Raises GateError when the subject has no environment: what was not looked at is not fine."""
    values: dict[str, str] | None = None
    if subject.environment is not None:
        values = dict(subject.environment)
    elif subject.environment_file is not None:
        values = parse_dotenv(subject.environment_file)
    if subject.environment_manifest is None:
        if values is None:
            raise GateError("no settings of the deployment were given; name the file with them (--env-file, or environment.file)")
        return Environment(
            values=values,
            documented=documented(subject),
            rules=subject.environment_rules,
            given=subject.environment_file is not None or subject.environment_rules.process,
        )
    return _of_manifest(subject, subject.environment_manifest, values or {})


def documented(subject: Subject) -> dict[str, str]:
    """The documented settings with their example values. Raises GateError for a file of them that cannot be read."""
    found = dict(subject.example_environment)
    return found | parse_dotenv(subject.example_file, documents=True) if subject.example_file is not None else found


def _of_manifest(subject: Subject, path: Path, seen: Mapping[str, str]) -> Environment:
    """What the manifest sets; `seen` are the values that it may point at."""
    from gate.facts.manifests import parse

    manifest = parse(path, subject.environment_service)
    values: dict[str, str] = {}
    for file in manifest.files:
        values |= parse_dotenv(file)
    values |= manifest.values
    values |= {name: seen[name] for name in manifest.elsewhere if name in seen}
    if manifest.open_ended:
        values = {**seen, **values}
    return Environment(
        values=values,
        documented=documented(subject),
        elsewhere=manifest.elsewhere - values.keys(),
        open_ended=manifest.open_ended,
        written=frozenset(manifest.values),
        rules=subject.environment_rules,
        given=True,
    )


def parse_dotenv(path: Path, *, documents: bool = False) -> dict[str, str]:
    """Reads `NAME=value` lines. Raises GateError naming the line that cannot be understood, never its value.

    documents: the file explains the settings, so one may stand there a second time, or be commented out (`# NAME=value`).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise GateError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise GateError(f"{path}: cannot be read as text ({type(error).__name__})") from error
    return dict(_pairs(text, path, documents=documents))


def _pairs(text: str, path: Path, *, documents: bool) -> Iterator[tuple[str, str]]:
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.strip()
        if documents and (commented := re.fullmatch(r"#\s*([A-Z][A-Z0-9_]*=.*)", content)):
            content = commented[1]
        if not content or content.startswith("#"):
            continue
        found = _LINE.fullmatch(content)
        if not found:
            raise GateError(f"{path}, line {number}: not of the form NAME=value")
        name, value = found[1], found[2].strip()
        if name in seen and not documents:
            raise GateError(f"{path}, line {number}: {name} is set a second time, first on line {seen[name]}")
        seen[name] = number
        quoted = re.fullmatch(r"""(['"])(.*)\1(?:\s+#.*)?""", value)
        yield name, quoted[2] if quoted else re.sub(r"\s+#.*$", "", value)
