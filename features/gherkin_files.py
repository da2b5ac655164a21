"""Feature files as they stand, with everything that a runner would pass over in silence."""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from features.expressions import StepError

__all__ = ["Examples", "FeatureFile", "ScenarioText", "StepText", "keep_documents", "keywords", "read_feature_file"]

_KINDS = {"Context": "given", "Action": "when", "Outcome": "then"}
_SECTIONS = ("feature", "background", "rule", "scenario", "scenarioOutline", "examples")
_STEPS = ("given", "when", "then", "and", "but")
_WRITE_OR_REMOVE = "write it or remove it"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepText:
    """One step as written; `kind` is given, when or then, inherited by And and But, empty where there is nothing to inherit."""

    kind: str
    keyword: str
    text: str
    line: int
    has_table: bool
    has_text: bool
    placeholders_elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """One table of examples."""

    line: int
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioText:
    """One scenario or outline; `tags` are its own with their lines, `background` the steps that run before its own."""

    name: str
    line: int
    is_outline: bool
    tags: tuple[tuple[str, int], ...]
    steps: tuple[StepText, ...]
    background: tuple[StepText, ...]
    examples: tuple[Examples, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFile:
    """One feature file. `faults` are (rule, line, message, what to do) of what could not be read; then the rest is empty.

    `prose` are the lines of descriptions and `comments` those of comments, with their numbers: where scenarios disappear.
    `hollow` are the lines of backgrounds and rules with nothing in them, each with its word.
    """

    path: Path
    language: str = "en"
    name: str = ""
    line: int = 1
    tags: tuple[tuple[str, int], ...] = ()
    scenarios: tuple[ScenarioText, ...] = ()
    has_background: bool = False
    background: tuple[StepText, ...] = ()
    prose: tuple[tuple[int, str], ...] = ()
    comments: tuple[tuple[int, str], ...] = ()
    hollow: tuple[tuple[int, str], ...] = ()
    faults: tuple[tuple[str, int, str, str], ...] = ()


_documents: dict[str, Any] = {}


def keep_documents(module: ModuleType) -> None:
    """Lets a module that reads feature files by `Parser().parse(text)` put down what it read, so that nothing is read twice."""
    ordinary = module.Parser
    if hasattr(ordinary, "keeps_documents"):
        return

    class Keeping(ordinary):  # type: ignore[misc, valid-type]
        keeps_documents = True

        def parse(self, text: Any, *more: Any) -> Any:
            document = super().parse(text, *more)
            if isinstance(text, str):
                _documents[text] = document
            return document

    module.Parser = Keeping  # type: ignore[attr-defined]


def read_feature_file(path: Path) -> FeatureFile:
    """Never raises for what is in the file. Raises StepError when no reader of Gherkin is installed."""
    try:
        data = path.read_bytes()
    except OSError as error:
        said = f"it cannot be read ({error.strerror})"
        return FeatureFile(path=path, faults=(("unreadable", 1, said, "rename or remove it"),))
    line, wrong = 1, ""
    if data.startswith(b"\xef\xbb\xbf"):
        wrong = "the file begins with a byte order mark"
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        wrong = "the file is not UTF-8 but UTF-16, or no text"
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, wrong = data.count(b"\n", 0, error.start) + 1, wrong or "the file is not UTF-8"
    if wrong:
        return FeatureFile(path=path, faults=(("encoding", line, wrong, "save it as UTF-8 without a byte order mark"),))
    return _read(path, text)


@functools.cache
def keywords(language: str) -> tuple[frozenset[str], frozenset[str]]:
    """The words of a language that open a section (`Scenario`) and a step (`Given `)."""
    from gherkin.dialect import Dialect

    dialect: Any = Dialect.for_name(language)
    sections = {word for name in _SECTIONS for word in _words(dialect, name)}
    return frozenset(sections), frozenset(word for name in _STEPS for word in _words(dialect, name) if word.strip() != "*")


def _words(dialect: Any, name: str) -> Sequence[str]:
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return tuple(getattr(dialect, f"{snake}_keywords"))


def _read(path: Path, text: str) -> FeatureFile:
    try:
        from gherkin.errors import CompositeParserException, ParserException
        from gherkin.parser import Parser
    except ModuleNotFoundError as error:
        raise StepError(f"{error.name} is not installed, feature files cannot be read; pip install 'golive[scenarios]'") from None
    try:
        document: Any = _documents.get(text) or Parser().parse(text)
    except CompositeParserException as error:
        return FeatureFile(path=path, faults=tuple(_faults(error.errors, text)))
    except ParserException as error:
        return FeatureFile(path=path, faults=tuple(_faults([error], text)))
    comments = tuple((item["location"]["line"], item["text"].strip()) for item in document["comments"])
    feature = document.get("feature")
    if not feature:
        return FeatureFile(
            path=path, comments=comments, faults=(("empty-file", 1, "the file holds no feature", _WRITE_OR_REMOVE),)
        )
    # As the reader of Gherkin counts them: other ends of lines are part of a line.
    lines = text.split("\n")
    scenarios: list[ScenarioText] = []
    prose = [*_prose(feature, lines)]
    background: tuple[StepText, ...] = ()
    has_background = False
    hollow: list[tuple[int, str]] = []
    for child in feature["children"]:
        if "background" in child:
            background, has_background = _steps(child["background"]), True
            prose += _prose(child["background"], lines)
            hollow += [] if child["background"]["steps"] else [_place(child["background"])]
        elif "scenario" in child:
            scenarios.append(_scenario(child["scenario"], background, ()))
            prose += _prose_of_scenario(child["scenario"], lines)
        else:
            rule, inherited = child["rule"], background
            prose += _prose(rule, lines)
            hollow += [] if any("scenario" in inner for inner in rule["children"]) else [_place(rule)]
            for inner in rule["children"]:
                if "background" in inner:
                    inherited, has_background = (*background, *_steps(inner["background"])), True
                    prose += _prose(inner["background"], lines)
                    hollow += [] if inner["background"]["steps"] else [_place(inner["background"])]
                else:
                    scenarios.append(_scenario(inner["scenario"], inherited, _tags(rule)))
                    prose += _prose_of_scenario(inner["scenario"], lines)
    return FeatureFile(
        path=path,
        language=feature["language"],
        name=feature["name"],
        line=feature["location"]["line"],
        tags=_tags(feature),
        scenarios=tuple(scenarios),
        has_background=has_background,
        background=background,
        prose=tuple(prose),
        comments=comments,
        hollow=tuple(hollow),
    )


def _place(node: Mapping[str, Any]) -> tuple[int, str]:
    return node["location"]["line"], node["keyword"]


def _faults(errors: Sequence[Any], text: str) -> Iterator[tuple[str, int, str, str]]:
    """What could not be read: of the lines that nothing can be made of the first, for the others mostly follow from it."""
    lines = text.split("\n")
    unknown = [error for error in errors if "Language not supported" in str(error)]
    errors = unknown or errors
    lost = [error for error in errors if "got '" in str(error) or "unexpected end of file" in str(error)]
    for error in errors:
        if error in lost[1:]:
            continue
        number = error.location["line"]
        line = lines[number - 1].strip() if number <= len(lines) else ""
        said = str(error).partition("): ")[2] or str(error)
        if error in lost:
            more = f", nor of {len(lost) - 1} more" if len(lost) > 1 else ""
            said = f"nothing can be made of {line!r}{more}" if "got '" in said else "the file ends in the middle"
        yield "not-gherkin", number, f"not Gherkin: {said}", _remedy(said, line, lines)


def _remedy(said: str, line: str, lines: Sequence[str]) -> str:
    """What whoever wrote the line most likely meant."""
    found = re.match(r"\s*#\s*language\s*:\s*([\w-]+)", lines[0]) if lines else None
    language = found[1] if found else "en"
    if said.startswith("Language not supported"):
        near = difflib.get_close_matches(language, _languages(), n=1) or [language.partition("-")[0]]
        return f"did you mean # language: {near[0]}?" if near[0] in _languages() else "as # language: pt"
    if said.startswith("A tag may not"):
        return "tags begin with @ and hold no blank: @id:some-words @critical"
    if "inconsistent cell count" in said:
        return "every row of a table has as many cells as its first; a | in a cell is written \\|"
    if said == "the file ends in the middle":
        texts = sum(other.strip().startswith(('"""', "```")) for other in lines)
        return 'close the text with """' if texts % 2 else _WRITE_OR_REMOVE
    sections, steps = keywords(language)
    composed = unicodedata.normalize("NFC", line)
    head = composed.partition(":")[0].strip() if ":" in composed else ""
    if composed != line and (head in sections or composed.startswith(tuple(steps))):
        return "its accents are signs of their own, as some systems write them: type the line anew"
    if head in sections:
        return f"{head}: cannot stand here: a file has one feature, and a background stands before the first scenario"
    if composed.startswith(tuple(steps)):
        return "a step cannot stand here: steps follow the line of their scenario, whose tags stand above it"
    for other in (language, "pt", "en", "es"):
        sections_there, steps_there = keywords(other)
        if other != language and (head in sections_there or composed.startswith(tuple(steps_there))):
            return f"the keyword is of another language: the first line of the file says which, as # language: {other}"
        if any(composed == word or composed.startswith(f"{word} ") for word in sections_there):
            return "write a colon after the keyword"
        if any(composed.lower().startswith(word.lower()) for word in (*steps_there, *(f"{word}:" for word in sections_there))):
            return "keywords begin with a capital letter"
    near = difflib.get_close_matches(head or composed.partition(" ")[0], [*sections, *(step.strip() for step in steps)], n=1)
    return f"did you mean {near[0]}?" if near else "a step begins with a keyword and is one line; # begins a comment"


@functools.cache
def _languages() -> tuple[str, ...]:
    from gherkin.dialect import DIALECTS

    return tuple(DIALECTS)


def _tags(node: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    return tuple((tag["name"], tag["location"]["line"]) for tag in node.get("tags", ()))


def _steps(node: Mapping[str, Any]) -> tuple[StepText, ...]:
    steps, kind = [], ""
    for step in node["steps"]:
        kind = _KINDS.get(step["keywordType"], kind)
        inside = [cell["value"] for row in step.get("dataTable", {}).get("rows", ()) for cell in row["cells"]]
        inside += [step["docString"]["content"]] if "docString" in step else []
        steps.append(
            StepText(
                kind=kind,
                keyword=step["keyword"].strip(),
                text=step["text"],
                line=step["location"]["line"],
                has_table="dataTable" in step,
                has_text="docString" in step,
                placeholders_elsewhere=tuple(inside),
            )
        )
    return tuple(steps)


def _scenario(node: Mapping[str, Any], background: tuple[StepText, ...], inherited: tuple[tuple[str, int], ...]) -> ScenarioText:
    examples = tuple(
        Examples(
            line=item["location"]["line"],
            columns=tuple(cell["value"] for cell in item.get("tableHeader", {}).get("cells", ())),
            rows=tuple(tuple(cell["value"] for cell in row["cells"]) for row in item.get("tableBody", ())),
        )
        for item in node["examples"]
    )
    of_examples = tuple(tag for item in node["examples"] for tag in _tags(item))
    return ScenarioText(
        name=node["name"],
        line=node["location"]["line"],
        is_outline=bool(examples) or node["keyword"] in _outlines(),
        tags=(*inherited, *_tags(node), *of_examples),
        steps=_steps(node),
        background=background,
        examples=examples,
    )


@functools.cache
def _outlines() -> frozenset[str]:
    from gherkin.dialect import DIALECTS

    plain = {word for dialect in DIALECTS.values() for word in dialect["scenario"]}
    return frozenset(word for dialect in DIALECTS.values() for word in dialect["scenarioOutline"]) - plain


def _prose_of_scenario(node: Mapping[str, Any], lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    yield from _prose(node, lines)
    for item in node["examples"]:
        yield from _prose(item, lines)


def _prose(node: Mapping[str, Any], lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    wanted = [line.strip() for line in node.get("description", "").splitlines() if line.strip()]
    number = node["location"]["line"]
    for text in wanted:
        while number < len(lines) and lines[number].strip() != text:
            number += 1
        number += 1
        yield number, text
