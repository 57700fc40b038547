"""The search for near duplicates among a million photos: seconds, memory, and how many of the planted copies it finds.

    python -m benchmarks million                    # 1,000,000 photos: about 20 minutes
    python -m benchmarks.million --photos 100000

A million real photos are not at hand: hashes and features are drawn at random. What is measured is what grows with the
lake: the pairs by hash (twice: straight and mirrored) and by features. The comparison of a pair
(`reviewing.alignment`) costs the same in every lake; its rate stands below the table.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np

from benchmarks import results
from benchmarks.measuring import MEMORY_METHOD, run
from fledged.reviewing.alignment import similarity
from fledged.reviewing.candidates import pairs_by_hash
from fledged.reviewing.looks import N_DIRECTIONS
from fledged.reviewing.neighbours import nearest
from fledged.reviewing.outlines import OUTLINE_PX

N_PHOTOS = 1_000_000
_SHARE_COPIES = 0.02
_N_CLASSES = 10
_NEIGHBOURS = 6
_N_COMPARED = 512
_SEED = 8


def main() -> None:
    """The search in a process of its own, so that its memory is its own, and a row for each part."""
    measure(N_PHOTOS)


def measure(n_photos: int) -> None:
    """Write the table for this many photos."""
    measured = run([sys.executable, "-m", "benchmarks.million", "--search", str(n_photos)])
    found = json.loads(measured.stdout)
    rows = [
        [
            "pairs by hash, straight and mirrored",
            f"{found['hash_cpu_s']:.0f}",
            f"{found['hash_pairs']:,}",
            found["by_hash"],
        ],
        ["by features", f"{found['features_cpu_s']:.0f}", f"{found['feature_pairs']:,}", found["by_features"]],
        ["both", f"{found['hash_cpu_s'] + found['features_cpu_s']:.0f}", f"{found['pairs']:,}", found["by_either"]],
    ]
    results.write(
        f"Near duplicates among {n_photos:,} photos: the search for candidates",
        "python -m benchmarks million",
        ["what", "CPU s", "pairs to compare", "planted copies among them"],
        rows,
        f"{found['n_copies']:,} copies: half differ in 0 to 8 bits of the hash and are unrelated in features, half\n"
        "have a cosine of 0.8 and unrelated hashes: each way must find its own. Hashes are uniform, features lie\n"
        f"around {_N_CLASSES} centres, both random. Peak memory {measured.peak_mib:.0f} MiB; the features and hashes\n"
        f"alone are {found['given_mib']:.0f}. Comparing: {found['compared_per_s']:,.0f} pairs a CPU second.\n"
        f"CPU seconds are those of all cores together. {MEMORY_METHOD}",
    )


def search(n_photos: int) -> dict[str, object]:
    """What the search finds among drawn hashes and features, and its seconds."""
    random = np.random.default_rng(_SEED)
    n_copies = int(n_photos * _SHARE_COPIES)
    # Photos 0.. are originals, the last ones their copies.
    originals, copies = np.arange(n_copies), np.arange(n_photos - n_copies, n_photos)
    half = n_copies // 2
    hashes = random.integers(0, 2**64, n_photos, dtype=np.uint64)
    mirrored = random.integers(0, 2**64, n_photos, dtype=np.uint64)
    for original, copy in zip(originals[:half], copies[:half], strict=True):
        bits = random.choice(64, random.integers(0, 9), replace=False)
        hashes[copy] = hashes[original] ^ np.uint64(sum(1 << int(bit) for bit in bits))
    features = _features(n_photos, random)
    spread = 0.75 * np.linalg.norm(features[originals[half:]], axis=1, keepdims=True) / np.sqrt(features.shape[1])
    features[copies[half:]] = features[originals[half:]] + spread * random.standard_normal(
        (n_copies - half, features.shape[1]), np.float32
    )
    features /= np.linalg.norm(features, axis=1, keepdims=True)

    start_s = time.process_time()
    by_hash = np.concatenate([pairs_by_hash(hashes, hashes), pairs_by_hash(hashes, mirrored)])
    hash_cpu_s = time.process_time() - start_s
    start_s = time.process_time()
    found = nearest(features, _NEIGHBOURS)
    i, place = np.nonzero(found.cosine_NK >= 0.35)
    by_features = np.sort(np.stack([i, found.index_NK[i, place]], 1), axis=1)
    features_cpu_s = time.process_time() - start_s
    pairs = np.unique(np.concatenate([by_hash, by_features]), axis=0)
    planted = np.stack([originals, copies], 1)

    def share(found: np.ndarray, wanted: np.ndarray) -> str:
        key = np.int64(n_photos)
        hit = np.isin(wanted[:, 0] * key + wanted[:, 1], found[:, 0] * key + found[:, 1])
        return f"{hit.mean():.4f} of {len(wanted):,}"

    return {
        "n_copies": n_copies,
        "hash_cpu_s": hash_cpu_s,
        "features_cpu_s": features_cpu_s,
        "hash_pairs": len(by_hash),
        "feature_pairs": len(np.unique(by_features, axis=0)),
        "pairs": len(pairs),
        "by_hash": share(by_hash, planted[:half]),
        "by_features": share(by_features, planted[half:]),
        "by_either": share(pairs, planted),
        "given_mib": (hashes.nbytes + mirrored.nbytes + features.nbytes) / 2**20,
        "compared_per_s": _compared_per_s(random),
    }


def _features(n_photos: int, random: np.random.Generator) -> np.ndarray:
    """As many directions as the search keeps of real features, photos of a class around a centre, in blocks."""
    n_directions = N_DIRECTIONS // 2
    centres = random.standard_normal((_N_CLASSES, n_directions), np.float32)
    features = np.empty((n_photos, n_directions), np.float32)
    for start in range(0, n_photos, 50_000):
        block = features[start : start + 50_000]
        block[:] = random.standard_normal(block.shape, np.float32)
        block += 0.7 * centres[random.integers(0, _N_CLASSES, len(block))]
    return features


def _compared_per_s(random: np.random.Generator) -> float:
    outlines = random.integers(0, 256, (2, _N_COMPARED, OUTLINE_PX, OUTLINE_PX), dtype=np.uint8)
    start_s = time.process_time()
    for start in range(0, _N_COMPARED, 128):
        similarity(outlines[0, start : start + 128], outlines[1, start : start + 128], 0.8)
    return _N_COMPARED / (time.process_time() - start_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=N_PHOTOS)
    parser.add_argument("--search", type=int, help="search among this many, and print what was found as JSON")
    given = parser.parse_args()
    if given.search:
        print(json.dumps(search(given.search)))
    else:
        measure(given.photos)
