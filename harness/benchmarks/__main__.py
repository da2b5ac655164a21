from __future__ import annotations

import sys

from harness.benchmarks.commands import main

sys.exit(main(sys.argv[1:]))
