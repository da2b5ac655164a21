"""The fake beside its peers: `python -m harness.benchmarks.fake [sends|start|memory|deliveries …] [--json FILE]`.

Absolute figures mean nothing on a shared machine; ratios do. Servers run alternately, one after the other in every round, each in
a process of its own whose CPU time the kernel counts; the load comes from another process. A figure above its aim ends the script
with status 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.benchmarks.apps import ANSWER
from harness.benchmarks.load import Wish
from harness.benchmarks.peers import NotMeasured, Running, contestants, fake_server

ROUNDS = 8
AIMS = {"sends": 1.8, "start_s": 0.5, "start_in_process_s": 0.05, "memory_growth": 1.05, "deliveries_cpu": 1.0}
_TEXT = str(ANSWER["message"]["conversation"])  # type: ignore[index]
_BODIES = [json.dumps({"number": f"55119{80_001_000 + number}", "text": _TEXT}) for number in range(1_000)]
# The acknowledgements of a send come up to half a second later; what they cost belongs to it.
_SETTLING_SECONDS = 0.8


def drive(
    server: Running,
    requests: int,
    *,
    connections: int = 64,
    paths: Sequence[str] = (),
    bodies: Sequence[str] = _BODIES,
    headers: Mapping[str, str] | None = None,
    status: int = 201,
) -> dict[str, float]:
    """CPU microseconds a request, requests a second and the last answer's bytes.

    Raises SystemExit unless all get `status`, NotMeasured without answers.
    """
    wish = Wish(
        host=server.host,
        port=server.port,
        paths=list(paths) or [server.path],
        headers=dict(headers or server.headers),
        bodies=list(bodies),
        requests=requests,
        connections=connections,
    )
    before = server.cpu_seconds()
    done = subprocess.run(
        (sys.executable, "-m", "harness.benchmarks.load", "-"),
        input=msgspec.json.encode(wish).decode(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotMeasured(f"the load failed: {done.stderr.strip().splitlines()[-1:]}")
    time.sleep(_SETTLING_SECONDS)
    spent = server.cpu_seconds() - before
    outcome = json.loads(done.stdout)
    if outcome["statuses"] != {str(status): requests}:
        sys.exit(f"{server.name}: not every request was answered with {status}: {outcome['statuses']}")
    return {"cpu_us": spent / requests * 1e6, "rps": requests / outcome["seconds"], "bytes": outcome["last_body"]}


def sends(options: argparse.Namespace) -> dict[str, Any]:
    """CPU a sendText over 64 connections, the fake's state kept and journal on, beside a bare ASGI application (= 1)."""
    figures: dict[str, list[dict[str, float]]] = {}
    missing: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(_scratch()))
        running: list[Running] = []
        for name, start in contestants().items():
            if options.only and not any(part.lower() in name.lower() for part in (*options.only, "bare ASGI")):
                continue
            try:
                server = stack.enter_context(start(scratch))
                drive(server, options.requests)
            except NotMeasured as reason:
                missing[name] = str(reason)
                continue
            running.append(server)
            figures[name] = []
        names = list(figures)
        for number in range(options.rounds):
            order = list(zip(names, running, strict=True))
            for name, server in order if number % 2 else reversed(order):
                figures[name].append(drive(server, options.requests))
    bare = figures[names[0]]
    results = {
        name: {
            "cpu_us": round(statistics.median(run["cpu_us"] for run in runs), 1),
            "ratio": round(statistics.median(one["cpu_us"] / base["cpu_us"] for one, base in zip(runs, bare, strict=True)), 2),
            "ratios": [round(one["cpu_us"] / base["cpu_us"], 2) for one, base in zip(runs, bare, strict=True)],
            "rps": round(statistics.median(run["rps"] for run in runs)),
            "answer_bytes": runs[-1]["bytes"],
        }
        for name, runs in figures.items()
    }
    met = float(str(results["golive fake"]["ratio"])) <= AIMS["sends"]
    return {
        "requests": options.requests,
        "rounds": options.rounds,
        "aim": AIMS["sends"],
        "met": met,
        "servers": results,
        "not_measured": missing,
    }


def start(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds to the first answer: of `golive fake serve` since its process was started, and of `FakeEvolution` in process.

    With compiled modules, as what is installed has them: the first run compiles them and does not count.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    alone = [_first_answer(env) for _ in range(options.rounds + 1)][1:]
    inside = [
        float(subprocess.run((sys.executable, "-c", _IN_PROCESS), env=env, capture_output=True, text=True, check=True).stdout)
        for _ in range(options.rounds)
    ]
    figures = {"start_s": round(statistics.median(alone), 3), "start_in_process_s": round(statistics.median(inside), 4)}
    met = all(figures[name] <= AIMS[name] for name in figures)
    return {
        **figures,
        "aims": {name: AIMS[name] for name in figures},
        "met": met,
        "worst_s": [round(max(alone), 3), round(max(inside), 4)],
    }


_IN_PROCESS = """
import socket, time
from harness.evolution import FakeEvolution
began = time.perf_counter()
with FakeEvolution(key="k") as evolution:
    host, port = evolution.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        assert b" 200 " in connection.recv(4096)
    print(time.perf_counter() - began)
"""


def _first_answer(env: Mapping[str, str]) -> float:
    import socket

    command = (sys.executable, "-m", "harness.cli", "fake", "serve", "--port", "0", "--key", "k")
    began = time.perf_counter()
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline() if process.stdout is not None else ""
        host, _, port = line.strip().removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answered = b" 200 " in connection.recv(4096)
        taken = time.perf_counter() - began
        process.terminate()
    if not answered:
        sys.exit("golive fake serve: the first answer was no 200")
    return taken


def memory(options: argparse.Namespace) -> dict[str, Any]:
    """Resident memory after 100,000, 500,000 and 1,000,000 sends (times `--scale`): flat once the journal is full."""
    marks = [int(mark * options.scale) for mark in (100_000, 500_000, 1_000_000)]
    resident: dict[int, int] = {}
    with fake_server() as server:
        sent = 0
        for mark in marks:
            drive(server, mark - sent)
            sent = mark
            resident[mark] = server.resident_bytes()
        health = server.control.health() if server.control is not None else {}
    growth = resident[marks[-1]] / resident[marks[0]]
    return {
        "resident_mib": {str(mark): round(size / 2**20, 1) for mark, size in resident.items()},
        "growth": round(growth, 3),
        "aim": AIMS["memory_growth"],
        "met": growth <= AIMS["memory_growth"],
        "health": health,
    }


def deliveries(options: argparse.Namespace) -> dict[str, Any]:
    """Inbound messages of many open instances, told to a listener in another process: rate, CPU, and that each came once."""
    names = [f"bench-{number}" for number in range(options.instances)]
    paths = [f"/__fake__/instances/{name}/incoming" for name in names]
    wanted, runs = options.instances * options.each, []
    with _listener() as listener:
        url = _asked(listener, "")
        webhook = {"url": f"{url}/hook", "events": ["MESSAGES_UPSERT"]}
        with fake_server(instances=names, webhook=webhook) as server:
            headers = {"X-Fake-Token": server.token}
            # Another process is the customers; what their messages cost the fake counts, as well as the deliveries.
            bodies = [json.dumps({"from": f"55119{80_001_000 + number}", "text": _TEXT}) for number in range(997)]
            for _ in range(options.rounds):
                before = server.cpu_seconds()
                drive(server, wanted, paths=paths, bodies=bodies, headers=headers, status=200)
                report = json.loads(_asked(listener, f"{wanted}\n"))
                runs.append({**report, "cpu_s": server.cpu_seconds() - before})
            resident = server.resident_bytes()
    complete = all(run["received"] == run["messages"] == wanted and run["instances"] == len(names) for run in runs)
    rate = statistics.median(run["received"] / run["seconds"] for run in runs)
    cpu = statistics.median(run["cpu_s"] / run["received"] * 1000 for run in runs)
    return {
        "instances": len(names),
        "deliveries_a_round": wanted,
        "each_once": complete,
        "per_s": round(rate),
        "cpu_s_per_1000": round(cpu, 3),
        "aim_cpu_s_per_1000": AIMS["deliveries_cpu"],
        "resident_mib": round(resident / 2**20, 1),
        "connections_made": runs[-1]["connections"],
        "met": complete and cpu <= AIMS["deliveries_cpu"],
    }


@contextlib.contextmanager
def _listener() -> Iterator[subprocess.Popen[str]]:
    command = (sys.executable, "-m", "harness.benchmarks.listener")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as listener:
        yield listener
        listener.terminate()


def _asked(listener: subprocess.Popen[str], question: str) -> str:
    """The listener's next line, after it was asked for it."""
    if listener.stdin is None or listener.stdout is None:
        raise ValueError("the listener has no pipes")
    listener.stdin.write(question)
    listener.stdin.flush()
    return listener.stdout.readline().strip()


@contextlib.contextmanager
def _scratch() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="golive-bench-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


BENCHMARKS = {"sends": sends, "start": start, "deliveries": deliveries, "memory": memory}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m harness.benchmarks.fake", description="The fake beside its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHMARKS)}; default all")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="counted runs of each server")
    parser.add_argument("--requests", type=int, default=6_000, help="sends in a run")
    parser.add_argument("--only", action="append", default=[], help="compare with contestants of this name alone; repeatable")
    parser.add_argument("--instances", type=int, default=1_000, help="open instances for the deliveries")
    parser.add_argument("--each", type=int, default=5, help="messages that come in for each instance in a run")
    parser.add_argument("--scale", type=float, default=1.0, help="of the million sends after which memory is read")
    parser.add_argument("--json", type=Path, default=None, help="also write the results to this file")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark is named {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    results: dict[str, Any] = {
        "machine": {"python": platform.python_version(), "architecture": platform.machine(), "cores": os.cpu_count()}
    }
    for name in options.names or BENCHMARKS:
        results[name] = BENCHMARKS[name](options)
        print(json.dumps({name: results[name]}, indent=1), flush=True)  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return int(any(not result.get("met", True) for result in results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
