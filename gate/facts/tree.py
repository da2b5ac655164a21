"""A temporary copy of an application's source code that may be broken; a saboteur's world."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gate.errors import GateError
from gate.facts.subject import Subject

__all__ = ["SourceTree", "copy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """`subject` points at the copy. Code is appended or put first, so that a saboteur fits whatever application it breaks."""

    root: Path
    subject: Subject

    def name_of(self, role: str) -> str:
        """The attribute that the application uses of the module in that role."""
        return self._wanted(role).partition(":")[2]

    def append(self, role: str, code: str) -> None:
        """Adds code at the end of the module in that role."""
        path = self._file(self._wanted(role))
        path.write_text(f"{path.read_text(encoding='utf-8')}\n\n{code}\n", encoding="utf-8")

    def fail_to_import(self, role: str) -> None:
        """Lets the module need a library that nobody has."""
        self.append(role, "import a_library_that_nobody_has")

    def forget_the_name(self, role: str) -> None:
        """Takes away the name that the application uses."""
        self.append(role, f"del {self.name_of(role)}")

    def rename(self, old: str, new: str) -> None:
        """Replaces a word in every file. Raises GateError when none holds it."""
        held = False
        for path in sorted(self.root.rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            changed = re.sub(rf"\b{re.escape(old)}\b", new, text)
            if changed != text:
                held = True
                path.write_text(changed, encoding="utf-8")
        if not held:
            raise GateError(f"no file of the copy holds {old}")

    def wrap_datastore(self, code: str) -> None:
        """Replaces the datastore's factory: `code` defines `Broken(store, url)`, which stands before the real store."""
        module, _, factory = str(self.subject.datastore).partition(":")
        path = self._file(module)
        wrapping = (
            f"_unbroken = {factory}\n\n\nclass _Stand:\n    def __init__(self, store, url):\n        self._store = store\n"
            "    def __getattr__(self, name):\n        return getattr(self._store, name)\n\n\n"
            f"{code}\n\n\ndef {factory}(url):\n    return Broken(_unbroken(url), url)\n"
        )
        path.write_text(f"{path.read_text(encoding='utf-8')}\n\n{wrapping}", encoding="utf-8")

    def _wanted(self, role: str) -> str:
        for module in self.subject.modules:
            if module.role == role:
                return module.name
        raise GateError(f"the subject names no module for {role}")

    def _file(self, name: str) -> Path:
        stem = self.root.joinpath(*name.partition(":")[0].split("."))
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file():
                return path
        raise GateError(f"the module {name} is not in the copy; name its package's folder in source_roots")


@contextmanager
def copy(subject: Subject) -> Iterator[SourceTree]:
    """Copies the packages in `subject.source_roots` and lets the subject be imported from the copy."""
    with tempfile.TemporaryDirectory(prefix="golive-tree-") as folder:
        root = Path(folder)
        for package in subject.source_roots:
            shutil.copytree(package, root / package.name, ignore=shutil.ignore_patterns("tests"))
        roots = tuple(root / package.name for package in subject.source_roots)
        paths = (root, *subject.source_paths)
        yield SourceTree(root=root, subject=replace(subject, source_paths=paths, source_roots=roots))
