"""How fast secrets are found, and how many: the shipped engine beside detect-secrets, over one corpus in one run.

    python -m harness.benchmarks.secrets [--megabytes 20] [--peer]

CPU seconds of this process are measured, not the wall: other processes have their part in that. detect-secrets is measured where
it is installed and asked for.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from gate.facts.secret_scan import Scanner
from gate.tests.secrets.corpus import Sample, decoys, secrets

__all__ = ["main"]

SEEDS = (1, 2, 3)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m harness.benchmarks.secrets", description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=20, help="of source to scan for speed")
    parser.add_argument("--peer", action="store_true", help="measure detect-secrets too, on a part of it")
    given = parser.parse_args(arguments)
    planted = [sample for seed in SEEDS for sample in secrets(seed)]
    harmless = list(decoys())
    scanner = Scanner()
    hits = sum(any(not one.allowed for one in scanner.scan(sample.content, sample.path)) for sample in planted)
    alarms = sum(any(not one.allowed for one in scanner.scan(sample.content, sample.path)) for sample in harmless)
    source = _source(given.megabytes * 1_000_000)
    began = time.process_time()
    for sample in source:
        scanner.scan(sample.content, sample.path)
    ours = _rate(source, time.process_time() - began)
    print(f"golive          recall {hits / len(planted):6.1%} of {len(planted)}   false alarms {alarms / len(harmless):5.1%} of"  # noqa: T201
          f" {len(harmless)}   {ours:8.2f} MB/s")  # fmt: skip
    if given.peer:
        if importlib.util.find_spec("detect_secrets") is None:
            print("detect-secrets  not installed: pip install detect-secrets")  # noqa: T201
            return 3
        _peer(planted, harmless, source, ours)
    return 0


def _source(size: int) -> list[Sample]:
    """This project's own files again and again, up to that many bytes."""
    root = Path(__file__).parent.parent.parent
    endings = {".py", ".toml", ".sql", ".md", ".json", ".feature"}
    files = [path for path in sorted(root.rglob("*")) if path.suffix in endings and path.is_file() and ".venv" not in path.parts]
    texts = [Sample(name=path.name, path=path.relative_to(root).as_posix(), content=path.read_bytes()) for path in files]
    found: list[Sample] = []
    while sum(len(sample.content) for sample in found) < size:
        found += texts
    return found


def _rate(samples: Sequence[Sample], seconds: float) -> float:
    return sum(len(sample.content) for sample in samples) / 1e6 / seconds


def _peer(planted: Sequence[Sample], harmless: Sequence[Sample], source: Sequence[Sample], ours: float) -> None:
    part = source[: max(1, len(source) // 40)]
    found = _detected(planted)
    alarms = _detected(harmless)
    began = time.perf_counter()
    _detected(part)
    rate = _rate(part, time.perf_counter() - began)
    print(f"detect-secrets  recall {len(found) / len(planted):6.1%} of {len(planted)}   false alarms"  # noqa: T201
          f" {len(alarms) / len(harmless):5.1%} of {len(harmless)}   {rate:8.2f} MB/s (wall, one process)")  # fmt: skip
    print(f"ratio of speed  {ours / rate:.0f}")  # noqa: T201


def _detected(samples: Sequence[Sample]) -> set[str]:
    """Which samples detect-secrets finds something in, by their folders."""
    with tempfile.TemporaryDirectory() as folder:
        for number, sample in enumerate(samples):
            path = Path(folder, str(number), sample.path)
            path.parent.mkdir(parents=True)
            path.write_bytes(sample.content)
        code = (
            "import json, sys\n"
            "from pathlib import Path\n"
            "from detect_secrets.core.scan import scan_file\n"
            "from detect_secrets.settings import default_settings\n"
            "with default_settings():\n"
            "    files = [str(path) for path in Path(sys.argv[1]).rglob('*') if path.is_file()]\n"
            "    print(json.dumps([path for path in files if any(True for _ in scan_file(path))]))\n"
        )
        run = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
        return {Path(path).relative_to(folder).parts[0] for path in json.loads(run.stdout)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
