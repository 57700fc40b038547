"""Hours, dollars and memory for a lake of any size, of rates that `python -m benchmarks scale` has measured.

    python -m benchmarks.planning --photos 5e7 --machines 20 --cores 16 --memory-gb 64 --gbit 5 --dollars 0.7

A plan, not a measurement. Prices are arguments, not facts: a machine's hour, and a thousand requests to a bucket.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

RATES = Path(__file__).with_name("out") / "rates.json"
HEADER = ("step", "core hours", "hours", "held back by", "TB", "requests", "dollars")
_REQUESTS_A_READ = 2  # docs/remote.md
_FEATURES = 1280 * 4  # bytes of a view in memory, where a head is trained
_SENT = 7 * 128 * 4  # bytes of a photo's features that go to those who search: once to be sorted, to six cells after


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds and bytes a photo: of one core, and of the one program that directs the others."""

    probe_s: float
    shrink_s: float
    features_s: float
    scan_alone_s: float  # of the program itself: listing, tables, pages
    prepare_alone_s: float  # shards of copies that the review has kept
    find_alone_s: float  # what a review does once it has looked: comparing, classes, pages
    start_s: float  # of a review, whatever the number of photos
    search_s: float  # CPU seconds a photo of the search for near duplicates, at search_at photos
    search_at: int
    search_exponent: float  # of all CPU seconds by the number of photos
    photo_bytes: float
    copy_bytes: float
    row_bytes: float  # of the table of photos, in memory
    search_bytes: float  # in memory


@dataclass(frozen=True, slots=True)
class Cluster:
    """Machines of one kind, and what they cost."""

    machines: int = 100
    cores: int = 32
    memory_gb: float = 128.0
    gbit_s: float = 10.0  # of each machine, to the bucket
    dollars_an_hour: float = 1.5  # of each machine
    dollars_a_thousand_requests: float = 0.0004


@dataclass(frozen=True, slots=True)
class Step:
    """What a step takes, and what holds it back."""

    name: str
    core_hours: float
    hours: float
    held_by: str  # cores, network, or the one program
    terabytes: float  # read and written
    requests: float

    def dollars(self, cluster: Cluster) -> float:
        """All machines are paid while it lasts."""
        machines = self.hours * cluster.machines * cluster.dollars_an_hour
        return machines + self.requests / 1000 * cluster.dollars_a_thousand_requests


def plan(rates: Rates, cluster: Cluster, n: float) -> list[Step]:
    """The steps from a lake of n photos to a dataset and its features, and the answers for as many photos."""
    read = n * rates.photo_bytes
    search_s = n * rates.search_s * (n / rates.search_at) ** (rates.search_exponent - 1)
    return [
        _step("scan", cluster, n * rates.probe_s, n * rates.scan_alone_s, read, _REQUESTS_A_READ * n),
        _step(
            "review: copies and features",
            cluster,
            n * (rates.shrink_s + rates.features_s),
            0,
            read + n * rates.copy_bytes,
            _REQUESTS_A_READ * n,
        ),
        _step("review: candidates for near duplicates", cluster, search_s, 0, n * _SENT, 0),
        _step("review: comparing, classes, pages", cluster, 0, n * rates.find_alone_s + rates.start_s, 0, 0),
        _step("prepare", cluster, 0, n * rates.prepare_alone_s, n * rates.copy_bytes, 0),
        _step("predict", cluster, n * (rates.shrink_s + rates.features_s), 0, read, _REQUESTS_A_READ * n),
    ]


def _step(name: str, cluster: Cluster, core_s: float, alone_s: float, n_bytes: float, requests: float) -> Step:
    cores_s = core_s / (cluster.machines * cluster.cores)
    network_s = 8 * n_bytes / (cluster.machines * cluster.gbit_s * 1e9)
    seconds, held_by = max((cores_s, "cores"), (network_s, "network"), (alone_s, "the one program"))
    return Step(name, core_s / 3600, seconds / 3600, held_by, n_bytes / 1e12, requests)


def breaks_at(rates: Rates, cluster: Cluster) -> dict[str, float]:
    """From how many photos on something no longer fits the memory of the one machine that holds it."""
    bytes_a_photo = {
        "features of one view, to train a head on": _FEATURES,
        "the search for near duplicates": rates.search_bytes,
        "the table of photos": rates.row_bytes,
    }
    # What the measured sizes could not tell is left out.
    return {what: cluster.memory_gb * 1e9 / n_bytes for what, n_bytes in bytes_a_photo.items() if n_bytes > 0}


def table(rates: Rates, cluster: Cluster, n: float) -> list[list[str]]:
    """A row a step."""
    return [
        [
            step.name,
            f"{step.core_hours:,.0f}",
            f"{step.hours:,.1f}",
            step.held_by,
            f"{step.terabytes:,.1f}",
            f"{step.requests:,.0f}",
            f"{step.dollars(cluster):,.0f}",
        ]
        for step in plan(rates, cluster, n)
    ]


def in_words(rates: Rates, cluster: Cluster) -> str:
    """What does not fit one machine, and from when on."""
    return " ".join(
        f"{what[0].upper()}{what[1:]} fits {cluster.memory_gb:g} GB up to {n / 1e6:,.0f} million photos."
        for what, n in breaks_at(rates, cluster).items()
    )


def main() -> None:
    """Print a plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=float, default=1e9)
    parser.add_argument("--machines", type=int, default=Cluster().machines)
    parser.add_argument("--cores", type=int, default=Cluster().cores)
    parser.add_argument("--memory-gb", type=float, default=Cluster().memory_gb)
    parser.add_argument("--gbit", type=float, default=Cluster().gbit_s)
    parser.add_argument("--dollars", type=float, default=Cluster().dollars_an_hour)
    parser.add_argument("--request-dollars", type=float, default=Cluster().dollars_a_thousand_requests)
    given = parser.parse_args()
    if not RATES.exists():
        sys.exit(f"error: there are no rates yet ({RATES}). Measure them with: python -m benchmarks scale")
    rates = Rates(**json.loads(RATES.read_text()))
    cluster = Cluster(given.machines, given.cores, given.memory_gb, given.gbit, given.dollars, given.request_dollars)
    rows = [HEADER, *table(rates, cluster, given.photos)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(in_words(rates, cluster))


if __name__ == "__main__":
    main()
