from __future__ import annotations

import pytest

from reference_impl import chaffs, wheats
from reference_impl.bootstrap import build
from reference_impl.settings import Settings
from reference_impl.variants import names, override

PLANTED = [("CHAFF", name) for name in names(chaffs.__name__)] + [("WHEAT", name) for name in names(wheats.__name__)]
ENVIRONMENT = {
    "APP_ENV": "rehearsal",
    "BASE_URL": "http://127.0.0.1:9",
    "DATABASE_URL": "sqlite://",
    "EVOLUTION_API_URL": "http://127.0.0.1:9",
    "EVOLUTION_API_KEY": "k3-of-a-backend-that-nobody-opens-0001",
    "JWT_ACCESS_SECRET": "k3-of-a-backend-that-nobody-opens-0002",
    "JWT_REFRESH_SECRET": "k3-of-a-backend-that-nobody-opens-0003",
}


class Owner:
    limit = 3

    def sends(self, number: str, *, text: str, wait: bool = True) -> str:
        return f"{number}{text}{wait}"


@pytest.mark.parametrize(("switch", "name"), PLANTED, ids=lambda value: value)
def test_what_is_planted_takes_what_the_backend_gives(switch: str, name: str) -> None:
    # An override of another shape raises here.
    assert build(Settings.from_environment({**ENVIRONMENT, switch: name})).reached == 0


def test_an_override_of_another_shape_is_refused() -> None:
    owner = Owner()
    for wrong in (lambda: "", lambda number: number, lambda number, text: number):
        with pytest.raises(TypeError, match=r"Owner.sends takes \(number.*, its replacement does not"):
            override(owner, "sends", wrong)
    assert owner.sends("1", text="a") == "1aTrue"
    original = override(owner, "sends", lambda number, *, text, **_: f"{text}{number}")
    assert (owner.sends("1", text="a"), original("1", text="a")) == ("a1", "1aTrue")
    assert override(owner, "limit", 5) == 3
    assert owner.limit == 5
