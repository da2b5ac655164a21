"""`golive init`: looks at what is in a directory, and writes the `golive.toml` that describes it.

Only names are read from settings, never values, and no address of a database is written. Nothing is written before everything
that was asked for has been looked at, and nothing that is there is replaced without being told to.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gate.documents import schema_text
from gate.errors import GateError, UsageError
from gate.facts.git import git
from gate.journal import write_atomically
from gate.release import FILE

if TYPE_CHECKING:
    from gate.facts.expected import ExpectedSchema

__all__ = ["EXPECTED_FILE", "SCHEMA_FILE", "Found", "init", "look", "render"]

SCHEMA_FILE = "golive.schema.json"
EXPECTED_FILE = "golive.expected.toml"
# More than this of a repository is not walked through: what is looked for lies near its top.
MOST_ENTRIES = 50_000
DEEPEST = 6
_PASSED_BY = {
    "node_modules", "__pycache__", "site-packages", "venv", "env", "dist", "build", "target", "vendor", "tests", "test", "docs",
    "coverage", "bower_components", "Pods", "obj", "bin",
}  # fmt: skip
_CODE = {".py", ".js", ".cjs", ".mjs", ".ts", ".go", ".rb", ".java", ".kt", ".php", ".cs", ".rs", ".ex", ".exs"}
_EXAMPLES = (".env.example", ".env.sample", ".env.template", "env.example", ".env.dist", "example.env")
_SETTINGS = (".env.production", "production.env")
# Name of the platform by the file that describes a deployment there.
_MANIFESTS = {
    "render.yaml": "render", "render.yml": "render", "railway.toml": "railway", "railway.json": "railway",
    "vercel.json": "vercel",
    "compose.yaml": "docker-compose", "compose.yml": "docker-compose",
    "docker-compose.yaml": "docker-compose", "docker-compose.yml": "docker-compose",
}  # fmt: skip
_APPLICATION = re.compile(r"^(\w+)(?:\s*:[^=\n]+)?\s*=\s*(?:fastapi\.)?(?:FastAPI|Starlette)\(", re.MULTILINE)
_KEPT_FROM_SEED = {"schema.as-expected", "schema.not-empty"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a directory holds; paths are relative to it. `tables` counts those of an expected schema that was drafted.

    speaks_seed: the database has the tables of the WhatsApp integration, so all of its checks apply.
    """

    name: str
    version: str = ""
    git: bool = False
    commits: str = ""
    sources: tuple[str, ...] = ()
    import_path: tuple[str, ...] = ()
    python: bool = False
    application: str = ""
    example: str = ""
    settings: str = ""
    manifest: str = ""
    platform: str = ""
    migration: str = ""
    baseline: str = ""
    features: str = ""
    tables: int | None = None
    speaks_seed: bool = True
    notes: tuple[str, ...] = field(default=())


def init(
    directory: Path, *, database_url: str = "", schema: str = "public", name: str = "", force: bool = False
) -> tuple[Found, list[Path]]:
    """Writes `golive.toml` and its schema, and the expected schema when a database is given; says what was found and written.

    Raises UsageError when a file is there already, and GateError when the database cannot be read; then nothing was written.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory}: no such directory")
    targets = [directory / FILE, directory / SCHEMA_FILE, *([directory / EXPECTED_FILE] if database_url else [])]
    there = [path.name for path in targets if path.exists() or path.is_symlink()]
    if there and not force:
        raise UsageError(f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already; --force replaces what is there")
    expected = _draft(database_url, schema) if database_url else None
    found = look(directory, name=name, expected=expected)
    texts = {FILE: render(found, drafted=expected is not None), SCHEMA_FILE: schema_text("golive")}
    if expected is not None:
        from gate.facts.expected import render as render_expected

        texts[EXPECTED_FILE] = (
            "# Drafted from the database by `golive init`: what it held that day. Read it before you rely on it.\n"
            + render_expected(expected)
        )
    for file, text in texts.items():
        write_atomically(directory / file, text)
    return found, [directory / file for file in texts]


def look(directory: Path, *, name: str = "", expected: ExpectedSchema | None = None) -> Found:
    """What the directory holds."""
    files = list(_walk(directory))
    names = set(files)
    project, version = _project(directory)
    git = _git(directory, "rev-parse", "--show-toplevel") != ""
    tag = _git(directory, "describe", "--tags", "--abbrev=0") if git else ""
    sources, import_path, python = _sources(files)
    manifest = next((item for item in _MANIFESTS if item in names), "") or _kubernetes(directory, files)
    migration, baseline = _migration(files)
    return Found(
        name=name or project or directory.absolute().name or "release",
        version=version or tag.removeprefix("v"),
        git=git,
        commits=f"{tag}..HEAD" if tag else "",
        sources=sources,
        import_path=import_path,
        python=python,
        application=_application(directory, files, import_path),
        example=next((item for item in _EXAMPLES if item in names), ""),
        settings=next((item for item in _SETTINGS if item in names), ""),
        manifest=manifest,
        platform=_MANIFESTS.get(manifest, "kubernetes" if manifest else ""),
        migration=migration,
        baseline=baseline,
        features=next((os.path.dirname(item) or "." for item in files if item.endswith(".feature")), ""),  # noqa: PTH120
        tables=len(expected.tables) if expected is not None else None,
        speaks_seed=expected is None or {"unit_whatsapp_connections", "messages"} <= set(expected.tables),
        notes=(f"only the first {MOST_ENTRIES} files were looked at",) if len(files) >= MOST_ENTRIES else (),
    )


def render(found: Found, *, drafted: bool) -> str:
    """The text of `golive.toml`."""
    return "\n".join([*_head(found), *_places(found, drafted=drafted), *_demands(found, drafted=drafted)]) + "\n"


def _head(found: Found) -> Iterator[str]:
    yield f"#:schema ./{SCHEMA_FILE}"
    yield "# What is released, where `golive gate` finds it, and which answers it must have. Paths are relative to this file."
    yield "schema_version = 1"
    yield ""
    yield "[release]"
    yield f"name = {_q(found.name)}"
    yield _line("version", found.version, '"1.0.0"')
    yield _line(
        "commits", found.commits, '"v1.0.0..HEAD"', "the release's commits, for secrets in its history and for the revert"
    )
    yield _line("artefacts", "", '["dist/*.whl"]', "built packages")
    yield ""
    yield "[repository]"
    yield 'path = "."'
    yield f"source = {_list(found.sources)}" if found.sources else '# source = ["src"]  # folders whose code is released'
    yield f"import_path = {_list(found.import_path)}" if found.import_path else '# import_path = ["src"]'
    yield _line("features", found.features, '"features"', "folder with .feature files")


def _places(found: Found, *, drafted: bool) -> Iterator[str]:
    yield ""
    yield "[database]"
    yield 'url_from = "DATABASE_URL"  # the variable that holds the URL; a Supabase project gives a Postgres URL'
    yield '# scratch_from = "GOLIVE_SCRATCH_URL"  # a Postgres server on which throw-away databases may be made'
    if drafted:
        yield f"expected = {_q(EXPECTED_FILE)}"
    else:
        yield 'expected = "seed"  # the shipped one; `golive init --database URL --force` drafts one from a database'
    yield '# datastore = "app.store:open_store"  # the application\'s own, for what an upsert does: see docs/release.md'
    yield _line(
        "migration", found.migration, '"migrations/release.sql"', "takes the schema from before the release to the one after"
    )
    yield _line("baseline", found.baseline, '"migrations/before.sql"', "the schema from before the release")
    yield ""
    yield "[modules]  # for a backend in Python: what it imports, as package.module:name"
    yield _line("application", found.application, '"app.main:create_app"')
    yield '# environment = { APP_ENV = "test" }  # variables under which the application can be built'
    yield '# webhook-route = { name = "app.webhooks:router", routes = ["POST /webhooks/whatsapp/{provider}/{secret}"] }'
    yield '# messages-route = { name = "app.messages:router", routes = ["POST /messages"] }'
    yield '# message-handler = { name = "app.inbound:InboundMessages" }'
    yield '# webhook-helper = { name = "app.events:parse_event" }'
    yield '# campaign-service = { name = "app.campaigns:CampaignService" }'
    yield '# evolution-provider = { name = "app.evolution:EvolutionProvider" }'
    yield ""
    yield "[environment]  # the settings of the deployment: the manifest that sets them, the file with their values"
    yield _line("file", found.settings, '".env.production"')
    yield _line("manifest", found.manifest, '"docker-compose.yml"')
    yield '# service = "backend"  # which service of the manifest'
    yield _line("example", found.example, '".env.example"', "the documented settings")
    yield ""
    yield "[backend]  # a running one in front of the fake Evolution API; credentials come from GOLIVE_ADMIN_EMAIL and the like"
    yield '# url = "http://127.0.0.1:8000"'
    yield '# evolution = "http://127.0.0.1:8080"'
    yield '# logs = ["logs/*.log"]'
    yield ""
    yield "# [migration]  # how it is tried: rows, previous_statements, metadata, waive"
    yield "# [dependencies]  # requirements, report"
    yield ""
    yield "# [[secrets.allow]]  # what looks like a secret and is none"
    yield '# rule = "*"'
    yield '# path = "tests/**"'
    yield '# reason = "made up for the tests; it opens nothing"'
    yield ""
    yield "[evidence]  # the journals of the other parts"
    yield "max_age_hours = 24"
    for part in ("scenarios", "smoke", "load", "watch"):
        yield f'# {part} = "golive-run/journal.jsonl"'
    yield '# proof = "proof/journal.jsonl"  # golive prove --out proof'


def _demands(found: Found, *, drafted: bool) -> Iterator[str]:
    yield ""
    yield "[gate]"
    yield "# Every answer that the release must have; a missing one is HOLD. Take a line away only for what cannot apply."
    yield "required = ["
    for family in _families():
        if family == "schema" and drafted and not found.speaks_seed:
            yield f"  {', '.join(_q(item) for item in sorted(_KEPT_FROM_SEED))},"
            yield '  # "schema.*",  # has the columns of the WhatsApp integration; this database has other tables'
        elif family in ("imports", "datastore") and not found.python:
            yield f'  # "{family}.*",  # is for Python, and no package was found here'
        elif family == "proof":
            yield '  # "proof.*",  # that the scenarios catch every planted bug; name its journal in evidence.proof'
        else:
            yield f"  {_q(f'{family}.*')},"
    yield "]"
    yield '# may_skip = ["migration.*"]'
    yield '# advisory = ["own.*"]  # looked at and recorded, never decisive'
    yield '# checks = ["golive_checks"]  # your own: Python files under @check'
    yield ""
    yield "[thresholds]"
    yield "hold_at_warnings = 1"
    yield "no_go_at_warnings = 3"
    yield ""
    yield "# [[waiver]]"
    yield '# id = "config.names-documented"'
    yield '# owner = "Ana Souza"'
    yield '# reason = "renamed in the next release"'
    yield '# ticket = "OPS-412"'
    yield "# expires = 2026-12-01  # at most 30 days ahead"
    yield ""
    yield "[contacts]"
    yield '# "release manager" = "name, how to reach"'
    yield '# "on call" = "name, how to reach"'
    yield ""
    yield "[platform]"
    yield f"name = {_q(found.platform or 'other')}  # railway, render, vercel, kubernetes, docker-compose, other"


def _families() -> list[str]:
    from gate.registry import Kind, registry

    return list(dict.fromkeys(item.id.split(".")[0] for item in registry(Kind.CHECK).load("gate.checks")))


def _line(key: str, value: str, example: str, remark: str = "") -> str:
    """The setting, or how it would be written where nothing was found."""
    text = f"{key} = {_q(value)}" if value else f"# {key} = {example}"
    return f"{text}  # {remark}" if remark else text


def _draft(url: str, schema: str) -> ExpectedSchema:
    from gate.facts.catalog import snapshot
    from gate.facts.connections import shown
    from gate.facts.drafting import draft

    catalog = snapshot(url, schema)
    expected = draft(catalog)
    if not expected.tables:
        others = sorted({name for names in catalog.elsewhere.values() for name in names})
        hint = f"there are some in {', '.join(others)} (--db-schema)" if others else "migrate it first, or leave --database out"
        raise UsageError(f"database {shown(url)} holds no table in schema {schema}; {hint}")
    return expected


def _walk(directory: Path) -> Iterator[str]:
    """Every file near the top, as a path relative to the directory, in order; links are not followed."""
    count = 0
    for folder, folders, files in os.walk(directory):
        inside = os.path.relpath(folder, directory)
        depth = 0 if inside == "." else inside.count(os.sep) + 1
        folders[:] = sorted(
            item
            for item in folders
            if item not in _PASSED_BY and (not item.startswith(".") or item == ".github") and _is_text(item)
        )
        if depth >= DEEPEST:
            folders.clear()
        for file in sorted(files):
            if _is_text(file):
                count += 1
                if count > MOST_ENTRIES:
                    return
                yield file if inside == "." else f"{inside}/{file}".replace(os.sep, "/")


def _is_text(name: str) -> bool:
    """Whether a name can be written into a document: not every one is UTF-8."""
    return name.isprintable() and not any("\ud800" <= character <= "\udfff" for character in name)


def _sources(files: list[str]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Folders with code, what to put on the import path, and whether there is Python to import."""
    packages = {
        os.path.dirname(file)  # noqa: PTH120 – texts, not files
        for file in files
        if file.endswith("/__init__.py") and not file.startswith("src/src/")
    }
    tops = sorted(
        package
        for package in packages
        if os.path.dirname(package) in ("", "src", "backend", "app", "server")  # noqa: PTH120
    )
    tops = [package for package in tops if os.path.dirname(package) not in packages]  # noqa: PTH120
    if tops:
        parents = sorted({os.path.dirname(package) or "." for package in tops})  # noqa: PTH120
        return tuple(tops), tuple(parents), True
    coded = [file for file in files if os.path.splitext(file)[1] in _CODE]  # noqa: PTH122
    folders = list(dict.fromkeys(file.split("/")[0] if "/" in file else "." for file in coded))
    python = any(file.endswith(".py") and "/" not in file for file in coded)
    return tuple(["."] if "." in folders else sorted(folders)), (".",) if python else (), python


def _application(directory: Path, files: list[str], import_path: tuple[str, ...]) -> str:
    """`package.module:name` of an ASGI application, where one is made at the top of a module."""
    likely = [file for file in files if file.endswith(("main.py", "app.py", "asgi.py", "server.py", "api.py"))]
    for file in likely[:50]:
        if found := _APPLICATION.search(_text(directory / file)):
            for root in import_path:
                inside = file if root == "." else file.removeprefix(f"{root}/") if file.startswith(f"{root}/") else ""
                module = inside.removesuffix(".py").replace("/", ".")
                if module and all(part.isidentifier() for part in module.split(".")):
                    return f"{module}:{found[1]}"
    return ""


def _migration(files: list[str]) -> tuple[str, str]:
    """The release's migration and the schema before it, where their names leave no doubt."""
    scripts = [file for file in files if file.lower().endswith(".sql")]
    release = [
        file for file in scripts if re.search(r"production_migration|golive|go_live", file.rpartition("/")[2], re.IGNORECASE)
    ]
    before = [
        file for file in scripts if re.fullmatch(r"(baseline|schema_before|before)\.sql", file.rpartition("/")[2], re.IGNORECASE)
    ]
    return (release[0] if len(release) == 1 else ""), (before[0] if len(before) == 1 else "")


def _kubernetes(directory: Path, files: list[str]) -> str:
    for file in [item for item in files if item.endswith((".yaml", ".yml")) and item.count("/") <= 2][:200]:
        text = _text(directory / file)
        if re.search(r"^kind:\s*(Deployment|StatefulSet)\b", text, re.MULTILINE) and "{{" not in text:
            return file
    return ""


def _project(directory: Path) -> tuple[str, str]:
    """Name and version as the project says them itself."""
    try:
        project = tomllib.loads(_text(directory / "pyproject.toml")).get("project", {})
        if isinstance(project, dict) and project.get("name"):
            return _said(project, "name"), _said(project, "version")
    except (tomllib.TOMLDecodeError, RecursionError):
        pass
    try:
        package = json.loads(_text(directory / "package.json") or "{}")
        if isinstance(package, dict):
            return _said(package, "name"), _said(package, "version")
    except (ValueError, RecursionError):
        pass
    return "", ""


def _said(table: Mapping[str, object], key: str) -> str:
    value = table.get(key, "")
    return value.strip() if isinstance(value, str) and value.isprintable() else ""


def _text(path: Path) -> str:
    """What a small text file holds; empty for what is none."""
    try:
        if not path.is_file() or path.stat().st_size > 1_000_000:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _git(directory: Path, *arguments: str) -> str:
    try:
        answer = git(directory, *arguments).decode(errors="replace").strip()
    except GateError:
        return ""
    return answer if answer.isprintable() else ""


def _list(values: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_q, values))}]"


def _q(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
