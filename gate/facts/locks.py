"""Whether a lock file says which versions are released, in every ecosystem that the repository declares dependencies for.

Looked at are the root of the repository and the folders from there down to the released code; a lock file may also lie above its
declaration, as workspaces have it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gate.errors import GateError
from gate.facts.git import git
from gate.facts.subject import Subject

__all__ = ["LockedDependencies", "locked"]

_NAME = re.compile(r"\s*([A-Za-z0-9][\w.-]*)")
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*===?\s*([^\s;\\*]+)(?:[\s;\\]|$)")
_AT_A_COMMIT = re.compile(r"git\+\S+@[0-9a-f]{40}\b|\s--hash=|#sha256=")
# Of the repository itself, not of a registry.
_OF_ITSELF = ("workspace:", "file:", "link:", "portal:")
_YARN_ENTRY = re.compile(r'^"?((?:@[^@"/]+/)?[^@",\s]+)@(?:npm:)?([^",]+)"?$')


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedDependencies:
    """`faults` in one sentence each. `declared`: how many dependencies were compared, by declaration and lock file."""

    declared: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


_Compare = Callable[[Mapping[str, str], Path, str], Iterator[str]]


def locked(subject: Subject) -> LockedDependencies:
    """Looks whether each declared dependency is in the lock file, in a version that the declaration allows, and git has the file.

    Raises GateError when no repository is named, or a file cannot be understood.
    """
    root = subject.repository
    if root is None:
        raise GateError("no repository was named whose lock file could be looked at")
    declared: dict[str, int] = {}
    faults: list[str] = []
    for folder in _folders(root, subject.source_roots):
        inside = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
        is_declared = False
        for manifest, read, locks in _ECOSYSTEMS:
            wanted = _understood(folder / manifest, read) if (folder / manifest).is_file() else {}
            # Beside a declaration it is the lock, or says nothing.
            if not wanted or (manifest == "requirements.txt" and is_declared):
                continue
            is_declared = True
            lock = _lock_of(folder, root, [name for name, _ in locks])
            if lock is None:
                faults.append(
                    f"{inside}{manifest} declares {len(wanted)} dependencies and there is no lock file, such as {locks[0][0]}"
                )
                continue
            shown = lock.relative_to(root).as_posix()
            declared[f"{inside}{manifest} in {shown}"] = len(wanted)
            if _tracked(root, folder / manifest) and not _tracked(root, lock):
                faults.append(f"{shown} is not tracked by git, so it is not what is released")
            compare = dict(locks)[lock.name]
            try:
                faults += compare(wanted, lock, folder.relative_to(lock.parent).as_posix())
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise GateError(f"{shown}: cannot be understood ({type(error).__name__})") from None
    return LockedDependencies(declared=declared, faults=tuple(faults))


def _folders(root: Path, sources: Sequence[Path]) -> list[Path]:
    """The root, and every folder between it and the released code."""
    found = {root: None}
    for source in sources:
        try:
            inside = source.resolve().relative_to(root.resolve())
        except ValueError:
            continue
        folder = root
        for part in inside.parts:
            folder /= part
            found.setdefault(folder)
    return list(found)


def _lock_of(folder: Path, root: Path, names: Sequence[str]) -> Path | None:
    while True:
        for name in names:
            if (folder / name).is_file():
                return folder / name
        if folder == root:
            return None
        folder = folder.parent


def _tracked(root: Path, path: Path) -> bool:
    """Whether git has the file in its index; not so where there is no repository."""
    try:
        git(root, "ls-files", "--error-unmatch", "--", str(path.relative_to(root)))
    except GateError:
        return False
    return True


def _understood(manifest: Path, read: Callable[[str], dict[str, str]]) -> dict[str, str]:
    try:
        return read(manifest.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise GateError(f"{manifest.name}: cannot be understood ({type(error).__name__})") from None


def _of_project(text: str) -> dict[str, str]:
    """Each dependency with its own words on versions; Poetry's, which are other words, without."""
    document = tomllib.loads(text)
    poetry = document.get("tool", {}).get("poetry", {}).get("dependencies", {})
    return _named(document.get("project", {}).get("dependencies", ())) | {
        _plain(name): "" for name, wanted in poetry.items() if name != "python" and not _is_optional(wanted)
    }


def _is_optional(wanted: object) -> bool:
    return isinstance(wanted, dict) and bool(wanted.get("optional") or wanted.get("path"))


def _of_pipfile(text: str) -> dict[str, str]:
    packages = tomllib.loads(text).get("packages", {})
    return {_plain(name): wanted.replace("*", "") if isinstance(wanted, str) else "" for name, wanted in packages.items()}


def _of_lines(text: str) -> dict[str, str]:
    return _named(line.partition("#")[0].strip() for line in text.splitlines())


def _of_requirements(text: str) -> dict[str, str]:
    """Every requirement as it stands there, which here is declaration and lock in one."""
    lines = re.sub(r"\\\r?\n", " ", text).splitlines()
    stripped = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in lines)
    return {line: "" for line in stripped if line and not re.match(r"-(?!e\b|-editable\b|r\b|-requirement\b)", line)}


def _of_package(text: str) -> dict[str, str]:
    document = json.loads(text)
    wanted = {**document.get("dependencies", {}), **document.get("optionalDependencies", {})}
    return {name: version for name, version in wanted.items() if not str(version).startswith(_OF_ITSELF)}


def _named(lines: Iterator[str] | Sequence[str]) -> dict[str, str]:
    return {_plain(found[1]): line[found.end() :] for line in lines if (found := _NAME.match(line))}


def _python(declared: Mapping[str, str], lock: Path, _inside: str) -> Iterator[str]:
    try:
        from packaging.markers import InvalidMarker, Marker
        from packaging.specifiers import InvalidSpecifier, SpecifierSet
        from packaging.version import InvalidVersion
    except ImportError:
        raise GateError("the versions in a lock file cannot be judged: install packaging") from None
    pins = _pins(lock)
    for name, rest in declared.items():
        wanted, _, marker = re.sub(r"^\s*\[[^\]]*\]", "", rest).partition(";")
        try:
            if marker.strip() and not Marker(marker).evaluate():
                continue
            version = pins.get(name)
            if version is None:
                yield f"{name} is declared and not in {lock.name}"
            elif (
                wanted.strip()
                and not wanted.strip().startswith("@")
                and not SpecifierSet(wanted.strip("() ")).contains(version, prereleases=True)
            ):
                yield f"{name} is {version} in {lock.name}, declared {wanted.strip()}"
        except (InvalidSpecifier, InvalidMarker, InvalidVersion):
            raise GateError(f"the declaration {name}{rest} or its version in {lock.name} cannot be understood") from None


def _pins(lock: Path) -> dict[str, str]:
    text = lock.read_text(encoding="utf-8-sig")
    if lock.suffix == ".txt" or lock.name == "requirements.lock":
        return {_plain(found[1]): found[2] for line in text.splitlines() if (found := _PIN.match(line.strip()))}
    if lock.name == "Pipfile.lock":
        return {_plain(name): str(entry.get("version", "")).strip("=") for name, entry in json.loads(text)["default"].items()}
    document = tomllib.loads(text)
    return {
        _plain(entry["name"]): str(entry.get("version", "")) for entry in document.get("package", document.get("packages", ()))
    }


def _pinned(declared: Mapping[str, str], lock: Path, _inside: str) -> Iterator[str]:
    """Requirements that nothing else locks name one version each."""
    for line in declared:
        if line.startswith("-"):
            option, _, value = line.partition(" ")
            if option.startswith(("-r", "--r")):
                other = lock.parent / value.strip()
                if not other.is_file():
                    yield f"{lock.name} includes {value.strip()}, and there is no such file"
                else:
                    yield from _pinned(_of_requirements(other.read_text(encoding="utf-8-sig")), other, _inside)
            elif "git+" in line and not _AT_A_COMMIT.search(line):
                yield f"{lock.name} does not say which version: {line}"
        elif not line.startswith(".") and not _PIN.match(line) and not _AT_A_COMMIT.search(line):
            yield f"{lock.name} does not say which version: {line}"


def _npm(declared: Mapping[str, str], lock: Path, inside: str) -> Iterator[str]:
    packages = json.loads(lock.read_text(encoding="utf-8-sig"))["packages"]
    here = packages["" if inside == "." else inside]
    root = {**here.get("dependencies", {}), **here.get("optionalDependencies", {})}
    held = {name.rpartition("node_modules/")[2] for name in packages}
    yield from _compared(declared, root, lock, held)


def _pnpm(declared: Mapping[str, str], lock: Path, inside: str) -> Iterator[str]:
    import yaml

    try:
        document = yaml.load(lock.read_text(encoding="utf-8-sig"), Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(lock.name) from error
    here = document["importers"][inside] if "importers" in document else document
    if "specifiers" in here:
        known = here["specifiers"]
    else:
        parts = (here.get(kind) or {} for kind in ("dependencies", "optionalDependencies"))
        known = {name: entry["specifier"] for part in parts for name, entry in part.items()}
    yield from _compared(declared, known, lock, known.keys())


def _yarn(declared: Mapping[str, str], lock: Path, _inside: str) -> Iterator[str]:
    known: dict[str, set[str]] = {}
    for line in lock.read_text(encoding="utf-8-sig").splitlines():
        if line.endswith(":") and not line.startswith((" ", "#")):
            for entry in line[:-1].strip('"').split(","):
                if found := _YARN_ENTRY.match(entry.strip().strip('"')):
                    known.setdefault(found[1], set()).add(found[2].strip('"'))
    for name, wanted in declared.items():
        if name not in known:
            yield f"{name} is declared and not in {lock.name}"
        elif wanted.removeprefix("npm:") not in known[name] and wanted not in known[name]:
            yield f"{name} is declared {wanted}, and {lock.name} was made for {', '.join(sorted(known[name]))}"


def _bun(_declared: Mapping[str, str], lock: Path, _inside: str) -> Iterator[str]:
    raise GateError(
        f"{lock.name} is of a kind that cannot be compared here; keep a package-lock.json, pnpm-lock.yaml or yarn.lock"
    )


def _compared(declared: Mapping[str, str], made_for: Mapping[str, str], lock: Path, held: Any) -> Iterator[str]:
    for name, wanted in declared.items():
        if name not in made_for:
            yield f"{name} is declared and not in {lock.name}"
        elif made_for[name] != wanted:
            yield f"{name} is declared {wanted}, and {lock.name} was made for {made_for[name]}"
        elif name not in held:
            yield f"{name} has no version in {lock.name}"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


_PYTHON_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "requirements.lock", "requirements.txt")
_NODE_LOCKS: tuple[tuple[str, _Compare], ...] = (
    ("package-lock.json", _npm), ("npm-shrinkwrap.json", _npm), ("pnpm-lock.yaml", _pnpm), ("yarn.lock", _yarn),
    ("bun.lock", _bun), ("bun.lockb", _bun),
)  # fmt: skip
_ECOSYSTEMS: tuple[tuple[str, Callable[[str], dict[str, str]], tuple[tuple[str, _Compare], ...]], ...] = (
    ("pyproject.toml", _of_project, tuple((name, _python) for name in _PYTHON_LOCKS)),
    ("Pipfile", _of_pipfile, (("Pipfile.lock", _python),)),
    ("requirements.in", _of_lines, (("requirements.txt", _python),)),
    ("requirements.txt", _of_requirements, (("requirements.txt", _pinned),)),
    ("package.json", _of_package, _NODE_LOCKS),
)
