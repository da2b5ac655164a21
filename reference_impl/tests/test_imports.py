from __future__ import annotations

import subprocess
import sys

import pytest

NAMES = [
    "reference_impl.entrypoints.routes.webhooks:router",
    "reference_impl.entrypoints.routes.messages:router",
    "reference_impl.use_cases.inbound:InboundMessages",
    "reference_impl.domain.webhooks:parse_event",
    "reference_impl.use_cases.campaigns:CampaignService",
    "reference_impl.adapters.evolution:EvolutionProvider",
]
_PROBE = """
import importlib, sys, threading
seen = set()
NETWORK_AND_CHILDREN = ("socket.connect", "socket.bind", "subprocess", "os.mkdir", "os.remove")


def watch(event, args):
    writes = event == "open" and isinstance(args[1], str) and any(mode in args[1] for mode in "wax+")
    if writes or event.startswith(NETWORK_AND_CHILDREN):
        seen.add(event)


sys.addaudithook(watch)
module, _, name = sys.argv[1].partition(":")
getattr(importlib.import_module(module), name)
heavy = {"procrastinate", "granian", "psycopg", "prometheus_client"} & set(sys.modules)
print(sorted(seen), threading.active_count(), sorted(heavy))
"""


@pytest.mark.process
@pytest.mark.parametrize("name", NAMES)
def test_a_module_imports_without_side_effects(name: str) -> None:
    result = subprocess.run([sys.executable, "-B", "-W", "error", "-c", _PROBE, name], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[] 1 []"
