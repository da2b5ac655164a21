"""The catalogue of steps: every text that a scenario may use, in both languages, and how often it is used."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from features.expressions import parameter_types
from features.lint import BUILT_IN, look
from features.sources import DefinedStep

__all__ = ["FORMATS", "Entry", "catalogue", "render"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One step function. `kind` is given, when or then; `uses` counts the steps of scenarios that call it."""

    area: str
    kind: str
    texts: tuple[str, ...]
    documentation: str
    path: Path
    line: int
    uses: int


def catalogue(paths: Sequence[Path] = (), words: str = "") -> list[Entry]:
    """The built-in steps and those below the paths, by area and kind; only those that hold every one of the words.

    Uses are counted over the built-in scenarios and those below the paths. Raises UsageError for a path without feature files.
    """
    scene = look([BUILT_IN, *paths])
    # What is found does not matter here: looking is what counts the uses.
    list(scene.check_features())
    functions: dict[tuple[Path, int], list[DefinedStep]] = {}
    for step in scene.library.steps:
        functions.setdefault(step.owner, []).append(step)
    order = ("given", "when", "then", "")
    entries = [
        Entry(
            area=steps[0].path.stem,
            kind=steps[0].kind,
            texts=tuple(step.text for step in steps),
            documentation=steps[0].documentation,
            path=path,
            line=line,
            uses=scene.library.usage[path, line],
        )
        for (path, line), steps in functions.items()
    ]
    wanted = words.casefold().split()
    found = [entry for entry in entries if all(word in " ".join((*entry.texts, entry.area)).casefold() for word in wanted)]
    return sorted(found, key=lambda entry: (entry.area, order.index(entry.kind), entry.texts))


def render(entries: Sequence[Entry], form: str, folder: Path) -> str:
    """The catalogue as text, json, html or vscode (settings of the editor); paths relative to `folder`."""
    return FORMATS[form](entries, folder)


def _text(entries: Sequence[Entry], folder: Path) -> str:
    lines: list[str] = []
    area = ""
    for entry in entries:
        if entry.area != area:
            lines += ["", entry.area] if lines else [entry.area]
            area = entry.area
        first, *others = entry.texts
        lines.append(f"  {entry.kind.title():<5} {first}")
        lines += [f"        {other}" for other in others]
        times = "unused" if not entry.uses else "used once" if entry.uses == 1 else f"used {entry.uses} times"
        lines.append(f"          {_place(entry.path, folder)}:{entry.line}, {times}")
    return "\n".join([*lines, "", f"{len(entries)} steps"]) if entries else "no step has these words"


def _json(entries: Sequence[Entry], folder: Path) -> str:
    return json.dumps([asdict(entry) | {"path": _place(entry.path, folder)} for entry in entries], indent=2, ensure_ascii=False)


def _vscode(_: Sequence[Entry], folder: Path) -> str:
    """Settings for the official Cucumber extension: where steps and features are, and our parameter types."""
    library = _place(BUILT_IN / "steps", folder)
    own = [] if (BUILT_IN / "steps").is_relative_to(folder) and library == "features/steps" else [f"{library}/*.py"]
    settings = {
        "cucumber.features": ["**/*.feature"],
        "cucumber.glue": ["**/steps/*.py", *own],
        "cucumber.parameterTypes": [{"name": name, "regexp": regexp} for name, regexp in parameter_types().items()],
    }
    return json.dumps(settings, indent=2, ensure_ascii=False)


def _html(entries: Sequence[Entry], folder: Path) -> str:
    rows = "\n".join(
        f'<tr><td>{html.escape(entry.area)}</td><td class="{entry.kind}">{entry.kind.title()}</td><td>'
        + "<br>".join(_marked(text) for text in entry.texts)
        + (f"<p>{html.escape(entry.documentation)}</p>" if entry.documentation else "")
        + f"</td><td>{entry.uses}</td><td><code>{html.escape(_place(entry.path, folder))}:{entry.line}</code></td></tr>"
        for entry in entries
    )
    kinds = "\n".join(
        f"<tr><td><code>{{{html.escape(name)}}}</code></td><td><code>{html.escape(regexp)}</code></td></tr>"
        for name, regexp in parameter_types().items()
    )
    return _PAGE.format(rows=rows, kinds=kinds, count=len(entries))


def _marked(text: str) -> str:
    return html.escape(text).replace("{", "<var>{").replace("}", "}</var>")


def _place(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if folder in path.parents else Path(os.path.realpath(path)).as_posix()


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Steps</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif }}
body {{ max-width: 76rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #8884 }}
var {{ font-style: normal; color: #2a6fdb }}
p {{ margin: .3rem 0 0; opacity: .75 }}
input {{ font: inherit; width: 24rem; max-width: 100%; padding: .4rem .6rem }}
</style>
<h1>Steps</h1>
<p>{count} steps, in English and in Portuguese. A step of a scenario may be either text.</p>
<p><label>Search <input id="words" type="search" autofocus></label></p>
<table id="steps">
<thead><tr><th>Area<th>Kind<th>Text<th>Uses<th>Defined in</thead>
<tbody>
{rows}
</tbody>
</table>
<h2>Kinds of value</h2>
<table><tbody>
{kinds}
</tbody></table>
<script>
document.getElementById("words").addEventListener("input", event => {{
  const words = event.target.value.toLowerCase().split(/\\s+/)
  for (const row of document.querySelectorAll("#steps tbody tr"))
    row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word))
}})
</script>
</html>"""

FORMATS: Mapping[str, Callable[[Sequence[Entry], Path], str]] = {"text": _text, "json": _json, "html": _html, "vscode": _vscode}
