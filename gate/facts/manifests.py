"""Reads the settings that a deployment manifest gives to one service: docker-compose, Kubernetes, Render, Railway, Vercel.

The form is told by the content, not by the file's name. A value that the manifest only points at – a secret of the platform, a
variable of the shell – is a name that is set elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gate.errors import GateError

__all__ = ["Manifest", "parse"]

_LIKELY = ("backend", "api", "app", "web", "server")
_REFERENCE = re.compile(r"\$\{(\w+)(:?[-?+])?([^}]*)\}|\$(\w+)|\$\{\{.*?\}\}")
_LARGEST = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`values` are written in the manifest, `elsewhere` are names whose value is not; `open_ended`: what may set further names.

    files: .env files that it names, which count less than what it says itself.
    """

    service: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    elsewhere: frozenset[str] = frozenset()
    open_ended: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


class _Settings:
    def __init__(self, path: Path, service: str) -> None:
        self._path, self._service = path, service
        self.values: dict[str, str] = {}
        self.elsewhere: set[str] = set()
        self.open_ended: list[str] = []
        self.files: list[Path] = []

    def put(self, name: object, value: object) -> None:
        """A value, or None for one that is not written here."""
        if not isinstance(name, str) or not name:
            raise GateError(f"{self._path.name}: a setting of {self._service} has no name")
        if isinstance(value, dict | list):
            raise GateError(f"{self._path.name}: {name} of {self._service} is a table, expected a text")
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        plain, points = _resolved(text)
        if value is None or points:
            self.elsewhere.add(name)
            self.values.pop(name, None)
        else:
            self.values[name] = plain
            self.elsewhere.discard(name)

    def manifest(self) -> Manifest:
        return Manifest(
            service=self._service,
            values=self.values,
            elsewhere=frozenset(self.elsewhere),
            open_ended=tuple(self.open_ended),
            files=tuple(self.files),
        )


def parse(path: Path, service: str = "") -> Manifest:
    """Raises GateError in one line, without a value, for a file that is not there or in which no settings can be found."""
    documents = _documents(path)
    first = documents[0] if documents else None
    if not isinstance(first, Mapping):
        raise GateError(f"{path.name}: is no deployment manifest that is known here; give a .env file instead (environment.file)")
    if any(isinstance(document, Mapping) and "kind" in document and "apiVersion" in document for document in documents):
        return _kubernetes(path, [document for document in documents if isinstance(document, Mapping)], service)
    services = first.get("services")
    if isinstance(services, Mapping):
        return _compose(path, services, service)
    if isinstance(services, list):
        return _render(path, first, services, service)
    if isinstance(first.get("env"), Mapping) or (isinstance(first.get("build"), Mapping) and "version" in first):
        return _vercel(path, first)
    variables = list(_variables(first))
    if variables:
        settings = _Settings(path, service or "the service")
        for name, value in (item for table in variables for item in table.items()):
            settings.put(name, value)
        return settings.manifest()
    raise GateError(f"{path.name}: sets no environment variable; give a .env file instead (environment.file)")


def _documents(path: Path) -> list[Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise GateError(f"{path.name}: larger than {_LARGEST // 1_000_000} MB, which no manifest is")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise GateError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise GateError(f"{path}: cannot be read as text ({type(error).__name__})") from None
    try:
        if path.suffix == ".toml":
            return [tomllib.loads(text)]
        if path.suffix == ".json":
            return [json.loads(text)]
        import yaml

        return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document is not None]
    except ImportError:
        raise GateError(f"{path.name}: the library pyyaml is missing; install golive again") from None
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise GateError(f"{path.name}: not well formed{_place(error)}") from None
    except yaml.YAMLError as error:
        raise GateError(f"{path.name}: not well formed{_place(error)}") from None


def _place(error: Exception) -> str:
    """The line alone: what stands there may be a secret."""
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else getattr(error, "lineno", None)
    return f" (line {line})" if line else ""


def _chosen(path: Path, services: Mapping[str, Any], service: str) -> str:
    names = [str(name) for name in services]
    if service:
        if service not in names:
            raise GateError(f"{path.name}: no service is called {service!r}; there are {', '.join(sorted(names)) or 'none'}")
        return service
    likely = [name for name in names if name in _LIKELY]
    if len(names) == 1 or len(likely) == 1:
        return names[0] if len(names) == 1 else likely[0]
    raise GateError(
        f"{path.name}: which service is the backend? name one of {', '.join(sorted(names)) or 'none'} (environment.service)"
    )


def _compose(path: Path, services: Mapping[str, Any], service: str) -> Manifest:
    name = _chosen(path, services, service)
    entry = services[name]
    if not isinstance(entry, Mapping):
        raise GateError(f"{path.name}: the service {name} is no table")
    settings = _Settings(path, name)
    if "extends" in entry:
        settings.open_ended.append("the service that it extends")
    files = entry.get("env_file", [])
    for item in files if isinstance(files, list) else [files]:
        file = item.get("path") if isinstance(item, Mapping) else item
        if isinstance(file, str):
            settings.files.append(path.parent / file)
    environment = entry.get("environment", {})
    if isinstance(environment, list):
        for item in environment:
            key, equals, value = str(item).partition("=")
            settings.put(key, value if equals else None)
    else:
        _put_all(settings, environment)
    return settings.manifest()


def _render(path: Path, document: Mapping[str, Any], services: list[Any], service: str) -> Manifest:
    named = {str(item.get("name", "")): item for item in services if isinstance(item, Mapping)}
    chosen = _chosen(path, named, service)
    groups = {str(item.get("name", "")): item for item in document.get("envVarGroups") or () if isinstance(item, Mapping)}
    settings = _Settings(path, chosen)
    _render_variables(settings, named[chosen].get("envVars"), groups)
    return settings.manifest()


def _render_variables(settings: _Settings, entries: object, groups: Mapping[str, Any]) -> None:
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, Mapping):
            continue
        group = entry.get("fromGroup")
        if group is not None and "key" not in entry:
            if str(group) in groups:
                _render_variables(settings, groups[str(group)].get("envVars"), {})
            else:
                settings.open_ended.append(f"the group {group}")
        else:
            settings.put(entry.get("key"), entry.get("value"))


def _vercel(path: Path, document: Mapping[str, Any]) -> Manifest:
    settings = _Settings(path, "the project")
    for table in (document.get("env"), (document.get("build") or {}).get("env")):
        for name, value in (table or {}).items() if isinstance(table, Mapping) else ():
            settings.put(name, None if isinstance(value, str) and value.startswith("@") else value)
    settings.open_ended.append("the project's settings at Vercel")
    return settings.manifest()


def _kubernetes(path: Path, documents: list[Mapping[str, Any]], service: str) -> Manifest:
    containers: dict[str, Mapping[str, Any]] = {}
    maps: dict[tuple[str, str], dict[str, str | None]] = {}
    for document in documents:
        kind, metadata = str(document.get("kind", "")), document.get("metadata") or {}
        name = str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""
        if kind in ("ConfigMap", "Secret"):
            maps[(kind, name)] = dict(_stored(document))
        else:
            containers |= {str(item.get("name", name)): item for item in _containers(document)}
    if not containers:
        raise GateError(f"{path.name}: holds no container; name the manifest of the Deployment")
    chosen = _chosen(path, containers, service)
    settings = _Settings(path, chosen)
    for source in _entries(containers[chosen].get("envFrom")):
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if isinstance(source.get(key), Mapping):
                name = str(source[key].get("name", ""))
                if (kind, name) not in maps:
                    settings.open_ended.append(f"the {kind} {name}")
                for setting, value in maps.get((kind, name), {}).items():
                    settings.put(f"{source.get('prefix') or ''}{setting}", value)
    for entry in _entries(containers[chosen].get("env")):
        settings.put(entry.get("name"), _kubernetes_value(entry, maps))
    return settings.manifest()


def _kubernetes_value(entry: Mapping[str, Any], maps: Mapping[tuple[str, str], Mapping[str, str | None]]) -> object:
    source = entry.get("valueFrom")
    if not isinstance(source, Mapping):
        return entry.get("value", "")
    for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if isinstance(source.get(key), Mapping):
            stored = maps.get((kind, str(source[key].get("name", ""))), {})
            return stored.get(str(source[key].get("key", "")))
    return None


def _stored(document: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    plain = document.get("stringData") if document.get("kind") == "Secret" else document.get("data")
    for name, value in plain.items() if isinstance(plain, Mapping) else ():
        yield str(name), str(value)
    encoded = document.get("data") if document.get("kind") == "Secret" else None
    for name, value in encoded.items() if isinstance(encoded, Mapping) else ():
        try:
            yield str(name), base64.b64decode(str(value), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            # A sealed one, or a file: it is set, and not to be read here.
            yield str(name), None


def _containers(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The containers of a workload of any kind: those of the first pod template below it."""
    found = document.get("containers")
    if isinstance(found, list):
        yield from _entries(found)
        return
    for key in ("spec", "template", "jobTemplate"):
        inner = document.get(key)
        if isinstance(inner, Mapping):
            yield from _containers(inner)


def _variables(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every table called `variables`, however deep (Railway's environments)."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            if key == "variables":
                yield value
            else:
                yield from _variables(value)


def _entries(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _put_all(settings: _Settings, table: object) -> None:
    for name, value in table.items() if isinstance(table, Mapping) else ():
        settings.put(name, value)


def _resolved(text: str) -> tuple[str, bool]:
    """The value with the defaults of what it points at (`${A:-x}`), and whether something in it is not written here."""
    points = False

    def value(found: re.Match[str]) -> str:
        nonlocal points
        if found[1] and found[2] in (":-", "-"):
            return found[3]
        points = True
        return ""

    plain = text.replace("$$", "\0")
    return _REFERENCE.sub(value, plain).replace("\0", "$"), points
