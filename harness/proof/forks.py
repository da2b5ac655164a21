"""Work in processes of its own that cost no start: one process imports everything, then forks for each piece of work.

    golive's process ──stdin: one JSON line a piece──▶ the forking process ──fork──▶ one process a piece, a session of its own
                     ◀─stdout: one JSON line an end──

The forking process runs nothing itself, so it has one thread and may fork. It ends, and all that it forked with it, when its
standard input does: neither Ctrl-C nor the death of its parent leaves anything behind.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.children import child
from harness.errors import HarnessError

__all__ = ["Forks", "forks"]

STOP_S = 10.0


class Forks:
    """Starts pieces of work, each a call with a JSON document, and tells how each ended. Safe in several threads."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._next = 0
        self._waiting: dict[int, queue.Queue[int | None]] = {}
        self._reader = threading.Thread(target=self._read, name="forks", daemon=True)
        self._reader.start()

    def run(self, function: str, document: Mapping[str, Any], *, time_limit_s: float) -> int | None:
        """The exit status of `package.module:function`, negative for a signal; None when it was ended at its time limit.

        Raises HarnessError when the forking process is gone.
        """
        ended: queue.Queue[int | None] = queue.Queue()
        with self._lock:
            self._next += 1
            number = self._next
            self._waiting[number] = ended
        self._tell({"number": number, "function": function, "document": dict(document)})
        try:
            status = ended.get(timeout=time_limit_s)
        except queue.Empty:
            self._tell({"number": number, "end": True})
            with contextlib.suppress(queue.Empty):
                ended.get(timeout=STOP_S)
            return None
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        if status is None:
            raise HarnessError("the process that forks is gone")
        return status

    def close(self) -> None:
        """After the forking process has ended."""
        self._reader.join(STOP_S)
        if self._server.stdout is not None:
            self._server.stdout.close()

    def _tell(self, line: Mapping[str, Any]) -> None:
        with self._lock:
            if self._server.stdin is None or self._server.poll() is not None:
                raise HarnessError("the process that forks is gone")
            self._server.stdin.write(json.dumps(line).encode() + b"\n")
            self._server.stdin.flush()

    def _read(self) -> None:
        for line in self._server.stdout or ():
            told = json.loads(line)
            with self._lock:
                waiting = self._waiting.get(told["number"])
            if waiting is not None:
                waiting.put(told["status"])
        with self._lock:
            for waiting in self._waiting.values():
                waiting.put(None)


@contextlib.contextmanager
def forks(preload: Sequence[str], *, log: Path) -> Iterator[Forks]:
    """A forking process with these modules loaded and their `module:function` called; what it and its forks say goes to `log`."""
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        # Closed when its process has ended.
        closing = stack.enter_context(contextlib.ExitStack())
        server, _ = stack.enter_context(
            child("harness.proof.forks", *preload, stop_s=STOP_S, stdout=subprocess.PIPE, stderr=output)
        )
        started = Forks(server)
        closing.callback(started.close)
        yield started


def main(preload: Sequence[str]) -> int:
    """The forking process."""
    for name in preload:
        module, _, function = name.partition(":")
        loaded = importlib.import_module(module)
        if function:
            getattr(loaded, function)()
    # What is there now stays: no fork has to look through it for garbage, or copy it by doing so.
    gc.collect()
    gc.freeze()
    # Its end is told through a pipe of the process's own, so that waiting for work and for ends is one wait.
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            pending = b""
            while True:
                for key, _ in selector.select():
                    if key.fd == woken:
                        os.read(woken, 4096)
                        _reap(running)
                        continue
                    received = os.read(0, 65536)
                    if not received:
                        return 0
                    *lines, pending = (pending + received).split(b"\n")
                    for line in lines:
                        _obey(json.loads(line), running, closing=(woken, wake))
    finally:
        for pid in running:
            _end(pid)


def _obey(told: Mapping[str, Any], running: dict[int, int], *, closing: Sequence[int]) -> None:
    if told.get("end"):
        for pid, number in running.items():
            if number == told["number"]:
                _end(pid)
        return
    pid = os.fork()
    if pid:
        running[pid] = told["number"]
        return
    status = 70
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # What this process writes to its standard output must not be taken for the forking process's words.
        for descriptor in closing:
            os.close(descriptor)
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor is needed, not a path
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        module, _, function = told["function"].partition(":")
        status = int(getattr(importlib.import_module(module), function)(told["document"]))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Without the clean-up of the process it was copied from.
        os._exit(status)


def _reap(running: dict[int, int]) -> None:
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            # Whatever it started and left behind goes with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            told = json.dumps({"number": running.pop(pid), "status": os.waitstatus_to_exitcode(status)})
            os.write(1, told.encode() + b"\n")


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
