"""`python -m benchmarks [NAME …]`: the usual ones, or those that are named.

Heavy ones run only when named: augmentation, choosing, compiling, engines, evaluate, fillings, finetuning, in_time,
integers, mislabels, pooling, predict, ray, report, soak and unknown (minutes), learning and peers (an environment of
their own, see the modules), build_scraped, million, rows and throughput (many photos).
`python -m benchmarks.planted --help` and the like tell of more.
"""

from __future__ import annotations

import importlib
import sys

NAMES = ("start_up", "rescan", "http_latency", "build", "planted")
HEAVY = (
    "augmentation",
    "build_scraped",
    "choosing",
    "compiling",
    "engines",
    "evaluate",
    "fillings",
    "finetuning",
    "in_time",
    "integers",
    "learning",
    "million",
    "mislabels",
    "peers",
    "pooling",
    "predict",
    "ray",
    "report",
    "rows",
    "scale",
    "servers",
    "soak",
    "throughput",
    "unknown",
)


def main() -> None:
    """Run them one after the other."""
    for name in sys.argv[1:] or NAMES:
        if name not in (*NAMES, *HEAVY):
            sys.exit(f"error: there is no benchmark {name!r}. Known: {', '.join((*NAMES, *HEAVY))}.")
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
