"""The other side of `gate.facts.modules`: imports modules in a clean interpreter and tells what happened.

Runs in an interpreter of its own, so it imports nothing that the modules under test might bring along themselves.
"""

from __future__ import annotations

import _thread
import importlib
import json
import os
import sys
import threading
import time
from types import FrameType
from typing import Any

__all__ = ["answer"]

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_SAMPLE = "00000000-0000-4000-8000-000000000000"
_FULL_MATCH = 2  # of Starlette; 1 is the right path with another method
_EVENTS = {
    "socket.connect": "connects a socket",
    "socket.bind": "binds a socket",
    "socket.sendto": "sends through a socket",
    "socket.sendmsg": "sends through a socket",
    "socket.getaddrinfo": "resolves a host name",
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "os.exec": "starts a process",
    "os.posix_spawn": "starts a process",
    "os.spawn": "starts a process",
    "os.fork": "forks",
    "os.forkpty": "forks",
    "os.kill": "sends a signal",
    "sqlite3.connect": "opens a database",
    "os.remove": "removes a file",
    "os.rename": "renames a file",
    "os.link": "makes a file",
    "os.symlink": "makes a file",
    "os.truncate": "changes a file",
    "os.rmdir": "removes a folder",
    "os.mkdir": "makes a folder",
}


class _Watch:
    """Notes what the project's own code does while modules are imported, not what a library does for itself.

    Each effect is kept with the module that is its cause: one of the modules may be imported by another, long before its turn.
    """

    def __init__(self, packages: frozenset[str], folders: tuple[str, ...]) -> None:
        self._packages = packages
        self._folders = folders
        self._effects: list[tuple[str, str]] = []
        self._on = False
        sys.addaudithook(self._hear)
        # Python 3.11 has no audit event for threads.
        start = threading.Thread.start

        def started(thread: threading.Thread) -> None:
            if self._on:
                self._note("starts a thread")
            start(thread)

        threading.Thread.start = started  # type: ignore[assignment, method-assign]
        start_new = _thread.start_new_thread

        def started_below(*arguments: Any) -> int:
            if self._on:
                self._note("starts a thread")
            return start_new(*arguments)

        _thread.start_new_thread = started_below

    def begin(self) -> int:
        self._on = True
        return len(self._effects)

    def end(self, began: int) -> list[str]:
        """What happened since."""
        self._on = False
        return [effect for _, effect in self._effects[began:]]

    def of(self, module: str) -> list[str]:
        """What a module did, whenever it was imported."""
        return [effect for cause, effect in self._effects if cause == module]

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        effect = _EVENTS.get(event)
        if event == "open":
            path, _, flags = arguments
            if not isinstance(path, str | bytes) or not isinstance(flags, int) or not flags & _WRITES:
                return
            name = os.fsdecode(path)
            if "__pycache__" in name or name == os.devnull:
                return
            effect = f"opens {os.path.basename(name)} for writing"  # noqa: PTH119 – pathlib would be imported for the modules
        elif event in ("os.putenv", "os.unsetenv"):
            effect = f"changes the environment variable {os.fsdecode(arguments[0])}"
        if effect is not None:
            self._note(effect)

    def _note(self, effect: str) -> None:
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            name = str(frame.f_globals.get("__name__", ""))
            if name.partition(".")[0] in self._packages or self._is_own(str(frame.f_globals.get("__file__") or "")):
                self._effects.append((name, effect))
                return
            # An import in between: a library sets itself up, as its own import would anywhere.
            if name == "importlib._bootstrap":
                return
            frame = frame.f_back

    def _is_own(self, file: str) -> bool:
        """Of the project, beside the packages that were asked for; what is installed may lie in its folder too."""
        return file.startswith(self._folders) and "site-packages" not in file


def answer(question: dict[str, Any]) -> None:
    """question: {modules: [{role, module, attribute}], folders, application, routes: [[method, path]], reply}."""
    packages = frozenset(item["module"].partition(".")[0] for item in question["modules"])
    watch = _Watch(packages, tuple(os.path.join(folder, "") for folder in question["folders"]))  # noqa: PTH118 – as with basename
    found: dict[str, Any] = {"modules": [_look(item, watch) for item in question["modules"]]}
    for item, seen in zip(question["modules"], found["modules"], strict=True):
        seen["effects"] = list(dict.fromkeys([*watch.of(item["module"]), *seen["effects"]]))
    if question["application"] and not any(seen["present"] for seen in found["modules"]):
        # Nothing that was asked for is there: what the application would serve without it says nothing.
        found["application"] = {"error": "none of its modules could be had", "mounted": []}
    elif question["application"]:
        found["application"] = _mounted(question["application"], question["routes"])
    with os.fdopen(question["reply"], "w") as reply:
        json.dump(found, reply)
    # Threads and handlers that the modules left behind must not keep the answer waiting.
    os._exit(0)


def _look(item: dict[str, str], watch: _Watch) -> dict[str, Any]:
    threads = set(threading.enumerate())
    began = time.perf_counter()
    error = ""
    mark = watch.begin()
    try:
        module = importlib.import_module(item["module"])
    except BaseException as raised:
        error, module = _said(raised), None
    effects = watch.end(mark)
    seconds = time.perf_counter() - began
    left = [thread for thread in threading.enumerate() if thread not in threads]
    effects += [f"leaves the thread {thread.name} running" for thread in left]
    present = module is not None and hasattr(module, item["attribute"])
    return {
        "role": item["role"],
        "error": error,
        "seconds": seconds,
        "present": present,
        "kind": type(getattr(module, item["attribute"])).__name__ if present else "",
        "effects": effects,
    }


def _mounted(application: str, routes: list[list[str]]) -> dict[str, Any]:
    module, _, attribute = application.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
        if not hasattr(found, "routes"):
            found = found()
        return {"error": "", "mounted": [_serves(found, method, path) for method, path in routes]}
    except BaseException as raised:
        return {"error": _said(raised), "mounted": []}


def _serves(application: Any, method: str, path: str) -> bool:
    sample = "/".join(_SAMPLE if part.startswith("{") else part for part in path.split("/"))
    scope = {"type": "http", "method": method, "path": sample, "root_path": "", "headers": [], "query_string": b""}
    return _matches(application.routes, {**scope, "app": application}, whole=":path}" in path)


def _matches(routes: Any, scope: dict[str, Any], *, whole: bool) -> bool:
    """whole: the path that is wanted takes whatever follows."""
    for route in routes:
        match, child = route.matches(scope)
        if match.value != _FULL_MATCH:
            continue
        if hasattr(route, "methods") or not hasattr(route, "routes"):
            # What takes every path takes this one too, and is no route of it: a page for whatever is not there.
            taken = getattr(route, "param_convertors", {}).values()
            return whole or not any(type(convertor).__name__ == "PathConvertor" for convertor in taken)
        # A mount takes everything below its prefix: what it serves, its own routes must say.
        if _matches(route.routes or (), {**scope, **child}, whole=whole):
            return True
    return False


def _said(raised: BaseException) -> str:
    text = " ".join(str(raised).split())
    return f"{type(raised).__name__}: {text}" if text else type(raised).__name__
