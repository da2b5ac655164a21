"""The three ways to run a fake, to be used alike: a thread of this process, a process of its own, a container."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Literal

import httpx

from harness.clock import VirtualClock
from harness.evolution import EvolutionControl, FakeEvolution
from harness.tests.running import ROOT, environment

TOKEN = "control"
# Real seconds that each step of the time waits at most for deliveries under way to a listener in another process.
PATIENCE = 0.5
Mode = Literal["in-process", "process", "container"]
# Time is moved by the tests alone, and every fake begins alike.
SERVE = ("--virtual-clock", "--frozen")


class RemoteClock:
    """The clock of a fake elsewhere, read and moved through its control plane; what a test uses of `VirtualClock`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._control = EvolutionControl(url, TOKEN)

    def now(self) -> datetime:
        return datetime.fromisoformat(self._control.read_clock()["now"])

    def monotonic(self) -> float:
        return self._control.monotonic()

    @property
    def frozen(self) -> bool:
        return bool(self._control.read_clock()["frozen"])

    def freeze(self) -> None:
        self._control.freeze()

    def resume(self) -> None:
        self._control.resume()

    def advance(self, seconds: float) -> None:
        self._control.advance(seconds, patience=0)

    def next_deadline(self) -> float | None:
        return self._control.next_deadline()

    def next_wait(self) -> float | None:
        return self._control.next_wait()

    async def sleep(self, seconds: float) -> None:
        # The sleeper is the fake's own, so that who moves the time sees it; the call can be cancelled, which a thread cannot.
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=None) as client:
            answer = await client.post(
                f"{self._url}/__fake__/clock/sleep", json={"seconds": seconds}, headers={"X-Fake-Token": TOKEN}
            )
            answer.raise_for_status()

    async def limit(self, seconds: float) -> None:
        await self.sleep(seconds)

    def disconnect(self) -> None:
        self._control.disconnect()


class RemoteFake(EvolutionControl):
    """A fake elsewhere with the attributes of `FakeEvolution` that clients need. Its clock stands still."""

    def __init__(self, url: str, *, key: str, control_url: str) -> None:
        super().__init__(control_url, TOKEN)
        self._api = url
        self.control_url = control_url
        self.key = key
        self.control_token = TOKEN
        self.clock = RemoteClock(control_url)

    @property
    def url(self) -> str:
        return self._api

    def advance(self, seconds: float, *, patience: float | None = None) -> dict[str, Any]:
        # A listener asks for the time and sleeps over HTTP: where the processor is busy, time must not run away from it.
        return super().advance(seconds, patience=PATIENCE if patience is None else patience)

    def disconnect(self) -> None:
        self.clock.disconnect()
        super().disconnect()


AnyFake = FakeEvolution | RemoteFake
AnyClock = VirtualClock | RemoteClock


@contextlib.contextmanager
def _in_process(key: str, seed: int) -> Iterator[AnyFake]:
    with FakeEvolution(key=key, clock=VirtualClock(frozen=True), control_token=TOKEN, seed=seed) as fake:
        yield fake


@contextlib.contextmanager
def _as_a_process(key: str, seed: int) -> Iterator[AnyFake]:
    """`golive fake serve` as a user starts it. It must end in silence when it is told to."""
    command = [sys.executable, "-m", "harness.cli", "fake", "serve", "--port", "0", "--seed", str(seed), *SERVE]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(GOLIVE_EVOLUTION_KEY=key, GOLIVE_CONTROL_TOKEN=TOKEN, TZ="UTC"),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert process.stdout.readline() == f"phone simulator: {url}/__fake__/phone\n"
            assert url.startswith("http://"), f"{' '.join(command)} printed {url!r}"
            with EvolutionControl(url, TOKEN) as asking:
                control_url = asking.health()["controlUrl"]
            with RemoteFake(url, key=key, control_url=control_url) as fake:
                yield fake
        finally:
            process.terminate()
            output, _ = process.communicate(timeout=30)
        errors.seek(0)
        printed = output + errors.read()
        assert (process.returncode, printed) == (0, ""), f"the fake ended with {process.returncode} and said: {printed}"


@contextlib.contextmanager
def _in_a_container(key: str, seed: int) -> Iterator[AnyFake]:
    from harness.containers import FakeEvolutionContainer

    with FakeEvolutionContainer(key=key, control_token=TOKEN, seed=seed, frozen=True) as container:
        with RemoteFake(container.url, key=key, control_url=container.control_url) as fake:
            yield fake
        container.get_wrapped_container().stop()
        output, errors = container.get_logs()
        # Its address and that of the phone simulator.
        assert (output.decode().count("\n"), errors.decode()) == (2, "")


LAUNCHERS: dict[Mode, Callable[[str, int], contextlib.AbstractContextManager[Any]]] = {
    "in-process": _in_process,
    "process": _as_a_process,
    "container": _in_a_container,
}


def listening_place(mode: Mode) -> tuple[str, str]:
    """Where a webhook listener listens and how the fake reaches it: (address, name)."""
    return ("0.0.0.0", "host.docker.internal") if mode == "container" else ("127.0.0.1", "127.0.0.1")
