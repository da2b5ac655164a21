"""Starting, stopping and serving a fake."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest

from harness.clock import VirtualClock
from harness.evolution import FakeEvolution, FakeServerError, serve


def _life(seed: int | None) -> list[Any]:
    """What a client sees of one instance's life, times aside."""
    clock = VirtualClock(frozen=True)
    with (
        FakeEvolution(key="k", clock=clock, control_token="t", seed=seed) as fake,
        httpx.Client(base_url=fake.url, headers={"apikey": "k"}) as api,
    ):
        body = api.post(
            "/instance/create", json={"instanceName": "shop", "integration": "WHATSAPP-BAILEYS", "number": "5511999991111"}
        ).json()
        fake._fake.store.identity.qr_reference("shop")
        return [
            body["hash"],
            body["instance"]["instanceId"],
            fake._fake.store.identity.qr_reference("shop"),
            fake._fake.store.identity.message("shop"),
        ]


def test_the_same_seed_and_calls_give_the_same_ids_tokens_and_codes() -> None:
    assert _life(5) == _life(5)
    assert _life(5) != _life(6)
    assert _life(None) != _life(None)


def test_a_taken_port_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FakeServerError, match=f"cannot listen on 127.0.0.1:{port}: .*choose another port"):
            FakeEvolution(key="k", port=port).start()
        with pytest.raises(FakeServerError, match="choose another port"):
            serve(port=port, key="k", on_ready=lambda _: None)


def test_it_answers_soon_after_start_and_frees_the_port_on_stop() -> None:
    fake = FakeEvolution(key="k")
    with pytest.raises(FakeServerError, match="has no address before it has started"):
        _ = fake.url
    fake.start()
    with pytest.raises(FakeServerError, match="already running"):
        fake.start()
    url = fake.url
    assert httpx.get(url).json()["version"] == "2.3.7"
    fake.stop()
    fake.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    with FakeEvolution(key="k", port=int(url.rpartition(":")[2])) as again:
        assert again.url == url


def test_a_stop_does_not_wait_for_requests_that_are_kept_open() -> None:
    from concurrent.futures import ThreadPoolExecutor

    clock = VirtualClock(frozen=True)
    with ThreadPoolExecutor(max_workers=1) as pool:
        with FakeEvolution(key="k", clock=clock, control_token="t") as fake:
            fake.inject("slow-answer", seconds=3600)
            waiting = pool.submit(httpx.get, fake.url, timeout=30)
            while not fake.requests():
                pass
            began = time.monotonic()
        assert time.monotonic() - began < 3
        with pytest.raises(httpx.TransportError):
            waiting.result()


def test_it_works_in_process_without_a_port() -> None:
    import asyncio

    fake = FakeEvolution(key="k")

    async def visit() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(fake.app), base_url="http://fake") as client:
            return (await client.get("/instance/fetchInstances", headers={"apikey": "k"})).status_code

    assert asyncio.run(visit()) == 200


@pytest.mark.process
def test_it_serves_as_a_process_until_it_is_told_to_stop() -> None:
    program = (
        "from harness.evolution import serve; serve(key='k', control_token='t', on_ready=lambda url: print(url, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx.get(url).status_code == 200
        os.kill(process.pid, signal.SIGTERM)
        output, errors = process.communicate(timeout=10)
        assert (output, errors) == ("", "")
    assert process.returncode in {0, -signal.SIGTERM}


def test_http_looks_like_express(evolution: FakeEvolution, api: httpx.Client) -> None:
    answer = api.get("/nope?x=1")
    assert (answer.status_code, answer.json()["response"]["message"]) == (404, ["Cannot GET /nope?x=1"])
    assert answer.headers["x-powered-by"] == "Express"
    assert answer.headers["keep-alive"] == "timeout=5"
    assert answer.headers["etag"].startswith('W/"')
    assert api.put("/instance/create").status_code == 404
    assert api.get("/instance/fetchInstances/").status_code == 200
    assert api.get("/INSTANCE/fetchinstances").status_code == 200
    assert [api.get(path).status_code for path in ("/instance", "/instance/connectionState/a/b", "/instance//a")] == [404] * 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a":', "Unexpected end of JSON input"),
        (b'{"a":1,', "Expected double-quoted property name in JSON at position 7"),
        (b'{"a":1 "b"', "Expected ',' or '}' after property value in JSON at position 7"),
        (b"{'a':1}", "Expected property name or '}' in JSON at position 1"),
    ],
)
def test_malformed_json_is_400_without_a_key_in_the_parsers_words(evolution: FakeEvolution, content: bytes, words: str) -> None:
    answer = httpx.post(f"{evolution.url}/instance/create", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (400, "Internal Server Error")
    assert answer.json()["response"]["message"] == words


def test_a_large_body_is_taken(evolution: FakeEvolution, api: httpx.Client, open_instance: str) -> None:
    text = "x" * 70_000
    answer = api.post(
        "/message/sendText/shop",
        content=json.dumps({"number": "5511988887777", "text": text}),
        headers={"content-type": "application/json"},
    )
    assert answer.json()["message"]["conversation"] == text
