"""Feature files as they stand, with everything that a runner would pass over in silence."""

from __future__ import annotations

import functools
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
    """One feature file. `faults` are (rule, line, message) of what could not be read; then the rest is empty.

    `prose` are the lines of descriptions and `comments` those of comments, with their numbers: where scenarios disappear.
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
    faults: tuple[tuple[str, int, str], ...] = ()


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
    """Never raises for what is in the file. Raises StepError when it cannot be opened, or no reader of Gherkin is installed."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StepError(f"{path}: cannot be read ({error.strerror})") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        mark = "a byte order mark" if data.startswith(b"\xef") else "UTF-16"
        return FeatureFile(path=path, faults=(("encoding", 1, f"the file is in {mark}; save it as UTF-8 without one"),))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return FeatureFile(path=path, faults=(("encoding", line, "the file is not UTF-8; save it as UTF-8"),))
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
        faults = tuple(("not-gherkin", item.location["line"], _sentence(item)) for item in error.errors)
        return FeatureFile(path=path, faults=faults)
    except ParserException as error:
        return FeatureFile(path=path, faults=(("not-gherkin", error.location["line"], _sentence(error)),))
    comments = tuple((item["location"]["line"], item["text"].strip()) for item in document["comments"])
    feature = document.get("feature")
    if not feature:
        return FeatureFile(path=path, comments=comments, faults=(("empty-file", 1, "the file holds no feature"),))
    lines = text.splitlines()
    scenarios: list[ScenarioText] = []
    prose = [*_prose(feature, lines)]
    background: tuple[StepText, ...] = ()
    has_background = False
    for child in feature["children"]:
        if "background" in child:
            background, has_background = _steps(child["background"]), True
            prose += _prose(child["background"], lines)
        elif "scenario" in child:
            scenarios.append(_scenario(child["scenario"], background, ()))
            prose += _prose_of_scenario(child["scenario"], lines)
        else:
            rule, inherited = child["rule"], background
            prose += _prose(rule, lines)
            for inner in rule["children"]:
                if "background" in inner:
                    inherited, has_background = (*background, *_steps(inner["background"])), True
                    prose += _prose(inner["background"], lines)
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
    )


def _sentence(error: Exception) -> str:
    """What the parser says, without its list of tokens and without the place, which is told apart."""
    said = str(error).partition("): ")[2] or str(error)
    if "got '" in said:
        return f"not Gherkin: {said[said.index('got ') :].replace('got', 'unexpected', 1)}"
    return f"not Gherkin: {said}"


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
