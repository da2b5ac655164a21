"""Reads a verdict back out of each format, as a program would that knows the format and not golive's code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from xml.etree import ElementTree

__all__ = ["RED", "VERDICT_IN", "red"]


def _json(text: str) -> tuple[str, int]:
    verdict = json.loads(text)["verdict"]
    return verdict["decision"], verdict["exit_status"]


def _junit(text: str) -> tuple[str, int]:
    found = {item.get("name"): item.get("value", "") for item in ElementTree.fromstring(text).iter("property")}
    return str(found["decision"]), int(str(found["exit_status"]))


def _sarif(text: str) -> tuple[str, int]:
    run = json.loads(text)["runs"][0]
    return run["properties"]["decision"], run["invocations"][0]["exitCode"]


def _github(text: str) -> tuple[str, int]:
    found = re.match(r"::(?:error|notice) title=(GO|NO-GO|HOLD)::[^\n]*?\(exit status (\d)\)", text)
    assert found is not None
    return found[1], int(found[2])


def _summary(text: str) -> tuple[str, int]:
    decision = re.match(r"## \S+ (GO|NO-GO|HOLD)\n", text)
    status = re.search(r"\(exit status (\d)\\\)", text)
    assert decision is not None
    assert status is not None
    return decision[1], int(status[1])


def _gitlab(text: str) -> tuple[str, int]:
    verdicts = [entry for entry in json.loads(text) if entry["check_name"] == "golive.verdict"]
    if not verdicts:
        return "GO", 0
    found = re.match(r"(NO-GO|HOLD): .*\(exit status (\d)\)$", verdicts[0]["description"])
    assert found is not None
    return found[1], int(found[2])


def _tap(text: str) -> tuple[str, int]:
    decision = re.search(r"^(?:not )?ok \d+ - verdict (\S+)$", text, re.MULTILINE)
    status = re.search(r"^  exit_status: (\d)$", text, re.MULTILINE)
    assert decision is not None
    assert status is not None
    return decision[1], int(status[1])


def _text(text: str) -> tuple[str, int]:
    lines = text.splitlines()
    status = re.match(r"exit status (\d): ", lines[-2])
    assert status is not None
    return lines[-1], int(status[1])


VERDICT_IN: dict[str, Callable[[str], tuple[str, int]]] = {
    "json": _json,
    "junit": _junit,
    "sarif": _sarif,
    "github": _github,
    "github-summary": _summary,
    "gitlab": _gitlab,
    "tap": _tap,
    "text": _text,
}

# How a reader of the format sees by itself that something is wrong, without knowing the word of our decision.
RED: dict[str, Callable[[str], bool]] = {
    "json": lambda text: json.loads(text)["verdict"]["exit_status"] != 0,
    "junit": lambda text: bool(
        ElementTree.fromstring(text).findall(".//failure") + ElementTree.fromstring(text).findall(".//error")
    ),
    "sarif": lambda text: any(item["level"] == "error" for item in json.loads(text)["runs"][0]["results"]),
    "github": lambda text: "\n::error " in f"\n{text}",
    "github-summary": lambda text: "✅" not in text.splitlines()[0],
    "gitlab": lambda text: any(entry["severity"] != "info" for entry in json.loads(text)),
    "tap": lambda text: any(re.match(r"not ok (?!.*(?<!\\)# TODO)", line) for line in text.splitlines()),
    "text": lambda text: text.splitlines()[-1] != "GO",
}


def red(name: str, text: str) -> bool:
    return RED[name](text)
