"""The phone simulator's document: what it is served with and what it offers, without a browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest

from harness.evolution import FakeEvolution
from harness.evolution.phone import headers, page


def _options() -> list[str]:
    select = re.search(r'<select id="kind">(.*?)</select>', page().decode(), re.DOTALL)
    assert select is not None
    return re.findall(r'<option value="([^"]+)"', select[1])


def test_the_page_needs_no_token_and_everything_behind_it_does(fake: FakeEvolution) -> None:
    answer = httpx.get(f"{fake.url}/__fake__/phone")
    assert (answer.status_code, answer.content) == (200, page())
    head = httpx.head(f"{fake.url}/__fake__/phone")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(page())))
    assert httpx.post(f"{fake.url}/__fake__/phone").status_code == 401
    assert httpx.get(f"{fake.url}/__fake__/phone/").status_code == 401
    assert httpx.get(f"{fake.url}/__fake__/instances").status_code == 401


def test_a_fake_without_a_control_plane_has_no_phone() -> None:
    with FakeEvolution(key="k") as fake:
        answer = httpx.get(f"{fake.url}/__fake__/phone")
    assert (answer.status_code, answer.json()["response"]["message"]) == (404, ["Cannot GET /__fake__/phone"])


def test_nothing_may_run_or_load_but_what_the_file_holds(fake: FakeEvolution) -> None:
    served = httpx.get(f"{fake.url}/__fake__/phone").headers
    assert {name: served[name] for name in headers()} == dict(headers())
    policy = dict(part.split(" ", 1) for part in served["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", policy["script-src"])
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", policy["style-src"])
    assert policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert (served["x-content-type-options"], served["referrer-policy"]) == ("nosniff", "no-referrer")


def test_the_file_is_complete_in_itself() -> None:
    document = page().decode()
    assert re.findall(r"\b(?:src|href)=\"(?!#|data:)[^\"]*\"", document) == []
    # The one address in it is the name of a language, which is never loaded.
    assert set(re.findall(r"https?://[^\"'` ]+", document)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in document
    assert "@import" not in document
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"):
        assert sink not in document


@pytest.mark.parametrize("kind", _options())
def test_every_kind_that_the_page_offers_exists(fake: FakeEvolution, paired: Callable[..., str], kind: str) -> None:
    name = paired("shop")
    fake.incoming(name, "5511987650001", "hello", kind=kind)
    fake.quiesce()
    shown = fake.messages(name, number="5511987650001")
    assert len(shown) == 1
    assert shown[0]["kind"].lower().startswith(kind.replace("-", "").replace("text", "conversation"))
