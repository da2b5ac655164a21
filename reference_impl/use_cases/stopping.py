"""The end of this process, told to whoever waits: a wait is cut short, a call that is under way is not."""

from __future__ import annotations

import asyncio

from reference_impl.ports import Clock

__all__ = ["Stop"]


class Stop:
    """One for each process. `event` is set when it is to end; nobody takes it back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.event = asyncio.Event()

    @property
    def requested(self) -> bool:
        return self.event.is_set()

    def request(self) -> None:
        """From the event loop that the process lives in."""
        self.event.set()

    async def sleep(self, seconds: float) -> bool:
        """Whether `seconds` have passed; False when the process is to end before."""
        waits = [asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(self.event.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        return not self.requested
