from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from starlette.requests import Request

from reference_impl.adapters.events import EventBroker
from reference_impl.domain.errors import ThrottledError
from reference_impl.entrypoints.routes.whatsapp import events

REQUEST = Request({"type": "http", "headers": [(b"authorization", b"Bearer token")]})


async def _asked(broker: EventBroker, unit: UUID) -> int:
    """The status that a unit gets which asks for one more stream."""
    # What the route takes from its services before the stream begins.
    services = cast("Any", SimpleNamespace(events=broker))
    return (await events(unit, REQUEST, services)).status_code


def test_a_unit_has_a_hundred_streams_and_takes_none_from_another() -> None:
    broker, unit = EventBroker(), uuid4()
    with contextlib.ExitStack() as open_streams:
        for _ in range(100):
            assert asyncio.run(_asked(broker, unit)) == 200
            open_streams.enter_context(broker.subscribed(unit))
        with pytest.raises(ThrottledError, match="Too many open streams"):
            asyncio.run(_asked(broker, unit))
        assert asyncio.run(_asked(broker, uuid4())) == 200
    assert asyncio.run(_asked(broker, unit)) == 200, "those that have ended count no more"
