"""Where secrets are looked for: the tracked files of a repository, the release's commits, built packages, generated documents.

Archives are opened, also within each other. What cannot be read is an error and never an empty answer: a scan that was not held
is not clean.
"""

from __future__ import annotations

import bz2
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gate.errors import GateError
from gate.facts.git import NoRepositoryError, git
from gate.facts.secret_scan import Found, Scanner
from gate.facts.subject import Subject

__all__ = ["SecretScan", "files_of", "of_commits", "of_documents", "of_files", "of_folder", "of_packages", "of_repository"]

DEEPEST_ARCHIVE = 3
LARGEST_ARCHIVE = 1_000_000_000
_FOLDERS_LEFT_OUT = frozenset(
    {".git", "__pycache__", "node_modules", ".venv", ".tox", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
)
_LINK, _SUBMODULE = "120000", "160000"
_SHOWN_COMMIT = 10
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_NOTHING = "0" * 40


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretScan:
    """What was looked through, and what was found. `found` stops a release; for `allowed` somebody gave a reason.

    `tracked`: the files are those that git tracks, not all below a folder. `descriptions`: files that say what is released, such
    as golive.toml, and are not it. `unused`: allowances without a finding.
    """

    place: str
    files: int
    size: int
    found: tuple[Found, ...]
    allowed: tuple[Found, ...]
    tracked: bool = False
    descriptions: int = 0
    commits: int = 0
    unused: tuple[str, ...] = ()


def of_repository(subject: Subject) -> SecretScan:
    """Scans every tracked file as it lies there. Raises GateError when no repository is named, or a file cannot be read."""
    if subject.repository is None:
        raise GateError("no repository was named to look for secrets in; run in it, or name it in golive.toml")
    return of_folder(subject.repository, _scanner(subject))


def of_folder(folder: Path, scanner: Scanner) -> SecretScan:
    """The files below a folder that git tracks, or where it tracks none all of them."""
    if not folder.is_dir():
        raise GateError(f"{folder}: no such folder to look for secrets in")
    tracked = list(_tracked(folder))
    return replace(_scan(str(folder.name or folder), tracked or _walked(folder), scanner), tracked=bool(tracked))


def files_of(folder: Path) -> list[tuple[str, Path]]:
    """The files that `of_folder` looks through and that lie there, by their names."""
    return [(name, path) for name, path in list(_tracked(folder)) or _walked(folder) if isinstance(path, Path)]


def of_commits(subject: Subject) -> SecretScan | None:
    """Every version of a file, and every message, that the release's commits brought; None when they are not named."""
    if not subject.commits:
        return None
    if subject.repository is None:
        raise GateError("the release's commits are named, and the repository is not")
    root = subject.repository
    commits = git(root, "rev-list", "--end-of-options", subject.commits).decode().split()
    _refuse_shallow(root, commits)
    messages = [
        (f"{commit[:_SHOWN_COMMIT]}:commit message", git(root, "log", "-1", "--format=%an <%ae>%n%B", commit))
        for commit in commits
    ]
    scan = _scan(subject.commits, [*messages, *_versions(root, commits)], _scanner(subject))
    return replace(scan, tracked=True, commits=len(commits), files=scan.files - len(messages))


def of_packages(subject: Subject) -> SecretScan | None:
    """Every file in the built packages; None when none is named."""
    return of_files(subject.artefacts, _scanner(subject)) if subject.artefacts else None


def of_documents(subject: Subject) -> SecretScan | None:
    """Every generated document, journals included; None when none is named."""
    return of_files(subject.documents, _scanner(subject), inside="documents/") if subject.documents else None


def of_files(paths: Sequence[Path], scanner: Scanner, *, inside: str = "") -> SecretScan:
    """Files, and all files below folders, whether git tracks them or not. `inside` is put before their names."""
    texts: list[tuple[str, Path | bytes]] = []
    for path in paths:
        if path.is_dir():
            texts += [(f"{inside}{path.name}/{name}", file) for name, file in _walked(path)]
        elif path.exists():
            texts.append((f"{inside}{path.name}", path))
        else:
            raise GateError(f"{path}: no such file to look for secrets in")
    return _scan(", ".join(path.name for path in paths), texts, scanner)


def _scanner(subject: Subject) -> Scanner:
    return Scanner(allowances=subject.allowances)


def _scan(place: str, texts: Iterable[tuple[str, Path | bytes]], scanner: Scanner) -> SecretScan:
    files = size = descriptions = 0
    found: list[Found] = []
    for path, content in texts:
        data = content if isinstance(content, bytes) else _read(content, path)
        files += 1
        descriptions += path.rpartition("/")[2].startswith("golive.")
        if data.startswith(_LFS_POINTER):
            raise GateError(f"{path}: is a pointer to a file in LFS, which is not here; run git lfs pull")
        for name, text in _opened(path, data):
            size += len(text)
            found += scanner.scan(text, name)
    unused = [f"{one.rule} in {one.path}" for one in scanner.allowances if one not in scanner.used]
    return SecretScan(
        place=place,
        files=files,
        size=size,
        descriptions=descriptions,
        found=tuple(one for one in found if not one.allowed),
        allowed=tuple(one for one in found if one.allowed),
        unused=tuple(unused),
    )


def _read(path: Path, shown: str) -> bytes:
    try:
        # As it is written: a Path would make one of two slashes.
        return os.readlink(os.fsencode(path)) if path.is_symlink() else path.read_bytes()  # noqa: PTH115
    except OSError as error:
        raise GateError(f"{shown}: cannot be read ({error.strerror}), so nobody knows what is in it") from None


def _tracked(folder: Path) -> Iterator[tuple[str, Path | bytes]]:
    try:
        listed = git(folder, "ls-files", "--stage", "-z", "--", ".")
    except NoRepositoryError:
        return
    for entry in listed.split(b"\0"):
        if not entry:
            continue
        about, _, name = entry.partition(b"\t")
        mode, blob, _ = about.decode().split()
        if mode == _SUBMODULE:
            raise GateError(f"{os.fsdecode(name)} is a submodule, which is a repository of its own: scan it by itself")
        path = folder / os.fsdecode(name)
        # What is tracked and was taken away here is released all the same.
        yield os.fsdecode(name), path if path.is_symlink() or path.is_file() else git(folder, "cat-file", "blob", blob)


def _walked(folder: Path) -> Iterator[tuple[str, Path]]:
    def failed(error: OSError) -> None:
        raise GateError(f"{error.filename}: cannot be read ({error.strerror}), so nobody knows what is in it")

    for parent, folders, files in os.walk(folder, onerror=failed):
        folders[:] = sorted(name for name in folders if name not in _FOLDERS_LEFT_OUT)
        for name in sorted(files):
            path = Path(parent, name)
            if not name.endswith(".pyc"):
                yield path.relative_to(folder).as_posix(), path


def _refuse_shallow(root: Path, commits: Sequence[str]) -> None:
    """Where a clone ends, everything looks as if one commit had brought it, and what was taken away before is not there."""
    path = root / os.fsdecode(git(root, "rev-parse", "--git-path", "shallow").strip())
    if path.is_file() and not set(commits).isdisjoint(path.read_text(encoding="ascii").split()):
        raise GateError("the clone is a shallow one that ends within the release's commits; run git fetch --unshallow")


def _versions(root: Path, commits: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Each version of a file once, by the commit that brought it last in the list."""
    first: dict[str, str] = {}
    # Reversed, so that a version is told with the first of the commits that hold it.
    for commit in reversed(commits):
        fields = git(root, "diff-tree", "-r", "-m", "--root", "--no-commit-id", "--no-renames", "-z", commit).split(b"\0")
        for about, file in zip(fields[0::2], fields[1::2], strict=False):
            _, mode, _, blob, _ = about.decode().split()
            if blob != _NOTHING and mode not in (_SUBMODULE, _LINK):
                first.setdefault(blob, f"{commit[:_SHOWN_COMMIT]}:{os.fsdecode(file)}")
    if not first:
        return
    content = git(root, "cat-file", "--batch", data="\n".join(first).encode() + b"\n")
    place = 0
    for blob, name in first.items():
        end = content.index(b"\n", place)
        header = content[place:end].split()
        if len(header) != 3:
            raise GateError(f"git does not hold {blob[:_SHOWN_COMMIT]} of {name}; is the clone a shallow one?")
        size = int(header[2])
        yield name, content[end + 1 : end + 1 + size]
        place = end + size + 2


def _opened(path: str, data: bytes, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """The text itself, or what is in it when it is an archive. Raises GateError for one that cannot be opened."""
    yield path, data
    if depth >= DEEPEST_ARCHIVE:
        return
    try:
        if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                _not_too_large(path, sum(member.file_size for member in archive.infolist()))
                for member in archive.infolist():
                    if not member.is_dir():
                        yield from _opened(f"{path}/{member.filename}", archive.read(member), depth + 1)
        elif data.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")):
            plain = _unpacked(path, data)
            yield from _opened(path.rsplit(".", 1)[0] if "." in path else path, plain, depth + (plain[257:262] != b"ustar"))
        elif data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data)) as archive_file:
                for entry in archive_file:
                    if entry.isfile() and (stream := archive_file.extractfile(entry)) is not None:
                        yield from _opened(f"{path}/{entry.name}", stream.read(), depth + 1)
        elif data.startswith(b"%PDF-"):
            yield path, b"\n".join(_streams(data))
    except RuntimeError as error:
        raise GateError(f"{path}: the archive is locked, so nobody knows what is in it ({error})") from None
    except (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError, lzma.LZMAError, zlib.error, NotImplementedError) as error:
        raise GateError(f"{path}: looks like an archive and cannot be opened ({type(error).__name__})") from None


def _unpacked(path: str, data: bytes) -> bytes:
    if data.startswith(b"\x1f\x8b"):
        plain = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, LARGEST_ARCHIVE)
    elif data.startswith(b"BZh"):
        plain = bz2.BZ2Decompressor().decompress(data, LARGEST_ARCHIVE)
    else:
        plain = lzma.LZMADecompressor().decompress(data, LARGEST_ARCHIVE)
    _not_too_large(path, len(plain) + 1)
    return plain


def _not_too_large(path: str, size: int) -> None:
    if size > LARGEST_ARCHIVE:
        raise GateError(f"{path}: unpacks to more than {LARGEST_ARCHIVE // 1_000_000} MB, which is not looked through")


def _streams(data: bytes) -> Iterator[bytes]:
    place = 0
    while (start := data.find(b"stream", place)) >= 0:
        end = data.find(b"endstream", start)
        if end < 0:
            return
        try:
            yield zlib.decompress(data[start + 6 : end].lstrip(b"\r\n"))
        except zlib.error:
            yield data[start:end]
        place = end + 9
