"""Modules are imported where nothing else is, and everything they do besides is noticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gate.errors import GateError
from gate.facts import modules
from gate.facts.expected import load
from gate.facts.modules import Modules
from gate.facts.subject import ImportedModule, Route, Subject

pytestmark = pytest.mark.process


def looked_at(folder: Path, code: str, *, timeout_s: float = 20.0, **more: str) -> Modules:
    package = folder / "shop"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / "orders.py").write_text(code)
    wanted = ImportedModule(role="orders", name="shop.orders:Orders", routes=(Route(method="GET", path="/orders/{id}"),))
    subject = Subject(schema=load("seed"), modules=(wanted,), source_paths=(folder,))
    return modules.read(replace(subject, application=more.get("application", "")), timeout_s=timeout_s)


def test_a_quiet_module_has_no_effects(tmp_path: Path) -> None:
    found = looked_at(tmp_path, "import logging, threading\nlog = logging.getLogger(__name__)\nclass Orders: ...\n").of("orders")
    assert (found.error, found.effects, found.present, found.kind) == ("", (), True, "type")


@pytest.mark.parametrize(
    ("code", "effect"),
    [
        ("import socket\nsocket.socket().connect_ex(('127.0.0.1', 9))", "connects a socket"),
        (
            "import pathlib, tempfile\npathlib.Path(tempfile.gettempdir(), 'golive-test').write_text('')",
            "opens golive-test for writing",
        ),
        ("import os\nos.environ['SHOP'] = '1'", "changes the environment variable SHOP"),
        ("import sqlite3\nc = sqlite3.connect(':memory:')", "opens a database"),
        ("import subprocess\nsubprocess.run(['true'])", "starts a process"),
        ("import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()", "starts a thread"),
        ("import _thread\n_thread.start_new_thread(int, ())", "starts a thread"),
        ("import os, sys\nos.waitpid(os.posix_spawn(sys.executable, ['python', '-V'], {}), 0)", "starts a process"),
        ("import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))", "sends through a socket"),
    ],
)
def test_an_effect_is_noticed(tmp_path: Path, code: str, effect: str) -> None:
    assert effect in looked_at(tmp_path, f"{code}\nclass Orders: ...").of("orders").effects


def test_an_effect_is_told_of_the_module_that_causes_it_even_when_another_imports_it_first(tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "first.py").write_text("from shop import second\nFirst = 1\n")
    (package / "second.py").write_text("import os\nos.environ['SHOP'] = '1'\nSecond = 2\n")
    (package / "third.py").write_text("Third = 3\n")
    wanted = tuple(ImportedModule(role=name, name=f"shop.{name}:{name.title()}") for name in ("first", "second", "third"))
    found = modules.read(Subject(schema=load("seed"), modules=wanted, source_paths=(tmp_path,)))
    assert {role: seen.effects for role, seen in found.imports.items()} == {
        "first": ("changes the environment variable SHOP",),
        "second": ("changes the environment variable SHOP",),
        "third": (),
    }


def test_what_the_project_does_in_a_package_beside_is_its_own_and_what_a_library_does_is_not(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("import sqlite3\nc = sqlite3.connect(':memory:')\n")
    library = tmp_path / ".venv" / "lib" / "site-packages"
    library.mkdir(parents=True)
    (library / "library.py").write_text("import os\nos.environ['LIBRARY'] = '1'\n")
    code = f"import sys\nsys.path.append({str(library)!r})\nimport config, library\nclass Orders: ...\n"
    assert looked_at(tmp_path, code).of("orders").effects == ("opens a database",)


def test_an_exit_at_import_is_an_error_of_that_module(tmp_path: Path) -> None:
    assert looked_at(tmp_path, "raise SystemExit(0)").of("orders").error == "SystemExit: 0"


def test_a_module_that_kills_the_interpreter_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="the interpreter ended with exit status 7"):
        looked_at(tmp_path, "import os\nos._exit(7)")


def test_a_module_that_never_ends_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GateError, match=r"no answer within 0\.8 s"):
        looked_at(tmp_path, "import threading\nthreading.Event().wait()", timeout_s=0.8)


def test_what_a_module_prints_does_not_disturb_the_answer(tmp_path: Path) -> None:
    assert looked_at(tmp_path, "print('{}', flush=True)\nclass Orders: ...").of("orders").present


def test_the_environment_of_the_caller_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SHOP_SECRET", "there")
    found = looked_at(tmp_path, "import os\nassert 'SHOP_SECRET' not in os.environ\nclass Orders: ...").of("orders")
    assert found.error == ""


@pytest.mark.parametrize(
    ("application", "mounted"),
    [
        ("Starlette(routes=[Route('/orders/{id}', answer)])", True),
        ("Starlette(routes=[Mount('/orders', routes=[Route('/{id}', answer)])])", True),
        ("Starlette(routes=[Route('/orders/{id}', answer, methods=['POST'])])", False),
        ("Starlette(routes=[Mount('/orders', routes=[])])", False),
        ("Starlette(routes=[Mount('/', app=answer)])", False),
        ("Starlette(routes=[Route('/orders', answer)])", False),
        ("Starlette(routes=[Route('/{anything:path}', answer)])", False),
        ("Starlette(routes=[Route('/{anything:path}', answer), Route('/orders/{id}', answer)])", False),
        ("Starlette(routes=[Route('/orders/{id}', answer), Route('/{anything:path}', answer)])", True),
    ],
)
def test_only_a_route_that_would_answer_is_mounted(tmp_path: Path, application: str, mounted: bool) -> None:
    code = (
        "from starlette.applications import Starlette\nfrom starlette.routing import Mount, Route\n"
        f"class Orders: ...\nasync def answer(request): ...\napplication = {application}\n"
    )
    found = looked_at(tmp_path, code, application="shop.orders:application")
    assert found.application_error == ""
    assert found.mounted == {Route(method="GET", path="/orders/{id}"): mounted}


def test_a_router_that_fastapi_includes_is_mounted(tmp_path: Path) -> None:
    code = (
        "from fastapi import APIRouter, FastAPI\nclass Orders: ...\nrouter = APIRouter(prefix='/orders')\n"
        "@router.get('/{id}')\ndef one(id: str) -> None: ...\n"
        "def create():\n    application = FastAPI()\n    application.include_router(router)\n    return application\n"
    )
    assert looked_at(tmp_path, code, application="shop.orders:create").mounted == {Route(method="GET", path="/orders/{id}"): True}


def test_an_application_that_cannot_be_built_says_why(tmp_path: Path) -> None:
    found = looked_at(
        tmp_path, "class Orders: ...\ndef create(): raise ValueError('no settings')", application="shop.orders:create"
    )
    assert found.application_error == "ValueError: no settings"


def test_no_modules_and_no_role_are_errors(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="no modules to import were given"):
        modules.read(Subject(schema=load("seed")))
    with pytest.raises(GateError, match="no module was given for invoices"):
        looked_at(tmp_path, "class Orders: ...").of("invoices")
