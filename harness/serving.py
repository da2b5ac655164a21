"""Serves an ASGI application on loopback from a thread of this process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from harness.errors import HarnessError

__all__ = ["bind", "served"]

START_S = 20.0
# The reference lets a call to its provider end first, which takes up to its time limit of 15 s and some more.
STOP_S = 40.0
SWITCH_S = 0.0005


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises HarnessError in one line when the port is taken."""
    # asyncio switches Nagle's delay off only where the protocol is named; without it every answer waits 40 ms.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise HarnessError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another port, or 0 for a free one"
        ) from error
    listener.listen(2048)
    return listener


@contextlib.contextmanager
def served(app: Any, listener: socket.socket, *, lifespan: Callable[[], AbstractAsyncContextManager[Any]]) -> Iterator[None]:
    """Serves `app` on `listener` while the block runs; `lifespan` surrounds the serving, in the same event loop.

    Raises HarnessError in one line when it does not start. Requests under way get a moment to end.
    """
    import uvicorn
    import uvloop

    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=3)
    server = uvicorn.Server(config)
    ready = threading.Event()
    problems: list[BaseException] = []

    async def serve() -> None:
        async with lifespan():
            ready.set()
            await server.serve(sockets=[listener])

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve())
        except BaseException as error:
            problems.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, name="served", daemon=True)
    # Server and client share this interpreter: with the usual 5 ms each would wait that long for the other's thread.
    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    thread.start()
    try:
        if not ready.wait(START_S):
            raise HarnessError(f"the application did not start within {START_S:g} s")
        if problems:
            raise _as_harness_error(problems.pop())
        yield
    finally:
        server.should_exit = True
        thread.join(STOP_S)
        sys.setswitchinterval(switch_interval)
        listener.close()
    if thread.is_alive():
        raise HarnessError(f"the application did not stop within {STOP_S:g} s")
    if problems:
        raise _as_harness_error(problems[0])


def _as_harness_error(problem: BaseException) -> HarnessError:
    words = str(problem).partition("\n")[0] or type(problem).__name__
    error = HarnessError(f"the application could not be served: {words}")
    error.__cause__ = problem
    return error
