"""A lock file is the declaration's, of every language that the repository speaks, and it is released with it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from gate.errors import Failure, GateError, NotApplicable
from gate.facts import locks
from gate.facts.expected import load
from gate.facts.locks import LockedDependencies
from gate.facts.subject import Subject
from gate.registry import Kind, registry

PROJECT = '[project]\nname = "a"\ndependencies = ["HTTPX[http2]>=0.28,<1", "uvloop>=1; sys_platform == \'win32\'", "local @ file:///a"]\n'
PACKAGE = '{"dependencies": {"express": "^5.0.0", "@acme/core": "workspace:*"}, "devDependencies": {"vitest": "^3"}}'


def locked(folder: Path, files: dict[str, str], *sources: str) -> LockedDependencies:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return locks.locked(Subject(schema=load("seed"), repository=folder, source_roots=tuple(folder / name for name in sources)))


def npm(wanted: str) -> str:
    return json.dumps({"packages": {"": {"dependencies": {"express": wanted}}, "node_modules/express": {"version": "5.1.0"}}})


@pytest.mark.parametrize(
    ("files", "declared"),
    [
        (
            {"pyproject.toml": PROJECT, "requirements.txt": "httpx[http2]==0.28.1 \\\n  --hash=sha256:00\nlocal==1\n"},
            {"pyproject.toml in requirements.txt": 3},
        ),
        (
            {
                "pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.11"\nhttpx = "^0.28"\n',
                "poetry.lock": '[[package]]\nname = "httpx"\nversion = "0.28.1"\n',
            },
            {"pyproject.toml in poetry.lock": 1},
        ),
        (
            {"Pipfile": '[packages]\nhttpx = "*"\n', "Pipfile.lock": '{"default": {"httpx": {"version": "==0.28.1"}}}'},
            {"Pipfile in Pipfile.lock": 1},
        ),
        ({"package.json": PACKAGE, "package-lock.json": npm("^5.0.0")}, {"package.json in package-lock.json": 1}),
        (
            {
                "package.json": PACKAGE,
                "pnpm-lock.yaml": "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      express:\n"
                "        specifier: ^5.0.0\n        version: 5.1.0\n",
            },
            {"package.json in pnpm-lock.yaml": 1},
        ),
        (
            {"package.json": PACKAGE, "pnpm-lock.yaml": "specifiers:\n  express: ^5.0.0\ndependencies:\n  express: 5.1.0\n"},
            {"package.json in pnpm-lock.yaml": 1},
        ),
        (
            {"package.json": PACKAGE, "yarn.lock": '# yarn lockfile v1\n\nexpress@^4.0.0, express@^5.0.0:\n  version "5.1.0"\n'},
            {"package.json in yarn.lock": 1},
        ),
        (
            {"package.json": PACKAGE, "yarn.lock": '"express@npm:^4.0.0, express@npm:^5.0.0":\n  version: 5.1.0\n'},
            {"package.json in yarn.lock": 1},
        ),
        (
            {"requirements.txt": "-r base.txt\n-e .\n--index-url x\n", "base.txt": "httpx==0.28.1  # why\n"},
            {"requirements.txt in requirements.txt": 2},
        ),
    ],
    ids=["pip-compile", "poetry", "pipenv", "npm", "pnpm", "pnpm of old", "yarn of old", "yarn", "requirements alone"],
)
def test_a_lock_that_fits_its_declaration_has_no_fault(tmp_path: Path, files: dict[str, str], declared: dict[str, int]) -> None:
    found = locked(tmp_path, files)
    assert found.faults == ()
    assert found.declared == declared


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"pyproject.toml": PROJECT}, "pyproject.toml declares 3 dependencies and there is no lock file, such as uv.lock"),
        (
            {"pyproject.toml": PROJECT, "uv.lock": '[[package]]\nname = "httpx"\nversion = "0.27.0"\n'},
            "httpx is 0.27.0 in uv.lock, declared >=0.28,<1",
        ),
        (
            {"pyproject.toml": PROJECT, "uv.lock": '[[package]]\nname = "local"\nversion = "1"\n'},
            "httpx is declared and not in uv.lock",
        ),
        (
            {"pyproject.toml": PROJECT, "requirements.txt": "httpx==0.28.*\nlocal==1\n"},
            "httpx is declared and not in requirements.txt",
        ),
        ({"requirements.txt": "Django>=4.2\n"}, "requirements.txt does not say which version: Django>=4.2"),
        ({"requirements.txt": "-r gone.txt\n"}, "requirements.txt includes gone.txt, and there is no such file"),
        (
            {"requirements.txt": "a @ git+https://git.invalid/a@main\n"},
            "requirements.txt does not say which version: a @ git+https://git.invalid/a@main",
        ),
        (
            {"pyproject.toml": PROJECT, "uv.lock": "", "package.json": PACKAGE},
            "package.json declares 1 dependencies and there is no lock file, such as package-lock.json",
        ),
        (
            {"package.json": PACKAGE, "package-lock.json": npm("^4.0.0")},
            "express is declared ^5.0.0, and package-lock.json was made for ^4.0.0",
        ),
        (
            {"package.json": PACKAGE, "yarn.lock": "express@^4.0.0:\n"},
            "express is declared ^5.0.0, and yarn.lock was made for ^4.0.0",
        ),
        ({"package.json": PACKAGE, "yarn.lock": "left-pad@^1:\n"}, "express is declared and not in yarn.lock"),
        ({"package.json": PACKAGE, "pnpm-lock.yaml": "importers:\n  .: {}\n"}, "express is declared and not in pnpm-lock.yaml"),
    ],
)
def test_what_no_lock_file_pins_is_told(tmp_path: Path, files: dict[str, str], fault: str) -> None:
    found = locked(tmp_path, files)
    assert fault in found.faults
    with pytest.raises(Failure):
        list(registry(Kind.CHECK).load("gate.checks").get("dependencies.locked")(found))


def test_the_released_folders_of_a_repository_of_many_have_their_own_declarations(tmp_path: Path) -> None:
    files = {
        "package.json": '{"dependencies": {"express": "^5.0.0"}}',
        "package-lock.json": npm("^5.0.0"),
        "services/web/package.json": '{"dependencies": {"pino": "^9"}}',
        "services/other/package.json": '{"dependencies": {"never-released": "1"}}',
    }
    with pytest.raises(GateError, match=r"package-lock\.json: cannot be understood"):
        locked(tmp_path, files, "services/web/src")
    document = json.loads(npm("^5.0.0"))
    document["packages"]["services/web"] = {"dependencies": {"pino": "^8"}}
    found = locked(tmp_path, files | {"package-lock.json": json.dumps(document)}, "services/web/src")
    assert found.faults == ("pino is declared ^9, and package-lock.json was made for ^8",)
    assert list(found.declared) == ["package.json in package-lock.json", "services/web/package.json in package-lock.json"]


def test_a_lock_file_that_git_ignores_is_not_released(tmp_path: Path) -> None:
    files = {"package.json": PACKAGE, "package-lock.json": npm("^5.0.0"), ".gitignore": "package-lock.json\n"}
    assert locked(tmp_path, files).faults == ()
    for arguments in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)
    assert locked(tmp_path, files).faults == ("package-lock.json is not tracked by git, so it is not what is released",)


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"pyproject.toml": "[project\n"}, r"pyproject\.toml: cannot be understood"),
        ({"pyproject.toml": '[project]\ndependencies = ["a ~= nonsense"]\n', "requirements.txt": "a==1\n"}, "the declaration a"),
        ({"package.json": PACKAGE, "package-lock.json": "[]"}, r"package-lock\.json: cannot be understood"),
        ({"package.json": PACKAGE, "pnpm-lock.yaml": "a: [\n"}, r"pnpm-lock\.yaml: cannot be understood"),
        ({"package.json": PACKAGE, "bun.lock": "{}"}, r"bun\.lock is of a kind that cannot be compared here"),
    ],
)
def test_files_that_cannot_be_understood_are_errors(tmp_path: Path, files: dict[str, str], complaint: str) -> None:
    with pytest.raises(GateError, match=complaint):
        locked(tmp_path, files)


def test_nothing_declared_is_no_pass(tmp_path: Path) -> None:
    with pytest.raises(NotApplicable, match="declares no dependency"):
        list(registry(Kind.CHECK).load("gate.checks").get("dependencies.locked")(locked(tmp_path, {"package.json": "{}"})))
