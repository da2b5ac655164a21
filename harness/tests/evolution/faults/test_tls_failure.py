from __future__ import annotations

import httpx
import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.faults import CUT


@pytest.mark.parametrize(
    ("alert", "words"),
    [
        ("handshake-failure", "handshake failure"),
        ("certificate-expired", "certificate expired"),
        ("protocol-version", "protocol version"),
        ("internal-error", "internal error"),
        ("unrecognized-name", "unrecognized name"),
    ],
)
def test_a_tls_client_gets_a_fatal_alert(evolution: FakeEvolution, alert: str, words: str) -> None:
    url = evolution.url.replace("http:", "https:")
    evolution.inject("tls-failure", alert=alert)
    with pytest.raises(httpx.ConnectError, match=f"(?i){words}"):
        httpx.get(url, verify=False)
    assert evolution.faults()[0]["fired"] == 1
    evolution.withdraw()
    # Without the fault plain HTTP answers the handshake, as a wrong base URL has it.
    with pytest.raises(httpx.ConnectError, match="(?i)wrong version number"):
        httpx.get(url, verify=False)


def test_new_plain_connections_are_cut_and_those_that_are_open_go_on(evolution: FakeEvolution, api: httpx.Client) -> None:
    assert api.get("/").status_code == 200
    evolution.inject("tls-failure")
    assert api.get("/").status_code == 200
    with pytest.raises(CUT):
        httpx.get(evolution.url)
    evolution.withdraw()
    assert httpx.get(evolution.url).status_code == 200


def test_the_control_plane_goes_on(evolution: FakeEvolution) -> None:
    evolution.inject("tls-failure")
    answer = httpx.get(f"{evolution.url}/__fake__/health", headers={"X-Fake-Token": "control"})
    assert answer.json()["status"] == "ok"
