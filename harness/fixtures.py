"""The fake Evolution API as a pytest fixture, in every project that golive is installed for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.evolution import FakeEvolution

__all__ = ["fake_evolution"]


@pytest.fixture
def fake_evolution() -> Iterator[FakeEvolution]:
    """A fake of the test's own: `url` and `key` for the backend, the control plane's verbs for the test, a clock to advance."""
    # Here, so that a pytest run that does not use it pays nothing for it and needs no extra.
    from harness.clock import VirtualClock
    from harness.evolution import FakeEvolution

    with FakeEvolution(clock=VirtualClock()) as fake:
        yield fake
