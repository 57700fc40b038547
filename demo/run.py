"""`make demo`: draw a messy lake, run the whole chain on it, and say what was found and where the pages are."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import fledged
from demo.drawing import draw_lake
from fledged import summary
from fledged.products import Bundle, Dataset, Product, Report, Review, Snapshot

LAKE, WORK = Path("demo/out/lake"), Path("demo/out/fledged")


def main() -> int:
    """Run it; the exit code is 0 if what was planted was found and the bundle answers a photo rightly."""
    start_s = time.monotonic()
    print(f"Drawing a lake of flying birds and three kinds of drones into {LAKE} …", flush=True)
    planted = draw_lake(LAKE)
    made: dict[str, Product] = {}

    def tell(product: Product) -> None:
        made[product.kind] = product
        print(summary.one_line(product), flush=True)

    bundle = fledged.build(LAKE, work=WORK, made=tell)
    snapshot, review, dataset, report = (made[kind] for kind in ("snapshot", "review", "dataset", "report"))
    assert isinstance(snapshot, Snapshot)
    assert isinstance(review, Review)
    assert isinstance(dataset, Dataset)
    assert isinstance(report, Report)
    found = review.findings_by_kind
    print("\nPlanted in the lake, and found:")
    for what, kind, n_planted in (
        ("files that cannot be read", "unreadable", len(planted.unreadable)),
        ("exact duplicates", "exact_duplicate", len(planted.exact_duplicates)),
        ("near duplicates", "near_duplicate", len(planted.near_duplicates)),
        ("photos under two labels", "label_conflict", len(planted.label_conflicts)),
    ):
        print(f"  {what:<28} {n_planted:>3} planted, {found.get(kind, 0):>3} found")
    print(f"  {'files that are no photos':<28} {len(planted.skipped):>3} planted, {snapshot.n_skipped:>3} skipped")
    print(f"\nLeft out of training: {summary.counted(dataset.left_out)}")
    photo = _one_test_photo(dataset)
    answer = fledged.load(bundle).predict(photo)
    print(
        f"Asked about {photo.name!r}: {answer.label}, {answer.confidence:.1%} sure, in {answer.seconds * 1000:.0f} ms"
    )
    print(f"\nDone in {time.monotonic() - start_s:.0f} s. Look at:")
    print(f"  report  {WORK / 'reports' / report.id / 'report.html'}")
    print(f"  bundle  {bundle.folder}")
    print(f"Next: fledged serve --work {WORK}")
    return 0 if _as_planted(found, len(planted.unreadable), len(planted.exact_duplicates)) and _small(bundle) else 1


def _one_test_photo(dataset: Dataset) -> Path:
    members = dataset.members()
    return Path(dataset.lake) / str(members.filter(members["split"] == "test")["path"][0])


def _as_planted(found: dict[str, int], n_unreadable: int, n_exact: int) -> bool:
    return found.get("unreadable", 0) == n_unreadable and found.get("exact_duplicate", 0) == n_exact


def _small(bundle: Bundle) -> bool:
    return sum(path.stat().st_size for path in bundle.folder.iterdir()) < 50 * 2**20


if __name__ == "__main__":
    sys.exit(main())
