"""`python -m benchmarks [NAME …]`: all of them, or those that are named."""

from __future__ import annotations

import importlib
import sys

NAMES = ("start_up", "rescan", "http_latency", "build")


def main() -> None:
    """Run them one after the other."""
    for name in sys.argv[1:] or NAMES:
        if name not in NAMES:
            sys.exit(f"error: there is no benchmark {name!r}. Known: {', '.join(NAMES)}.")
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
