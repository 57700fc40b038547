"""Each product in a few words for the terminal: what was made, where it is, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping

from fledged.products import SPLITS, Bundle, Dataset, Product, Report, Review, Run, Snapshot

_NEXT = {
    "snapshot": "fledged review",
    "review": "fledged prepare",
    "dataset": "fledged train",
    "run": "fledged evaluate",
    "report": "fledged export",
    "bundle": "fledged serve",
}


def one_line(product: Product) -> str:
    """What was made, in a line without its place."""
    return f"{product.kind.capitalize():<9}{product.id}  {_facts(product)}"


def lines(product: Product, next_command: str | None = None) -> list[str]:
    """What was made, details that matter, where it is, and the next command."""
    place = f"Saved {product.folder}    Next: {next_command or _NEXT[product.kind]}"
    return [one_line(product), *_details(product), place]


def _facts(product: Product) -> str:
    match product:
        case Snapshot():
            words = [f"{product.n_photos:,} photos, {len(product.labels)} classes ({counted(product.labels)})"]
            if product.n_unreadable:
                words.append(f"{product.n_unreadable:,} unreadable")
            if product.n_skipped:
                words.append(f"{product.n_skipped:,} files that are no photos")
            return "; ".join(words)
        case Review():
            total = sum(product.findings_by_kind.values())
            decided = f"; {product.n_decisions:,} decisions" if product.n_decisions else ""
            return f"{total:,} findings{_in_brackets(product.findings_by_kind)}{decided}"
        case Dataset():
            splits = " · ".join(f"{split} {product.n_in(split):,}" for split in SPLITS)
            n_photos = sum(product.n_in(split) for split in SPLITS)
            return f"{n_photos:,} photos in {product.n_groups:,} groups, {len(product.classes)} classes ({splits})"
        case Run():
            stopped = ", interrupted" if product.interrupted else ""
            return (
                f"{product.backbone.name}, {product.mode}, {product.n_epochs} epochs{stopped}; validation accuracy "
                f"{product.val_accuracy:.1%} in epoch {product.best_epoch}"
            )
        case Report():
            accuracy = product.accuracy
            return (
                f"accuracy {accuracy.value:.1%} ({accuracy.low:.1%} to {accuracy.high:.1%}, 95% interval) on "
                f"{accuracy.n:,} photos; macro F1 {product.macro_f1:.3f}"
            )
        case Bundle():
            parity = product.parity
            return (
                f"{len(product.classes)} classes; answers as the run did on {parity.n_photos:,} test photos "
                f"(largest difference {parity.max_abs_difference:.0e})"
            )
    raise TypeError(f"no words for {product.kind}")


def _details(product: Product) -> list[str]:
    match product:
        case Snapshot(labels=labels, previous_id=previous_id, changes_by_kind=changes):
            empty = [name for name, n in labels.items() if not n]
            told = [f"Classes without a readable photo: {', '.join(empty)}"] if empty else []
            if previous_id:
                what = ", ".join(f"{n:,} {kind}" for kind, n in changes.items()) or "no photo changed"
                told.append(f"Since snapshot {previous_id}: {what}")
            return [*told, f"Page: {product.folder / 'overview.html'}"]
        case Dataset(left_out=left_out, n_leaks=n_leaks):
            told = [f"Left out {sum(left_out.values()):,}: {counted(left_out)}"] if left_out else []
            if n_leaks:
                told.append(f"The lake's own folders put {n_leaks:,} groups of alike photos into more than one split")
            return told
        case Report():
            told = [
                f"  {c.label:<24} precision {c.precision:.3f}  recall {c.recall.value:.3f}  F1 {c.f1:.3f}  "
                f"({c.support:,} photos)"
                for c in product.by_class
            ]
            if product.n_unreadable:
                told.append(f"{product.n_unreadable:,} photos could not be read; predictions.parquet says why")
            if product.folders_without_class:
                told.append(f"Folders that are no class of this model: {counted(product.folders_without_class)}")
            return [*told, f"Page: {product.folder / 'report.html'}"]
        case Run(interrupted=True):
            return ["The best epoch so far was kept. To go on: fledged train --resume"]
    return []


def counted(counts: Mapping[str, int]) -> str:
    """`{"bird": 3, "drone": 4}` as "3 bird, 4 drone", at most eight of them."""
    shown = [f"{n:,} {' '.join(name.split())}" for name, n in list(counts.items())[:8]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _in_brackets(counts: Mapping[str, int]) -> str:
    return f" ({counted(counts)})" if counts else ""
