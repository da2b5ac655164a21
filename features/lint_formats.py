"""What the lint found, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from features.lint import RULES, Finding, Report

__all__ = ["FORMATS", "render"]

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render(report: Report, form: str, folder: Path) -> str:
    """The report as text, json, sarif or github; paths relative to `folder` where they lie below it."""
    return FORMATS[form](report, folder)


def _text(report: Report, folder: Path) -> str:
    lines = []
    for item in report.findings:
        lines.append(f"{_place(item, folder)}:{item.line}: {item.rule}: {item.message}")
        lines += [f"    {line}" for line in item.hint.splitlines()]
    return "\n".join([*lines, summary(report)])


def summary(report: Report) -> str:
    """One line: how much was looked at, and how much is wrong."""
    looked = f"{_count(report.files, 'file')}, {_count(report.scenarios, 'scenario')}, {_count(report.steps, 'step')}"
    return f"{_count(len(report.findings), 'finding')} in {looked}" if report.findings else f"{looked}: nothing found"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _json(report: Report, folder: Path) -> str:
    document = {
        "files": report.files,
        "scenarios": report.scenarios,
        "steps": report.steps,
        "findings": [
            {"rule": item.rule, "path": _place(item, folder), "line": item.line, "message": item.message, "hint": item.hint}
            for item in report.findings
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _sarif(report: Report, folder: Path) -> str:
    rules = [{"id": rule, "shortDescription": {"text": text}} for rule, text in RULES.items()]
    results: list[dict[str, Any]] = [
        {
            "ruleId": item.rule,
            "ruleIndex": list(RULES).index(item.rule),
            "level": "error",
            "message": {"text": f"{item.message}\n{item.hint}".strip()},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": _place(item, folder)},
                        "region": {"startLine": item.line},
                    }
                }
            ],
        }
        for item in report.findings
    ]
    run = {
        "tool": {"driver": {"name": "golive lint", "informationUri": "https://pypi.org/project/golive/", "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _github(report: Report, folder: Path) -> str:
    """Workflow commands: GitHub shows them at the lines of a pull request."""
    lines = [
        f"::error file={_property(_place(item, folder))},line={item.line},title={_property(item.rule)}::"
        + _data(f"{item.message}\n{item.hint}".strip())
        for item in report.findings
    ]
    return "\n".join([*lines, summary(report)])


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _place(item: Finding, folder: Path) -> str:
    return (item.path.relative_to(folder) if folder in item.path.parents else item.path).as_posix()


FORMATS: Mapping[str, Callable[[Report, Path], str]] = {"text": _text, "json": _json, "sarif": _sarif, "github": _github}
