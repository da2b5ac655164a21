"""Runs a part of the gate in a clean interpreter: no environment, no current folder, a time limit, JSON in and out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gate.errors import GateError

__all__ = ["ask"]

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")
_START = (
    "import json, sys; question = json.load(sys.stdin); sys.path[:0] = question.pop('paths');"
    " from {module} import answer; answer(question)"
)
_MOST_SHOWN = 300


def ask(
    module: str,
    question: Mapping[str, Any],
    *,
    paths: Sequence[Path],
    timeout_s: float,
    what: str,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Imports `module` there and calls its `answer(question)`, which writes one JSON object to the descriptor `reply`.

    `paths` come first on the import path. Raises GateError when there is no answer: the time was over, or the interpreter died.
    """
    read_end, write_end = os.pipe()
    own = Path(__file__).parent.parent.parent
    request = json.dumps({**question, "reply": write_end, "paths": [*(str(path.absolute()) for path in paths), str(own)]})
    try:
        # Its own session, so that whatever the imported code starts ends with it.
        with subprocess.Popen(
            [sys.executable, "-I", "-c", _START.format(module=module)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={name: os.environ[name] for name in _KEPT if name in os.environ} | dict(environment or {}),
            pass_fds=(write_end,),
            start_new_session=True,
            cwd=os.sep,
        ) as child:
            os.close(write_end)
            write_end = -1
            try:
                _, errors = child.communicate(request.encode(), timeout=timeout_s)
            except subprocess.TimeoutExpired:
                raise GateError(f"{what}: no answer within {timeout_s:g} s; something in there waits or never ends") from None
            finally:
                _end(child)
        with os.fdopen(read_end, "rb") as reply:
            read_end = -1
            content = reply.read()
    finally:
        for descriptor in (read_end, write_end):
            if descriptor >= 0:
                os.close(descriptor)
    try:
        found = json.loads(content)
    except ValueError:
        lines = errors.decode(errors="replace").strip().splitlines()
        last = lines[-1][:_MOST_SHOWN] if lines else "it said nothing"
        raise GateError(f"{what}: the interpreter ended with exit status {child.returncode}: {last}") from None
    return dict(found)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends the whole session: a child of the imported code would otherwise hold the pipes open."""
    import signal

    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
