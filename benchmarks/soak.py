"""A server under load for half an hour: does it answer rightly, and hold no more at the end than when it was warm?

    python -m benchmarks soak                        # 30 minutes, then the trials
    python -m benchmarks.soak --minutes 2 --bundle FOLDER
    python -m benchmarks.soak --trials               # too much, killed decoders, newer bundles, SIGTERM

What the server can answer of the mix is measured anew every two minutes, since others may use the machine too; then
80 % of that is sent, at times that chance chooses and whatever comes back. Each answer to a photo is compared with what
the same bundle says of it offline. Exits with 1 where a promise of docs/reliability.md is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from benchmarks.soaking.asking import Asker
from benchmarks.soaking.loading import RECEIVE_TIMEOUT_S, Load, Tally, beside, judge_of
from benchmarks.soaking.mix import MAX_MEGABYTES, Mix, make_mix
from benchmarks.soaking.trials import try_all
from benchmarks.soaking.watching import Sample, Server, served
from demo.lake import draw_lake
from fledged.predicting.predictor import load
from fledged.product_files import open_product
from fledged.products import Bundle
from fledged.progress import default
from fledged.workspace import Workspace

SHARE, SEGMENT_S, MEASURE_S = 0.8, 120.0, 10.0
N_PHOTOS = 12
# Sums in float32 on one thread and on several differ in their last digits.
TOLERANCE = 1e-5
MAX_GROWTH = 0.05
SETTINGS = (f"max_megabytes={MAX_MEGABYTES}", f"receive_timeout_s={RECEIVE_TIMEOUT_S:g}")
_COMMAND = "python -m benchmarks.soak"


def main(minutes: float = 30.0, bundle: Path | None = None, only_trials: bool = False) -> None:
    """Soak, try, write the tables, and end with 1 where a promise is broken."""
    with tempfile.TemporaryDirectory() as folder:
        opened, photos = _material(Path(folder), bundle)
        mix = make_mix(photos, load(opened))
        broken = [] if only_trials else soak(opened, mix, minutes, Path(folder) / "log")
        broken += try_all(opened, mix, Path(folder))
    for promise in broken:
        print(f"broken: {promise}", file=sys.stderr)
    if broken:
        sys.exit(1)


def soak(bundle: Bundle, mix: Mix, minutes: float, log: Path) -> list[str]:
    """Load for so long; writes two tables and returns the promises that were broken."""
    with served(bundle.folder, log, SETTINGS) as server:
        load = Load(Asker(server.port), mix, judge_of(bundle.id, max(TOLERANCE, bundle.parity.max_abs_difference)))
        before, samples, after, rates = asyncio.run(_loaded(server, load, minutes * 60))
        if code := server.stop():
            load.tally.wrong.append(f"the server: ended with {code}")
    command = f"{_COMMAND} --minutes {minutes:g}"
    _write_requests(load.tally, command, minutes, rates)
    growth = _write_held(before, samples, after, command)
    broken = [f"{line}" for line in load.tally.wrong[:20]]
    broken += [f"in the log: {line}" for line in server.odd_lines()[:5]]
    if growth > MAX_GROWTH:
        broken.append(f"the server's memory grew by {growth:.1%}")
    for name in ("descriptors", "threads", "processes"):
        if getattr(after, name) > getattr(before, name):
            broken.append(f"{name}: {getattr(before, name)} before the load, {getattr(after, name)} after it")
    return broken


async def _loaded(server: Server, load: Load, seconds: float) -> tuple[Sample, list[Sample], Sample, list[float]]:
    """What it held at rest, warm, under load and at rest again; and what it could answer a second."""
    await load.capacity(MEASURE_S)
    before = await _at_rest(server, load)
    samples: list[Sample] = []
    rates: list[float] = []
    start_s = time.monotonic()
    bar = default()

    def look() -> None:
        samples.append(server.sample())
        bar("Soaking (s)", min(int(seconds), int(samples[-1].at_s - start_s)), int(seconds))

    async with beside(look), asyncio.TaskGroup() as group:
        group.create_task(load.slow_and_rude(max(1.0, seconds - 30)))
        while (left_s := start_s + seconds - time.monotonic()) > 1:
            rates.append(await load.capacity(min(MEASURE_S, left_s)))
            left_s = start_s + seconds - time.monotonic()
            await load.at_rate(SHARE * rates[-1], max(0.0, min(SEGMENT_S - MEASURE_S, left_s)))
    return before, samples, await _at_rest(server, load), rates


async def _at_rest(server: Server, load: Load) -> Sample:
    load.asker.close()
    await asyncio.sleep(3)
    return server.sample()


def _write_requests(tally: Tally, command: str, minutes: float, rates: Sequence[float]) -> None:
    rows = []
    for kind in sorted(tally.sent, key=lambda kind: (not kind.startswith(("photo", "three")), kind)):
        times = sorted(tally.seconds[kind])
        p50, p99 = (f"{1000 * times[int(share * (len(times) - 1))]:.0f}" if times else "" for share in (0.5, 0.99))
        n_wrong = sum(line.startswith(f"{kind}: ") for line in tally.wrong)
        rows.append([kind, tally.sent[kind], tally.right[kind], tally.n_busy(kind), n_wrong, p50, p99])
    every = [tally.sent.total(), tally.right.total(), tally.n_busy(), len(tally.wrong)]
    rows.append(["all", *every, "", ""])
    told = ", ".join(f"{rate:.1f}" for rate in rates)
    by_status: Counter[int] = Counter()
    for (_, status), n in tally.busy.items():
        by_status[status] += n
    of_status = ", ".join(f"{status}: {n}" for status, n in sorted(by_status.items())) or "none"
    results.write(
        "Soak: requests",
        command,
        ["request", "sent", "answered as due", "refused: busy", "wrong or lost", "p50 ms", "p99 ms"],
        rows,
        f"{minutes:g} minutes at {SHARE:.0%} of what the server could answer of this mix, measured every "
        f"{SEGMENT_S / 60:.0f} minutes with 8 clients for {MEASURE_S:.0f} s: {told}\nrequests/s. Client and server "
        "share the cores. As due: photos with the class and the scores of the same photo offline, others with their "
        f"status;\nbusy: 429 with Retry-After, 504, and 408 where one of the two was too slow ({of_status}).",
    )


def _write_held(before: Sample, samples: Sequence[Sample], after: Sample, command: str) -> float:
    """The second table; returns how much of the memory was added from the second fifth to the last."""
    fifth = max(1, len(samples) // 5)
    parts = {
        "second fifth": samples[fifth : 2 * fifth],
        "middle": samples[2 * fifth : 3 * fifth],
        "last fifth": samples[-fifth:],
    }
    rows: list[list[object]] = [["at rest, before", *_held([before])]]
    rows += [[f"under load, {name}", *_held(part)] for name, part in parts.items()]
    rows.append(["at rest, after", *_held([after])])
    first, last = (statistics.fmean(s.rss_mib for s in parts[name]) for name in ("second fifth", "last fifth"))
    results.write(
        "Soak: what the server holds",
        command,
        ["when", "RSS MiB", "descriptors", "threads", "processes"],
        rows,
        f"Server and decoders summed, {len(samples)} samples, one every 5 s, means of each part; the first fifth warms "
        f"up. RSS of the last\nfifth against the second: {last / first - 1:+.1%}.",
    )
    return last / first - 1


def _held(samples: Sequence[Sample]) -> list[str]:
    names = ("rss_mib", "descriptors", "threads", "processes")
    return [f"{statistics.fmean(getattr(sample, name) for sample in samples):.0f}" for name in names]


def _material(folder: Path, given: Path | None) -> tuple[Bundle, list[bytes]]:
    """A bundle and photos for it: real ones where they are."""
    lake = DATA / "ants_vs_bees"
    flags = ["--weights", str(WEIGHTS)] if WEIGHTS.is_file() else []
    if not lake.is_dir():
        lake = folder / "lake"
        draw_lake(lake, n_per_class=30, defects=False)
    photos = [path.read_bytes() for path in sorted(lake.rglob("*.jpg"))]
    photos = photos[:: max(1, len(photos) // N_PHOTOS)][:N_PHOTOS]
    if given is not None:
        return open_product(Bundle, given), photos
    build = [sys.executable, "-m", "fledged", "build", str(lake), "--work", str(folder / "work"), *flags]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return Workspace(folder / "work").load(Bundle), photos


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="of load (30)")
    parser.add_argument("--bundle", type=Path, help="a bundle's folder; built anew without")
    parser.add_argument("--trials", action="store_true", help="the trials alone")
    given = parser.parse_args()
    main(given.minutes, given.bundle, given.trials)
