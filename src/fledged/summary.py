"""Each product in a few words for the terminal: what was made, where it is, and what to do next."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path

from fledged.collecting.tally import Collected
from fledged.errors import shown
from fledged.measured import Parity
from fledged.measuring.comparison import Comparison
from fledged.pages.words import photos
from fledged.products import SPLITS, Bundle, Dataset, Package, Product, RangeTest, Report, Review, Run, Snapshot
from fledged.training.reproduction import Reproduction

# A class of this many times the photos of another is worth a line.
_IMBALANCE = 3
_LEAST_GAIN = 0.005  # of a validation loss
_FLAT = 1.1  # times the lowest loss of a range test, in which nothing is seen
_MOST_PAIRS = 10  # of a comparison; of more, those with the best are told

_NEXT = {
    "snapshot": "fledged review",
    "review": "fledged prepare",
    "dataset": "fledged train",
    "run": "fledged evaluate",
    "bundle": "fledged serve",
}


def one_line(product: Product) -> str:
    """What was made, in a line without its place."""
    return shown(f"{product.kind.capitalize().replace('_', ' '):<8} {product.id}  {_facts(product)}")


def lines(product: Product, next_command: str | None = None) -> list[str]:
    """What was made, details that matter, where it is, and the next command."""
    place = f"Saved {product.folder}    Next: {next_command or _next(product)}"
    return [one_line(product), *map(shown, _details(product)), shown(place)]


def _next(product: Product) -> str:
    if isinstance(product, RangeTest):
        from fledged.training.range_page import train_command
        from fledged.workspace import Workspace

        return train_command(product, Workspace(product.folder.parents[1]).load(Dataset, product.dataset_id))
    if isinstance(product, Package):
        return f"cd {shlex.quote(str(product.folder))} && sam deploy --guided, or osls deploy (README.md there)"
    return _after(product.subject) if isinstance(product, Report) else _NEXT[product.kind]


def _after(subject: str) -> str:
    """What to do with a model that was judged."""
    kind, _, name = subject.partition(":")
    match kind:
        case "run":
            return f"fledged export {name}"
        case "bundle":
            return f"fledged serve {name}, or: fledged deploy {name}"
        case "package":
            return "fledged deploy --function NAME"
    return "fledged review, to see what the photos lack"


def _facts(product: Product) -> str:
    match product:
        case Snapshot():
            of = f" of {product.n_photos + product.n_beyond_sample:,}, a sample" if product.n_beyond_sample else ""
            words = [f"{product.n_photos:,} photos{of}, {_classes(len(product.labels))} ({counted(product.labels)})"]
            if product.n_unreadable:
                words.append(f"{product.n_unreadable:,} unreadable")
            if product.n_skipped:
                words.append(f"{product.n_skipped:,} left aside (not photos, or not in a class folder)")
            return "; ".join(words)
        case Review():
            total = sum(product.findings_by_kind.values())
            advised = f" ({product.n_advised:,} by advice)" if product.n_advised else ""
            decided = f"; {product.n_decisions:,} decisions{advised}" if product.n_decisions else ""
            return f"{total:,} findings{_in_brackets(product.findings_by_kind)}{decided}"
        case Dataset():
            splits = " · ".join(f"{split} {product.n_in(split):,}" for split in SPLITS)
            n_photos = sum(product.n_in(split) for split in SPLITS)
            return f"{n_photos:,} photos in {product.n_groups:,} groups, {_classes(len(product.classes))} ({splits})"
        case RangeTest():
            end = f"; it ran away at {product.rates[-1]:.2g}" if product.ran_away else ""
            tried = f"({len(product.rates)} rates from {product.rates[0]:.2g}{end})"
            if product.fits_already:
                return f"learning rate {product.usual:.2g}, the usual one, since most photos fit already {tried}"
            return (
                f"learning rate {product.valley:.2g} by the valley of the loss, {product.steepest:.2g} by its steepest "
                f"fall {tried}"
            )
        case Run():
            stopped = ", interrupted" if product.interrupted else ""
            return (
                f"{product.backbone.name}, {product.mode}, {product.n_epochs} "
                f"epoch{'' if product.n_epochs == 1 else 's'}{stopped}; validation accuracy "
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
            as_run = "as the run did" if parity.label_agreement == 1 else f"{parity.label_agreement:.1%} as the run did"
            return (
                f"{_classes(len(product.classes))}, {product.precision}; answers {as_run} on {parity.n_photos:,} test "
                f"photos (largest difference {parity.max_abs_difference:.0e})"
            )
        case Package():
            return (
                f"function.zip, {product.n_bytes / 2**20:.1f} MB ({product.n_bytes_unpacked / 2**20:.0f} MB unpacked), "
                f"Python {product.settings.python} on {product.settings.architecture}"
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
        case Review(ignored_decisions=ignored):
            because = ", ".join(f"{n:,} because the {reason}" for reason, n in ignored.items())
            told = [f"Decisions that do not count: {because}"] if because else []
            if sum(product.findings_by_kind.values()) > product.n_decisions:
                told.append("To look at the findings and decide: fledged review --open")
            return told
        case Dataset():
            return _of_dataset(product)
        case RangeTest():
            told = []
            if not product.ran_away and max(product.smoothed) < _FLAT * min(product.smoothed):
                told.append(
                    "The loss is much the same at all of these rates, so they say little. Try higher ones, "
                    f"with --low {product.rates[-1]:.1g} --high {product.rates[-1] * 1000:.1g}"
                )
            return [*told, f"Page: {product.folder / 'range_test.html'}"]
        case Report():
            told = []
            if product.n_seen:
                told.append(
                    f"This flatters: {product.n_seen:,} of the photos were in the model's own train or val split"
                )
            if product.n_unreadable:
                told.append(f"{photos(product.n_unreadable)} could not be read; predictions.parquet says why")
            if product.folders_without_class:
                told.append(f"Folders that are no class of this model: {counted(product.folders_without_class)}")
            if product.learning:
                gain = product.learning.gain
                told.append(
                    f"Twice the training photos would bring about {100 * gain.value:+.1f} points of accuracy "
                    f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
                )
            for part in product.slices:
                if part.is_worse:
                    right = f"{part.accuracy.value:.1%} right of {part.accuracy.n:,} photos"
                    told.append(
                        f"Weak: {part.trait} {_in_a_line(part.value)}, {right}, {part.rest.value:.1%} of the others"
                    )
            return [*told, f"Page: {product.folder / 'report.html'}"]
        case Package():
            python = product.settings.python
            told = (
                ["Open to everybody who knows its address (deploy.auth=none)"]
                if product.settings.auth == "none"
                else []
            )
            if not product.is_compiled:
                told.append(f"Not compiled ahead, since no python{python} is here: each cold start takes longer")
            return told
        case Bundle(parity=parity):
            return _of_parity(parity)
        case Run():
            told = ["The best epoch so far was kept. To go on: fledged train --resume"] if product.interrupted else []
            return [*told, f"Page: {product.folder / 'run.html'}", *_of_guessing(product)]
    return []


def _of_guessing(run: Run) -> list[str]:
    """A word where even the best epoch is no better than the same share for each class."""
    guessing = math.log(len(run.classes))
    if run.val_loss < guessing - _LEAST_GAIN:
        return []
    return [
        f"It does no better than guessing on the validation photos (loss {run.val_loss:.2f}, guessing {guessing:.2f}). "
        "For another learning rate: fledged find-lr. Else train longer, or look at the labels: fledged review --open"
    ]


def _of_parity(parity: Parity) -> list[str]:
    """Size, speed and accuracy of an export; nothing for one of before they were measured."""
    accuracy, less, speed = parity.accuracy, parity.accuracy_difference, parity.speed
    if accuracy is None or less is None or speed is None:
        return []
    size = f"{(parity.n_bytes or 0) / 1e6:.1f} MB; {speed.ms_1:.1f} ms a photo, {speed.ms_32:.0f} ms for 32"
    points = f"{100 * less.value:+.1f} points ({100 * less.low:+.1f} to {100 * less.high:+.1f})"
    return [f"{size}; accuracy {accuracy.value:.1%}, {points} beside the run on the same photos"]


def collected_lines(collected: Collected) -> list[str]:
    """What a `collect` did, class by class, and what it did not."""
    photos, were = ("photo" if collected.n_new == 1 else "photos"), ("was" if collected.n_known == 1 else "were")
    told = [f"Collected {collected.n_new:,} new {photos}; {collected.n_known:,} {were} there already"]
    for label, count in collected.classes.items():
        parts = {
            "new": count.new,
            "there already": count.known,
            "refused": count.refused,
            "left for the next run": count.waiting,
            "beyond the limit": count.unneeded,
        }
        words = ", ".join(f"{n:,} {what}" for what, n in parts.items() if n)
        told.append(f"  {' '.join(label.split()):<24} {words or 'nothing'}")
    for what, reasons in (("Refused", collected.refused), ("Left for the next run", collected.waiting)):
        if reasons:
            told.append(f"{what} {sum(reasons.values()):,}: {counted(reasons, '; ')}")
    if collected.refused_table:
        told.append(f"Why, one by one: {_from_here(collected.refused_table)}")
    lake = _from_here(collected.lake)
    return [*map(shown, told), f"Saved {lake}    Next: fledged scan {shlex.quote(lake)}"]


def comparison_lines(compared: Comparison) -> list[str]:
    """The models in a table, the best first, then how sure each difference is."""
    rows = [("model", "accuracy (95% interval)", "macro F1", "MB", "parameters", "trained", "GFLOPs", "train s", "ms")]
    for model in compared.contenders:
        accuracy, unusual = model.accuracy, f"({model.settings})" if model.settings else ""
        rows.append(
            (
                " ".join(filter(None, (model.name, model.backbone, model.mode, unusual))),
                f"{accuracy.value:.1%} ({accuracy.low:.1%} to {accuracy.high:.1%})",
                f"{model.macro_f1:.3f}",
                _or_dash(model.megabytes, ".1f"),
                _or_dash(model.n_parameters, ","),
                _or_dash(model.n_trained, ","),
                _or_dash(model.gflops, ".2f"),
                _or_dash(model.train_s, ".1f"),
                _or_dash(model.ms_a_photo, ".1f"),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    told = [
        f"On {compared.source} ({compared.contenders[0].accuracy.n:,} photos); ms: median of one photo at a time; "
        "train s: without what was in the caches by then"
    ]
    for row in rows:
        others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        told.append("  ".join([row[0].ljust(widths[0]), *others]))
    best, pairs = compared.contenders[0].name, list(compared.pairs)
    if len(pairs) > _MOST_PAIRS:
        pairs = [pair for pair in pairs if best in (pair.first, pair.second)]
    for pair in pairs:
        told.append(
            f"{pair.first} against {pair.second}: {pair.only_first} photo{'' if pair.only_first == 1 else 's'} right "
            f"with the first alone, {pair.only_second} with the second alone "
            f"(McNemar p = {pair.p_value:.2g}, n = {pair.n:,})"
        )
    if n_more := len(compared.pairs) - len(pairs):
        told.append(f"{n_more} more pairs, without the best, are on the page")
    if compared.page:
        told.append(f"Page: {_from_here(compared.page)}")
    return [shown(line) for line in (*told, f"Next: {_after(compared.contenders[0].name)}")]


def reproduction_lines(done: Reproduction) -> list[str]:
    """Whether a run came out the same, and if not, what differs."""
    if done.is_equal:
        return [
            f"Equal: run {done.run_id}, trained again in {done.seconds:.1f} s, has the same weights to the last bit "
            f"(sha256 {done.weights_sha256[:12]}…) and the same figures in "
            f"{'its one epoch' if done.n_epochs == 1 else f'all {done.n_epochs} epochs'}"
        ]
    told = [f"Not equal: run {done.run_id}, trained again in {done.seconds:.1f} s, came out otherwise"]
    if done.where_largest:
        told.append(f"Weights: the largest difference is {done.largest_difference:.2g}, in {done.where_largest}")
    if done.first_epoch_that_differs:
        told.append(f"Figures: epoch {done.first_epoch_that_differs} of {done.n_epochs} is the first that differs")
    now = "; ".join(done.differences_of_environment) or "no difference is known"
    return [*told, f"Computed with: {now}"]


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _from_here(path: str) -> str:
    """The shorter way to write it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _of_dataset(dataset: Dataset) -> list[str]:
    told = [f"Left out {sum(dataset.left_out.values()):,}: {counted(dataset.left_out)}"] if dataset.left_out else []
    if dataset.tied:
        told.append(f"Kept together: {counted(dataset.tied)}")
    by_class = {
        label: sum(dataset.photos_by_split[split].get(label, 0) for split in SPLITS) for label in dataset.classes
    }
    most, least = max(by_class, key=lambda label: by_class[label]), min(by_class, key=lambda label: by_class[label])
    if by_class[most] > _IMBALANCE * by_class[least]:
        told.append(
            f"Imbalance: {by_class[most]:,} {_in_a_line(most)} and {by_class[least]:,} {_in_a_line(least)}. "
            "To learn them alike: fledged train --set train.balance=weights"
        )
    for split in ("val", "test"):
        without = [label for label in dataset.classes if not dataset.photos_by_split[split].get(label)]
        if without:
            told.append(f"No photo in {split}: {', '.join(map(_in_a_line, without[:8]))}")
    if dataset.n_leaks:
        groups = "group" if dataset.n_leaks == 1 else "groups"
        told.append(f"The lake's own folders put {dataset.n_leaks:,} {groups} of alike photos into more than one split")
    if dataset.leak:
        random, grouped, more = dataset.leak.random, dataset.leak.grouped, dataset.leak.difference
        told.append(
            f"A random split would have claimed {random.value:.1%} ({random.low:.1%} to {random.high:.1%}); without "
            f"leaks it is {grouped.value:.1%} ({grouped.low:.1%} to {grouped.high:.1%}), a difference of "
            f"{100 * more.value:.1f} points ({100 * more.low:.1f} to {100 * more.high:.1f})"
        )
    return told


def _classes(n: int) -> str:
    return f"{n} class{'' if n == 1 else 'es'}"


def _in_a_line(name: str) -> str:
    """A name that fits into a line."""
    return " ".join(name.split())


def counted(counts: Mapping[str, int], between: str = ", ") -> str:
    """`{"bird": 3, "drone": 4}` as "3 bird, 4 drone", at most eight of them."""
    shown = [f"{n:,} {' '.join(name.split())}" for name, n in list(counts.items())[:8]]
    more = len(counts) - len(shown)
    return between.join(shown) + (f" and {more} more" if more else "")


def _in_brackets(counts: Mapping[str, int]) -> str:
    return f" ({counted(counts)})" if counts else ""
