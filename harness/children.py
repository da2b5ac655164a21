"""Processes of ours beside this one. Each ends with its standard input: neither Ctrl-C nor our death leaves one behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

__all__ = ["child"]


@contextlib.contextmanager
def child(
    module: str, *arguments: str, stop_s: float, stdout: IO[bytes] | int, stderr: IO[bytes] | int
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """`python -m module` in a session of its own, and its standard input.

    At the end that is closed, and a process that has not gone after `stop_s` seconds is killed with all that it started.
    """
    packages = str(Path(__file__).resolve().parents[1])
    started = subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        # It may start in any directory: the packages are found where this one was.
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (packages, os.environ.get("PYTHONPATH", ""))))},
        # Ctrl-C is for whoever asked, who then closes its standard input.
        start_new_session=True,
    )
    stdin = cast("IO[bytes]", started.stdin)
    try:
        yield started, stdin
    finally:
        with contextlib.suppress(OSError):
            stdin.close()
        try:
            started.wait(stop_s)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
