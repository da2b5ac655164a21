"""Where a part finds its target, and what is said when it does not."""

from __future__ import annotations

import pytest

from harness.errors import HarnessError
from harness.evolution import FakeEvolution
from harness.targets import remote

CREDENTIALS = {"GOLIVE_ADMIN_EMAIL": "admin@example.com", "GOLIVE_ADMIN_PASSWORD": "correct-horse-battery"}


@pytest.mark.parametrize("token", ["", "wrong-0123456789"])
def test_a_control_plane_that_cannot_be_used_is_named_with_its_setting(token: str) -> None:
    with FakeEvolution(key="key-0123456789", control_token="right-0123456789" if token else None) as fake:
        environment = {**CREDENTIALS, "GOLIVE_CONTROL_TOKEN": token or "any-0123456789"}
        said = rf"--evolution {fake.url}: its control plane cannot be used: .* \(GOLIVE_CONTROL_TOKEN\)"
        with pytest.raises(HarnessError, match=said), remote("http://127.0.0.1:9", fake.url, environment):
            pass
