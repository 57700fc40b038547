"""The model card: measured facts, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from fledged.measured import Figure
from fledged.products import SPLITS, Bundle, Dataset, Report, Run


def model_card(bundle: Bundle, run: Run, dataset: Dataset, report: Report) -> str:
    """Markdown for people who are handed the bundle."""
    how = run.preprocess
    left_out = ", ".join(f"{n} {_cell(reason)}" for reason, n in dataset.left_out.items()) or "none"
    tied = ", ".join(f"{n} {_cell(reason)}" for reason, n in dataset.tied.items()) or "none"
    return f"""# Model card: {len(bundle.classes)} classes, {run.backbone.name}

Bundle `{bundle.id}`, written by fledged {bundle.fledged}. Every figure here was measured; what was not is named so.

## What it does
It tells photos of these classes apart: {", ".join(_cell(label) for label in bundle.classes)}.
{_of_others(report)}

## How well
{_lines(_how_well(report))}

| class | training photos | validation photos | test photos | precision | recall (95% interval) | F1 |
|---|---|---|---|---|---|---|
{_lines(_classes(dataset, report))}

{_of_confidence(report)}

The exported file was compared with the trained network on {bundle.parity.n_photos} of these photos: labels agree on
{bundle.parity.label_agreement:.2%}, probabilities differ by {bundle.parity.max_abs_difference:.1e} at most.
{_of_precision(bundle)}

## Limits
{_lines(_limits(dataset, report))}

## What it was made of
- Photos: snapshot `{dataset.snapshot_id}`, review `{dataset.review_id}`, dataset `{dataset.id}`
  ({", ".join(f"{split} {dataset.n_in(split)}" for split in SPLITS)}).
- Splits: seed {dataset.settings.seed}; duplicates never on two sides ({dataset.n_groups} groups). Photos kept together:
  {tied}. Left out: {left_out}.
- Backbone: {run.backbone.name}, {run.backbone.n_parameters:,} parameters, weights: {run.backbone.weights_origin}
- Training: {run.mode}, {run.n_epochs} epochs (chosen by validation loss: {run.best_epoch}), seed
  {run.settings.seed}, on {run.environment.cpu} with {run.environment.n_threads} threads.
- Run `{run.id}`, report `{report.id}`.

## What it took
{_lines(_took(bundle, run, report))}

## How it wants its photos
Upright RGB, {how.resize} to {how.size_px} x {how.size_px} px ({how.interpolation}), as uint8 in the order height,
width, colour. In the graph are standardisation, softmax, temperature, unknown score and, where the network keeps places
apart, a heatmap of what speaks for the answer.
"""


def _of_precision(bundle: Bundle) -> str:
    """What the figures above are of, where the export is not the run to the last digits."""
    accuracy, less = bundle.parity.accuracy, bundle.parity.accuracy_difference
    if bundle.precision == "fp32" or accuracy is None or less is None:
        return "It computes in float32, as the network did."
    return (
        f"It computes in 8-bit integers, and the figures above are those of the float32 network. Its own accuracy on\n"
        f"these photos is {accuracy.value:.1%} ({accuracy.low:.1%} to {accuracy.high:.1%}), which is "
        f"{100 * less.value:+.1f} points ({100 * less.low:+.1f} to {100 * less.high:+.1f}) beside the network's."
    )


def _lines(lines: Iterator[str]) -> str:
    return "\n".join(lines)


def _how_well(report: Report) -> Iterator[str]:
    accuracy, overall = report.accuracy, report.overall
    yield (
        f"On {accuracy.n} test photos, which no choice has seen, {accuracy.value:.1%} were right (95% interval\n"
        f"{accuracy.low:.1%} to {accuracy.high:.1%})."
    )
    if overall is None:  # a report of before it was measured
        yield f"Macro F1 {report.macro_f1:.3f}, log loss {report.log_loss:.3f}."
        return
    yield "\n| figure on test photos | value | 95% interval |\n|---|---|---|"
    rows: list[tuple[str, Figure, str]] = [
        ("accuracy", accuracy, ".1%"),
        ("balanced accuracy", overall.balanced_accuracy, ".1%"),
        *((f"top {top.k}", top.accuracy, ".1%") for top in overall.top_k),
        ("macro F1", overall.macro_f1, ".3f"),
        ("weighted F1", overall.weighted_f1, ".3f"),
        ("log loss, nats", overall.log_loss, ".3f"),
        ("Brier score, summed over classes", overall.brier, ".3f"),
    ]
    for name, figure, form in rows:
        yield f"| {name} | {figure.value:{form}} | {figure.low:{form}} to {figure.high:{form}} |"
    yield (
        f"\nIntervals come from drawing the {overall.n_groups} groups of alike photos anew, {overall.n_resamples} "
        "times;\nthose of recall are Wilson's."
    )
    if report.other_splits:
        yield "\nFor comparison only, on photos that it was trained or chosen on:"
    for split in report.other_splits:
        figure = split.accuracy
        right = f"{figure.value:.1%} of {figure.n} photos right ({figure.low:.1%} to {figure.high:.1%})"
        yield f"- {split.split}: {right}; {split.how}"


def _classes(dataset: Dataset, report: Report) -> Iterator[str]:
    for c in report.by_class:
        counts = [dataset.photos_by_split[split].get(c.label, 0) for split in ("train", "val")]
        f1 = f" ({c.f1_interval.low:.3f} to {c.f1_interval.high:.3f})" if c.f1_interval else ""
        yield (
            f"| {_cell(c.label)} | {counts[0]} | {counts[1]} | {c.support} | {c.precision:.3f} "
            f"| {c.recall.value:.3f} ({c.recall.low:.3f} to {c.recall.high:.3f}) | {c.f1:.3f}{f1} |"
        )


def _limits(dataset: Dataset, report: Report) -> Iterator[str]:
    yield "- Judged on photos of the collection that it was trained on; how it does elsewhere was not measured here."
    judged = [entry for entry in report.by_class if entry.support]
    if judged:
        weak = min(judged, key=lambda entry: entry.recall.value)
        yield f"- Lowest recall: {_cell(weak.label)}, {weak.recall.value:.1%} of {weak.support} photos."
    for entry in report.by_class:
        if not entry.support:
            yield f"- {_cell(entry.label)} has no test photo: nothing is known about it."
    pairs = [(n, t, p) for t, row in enumerate(report.confusion) for p, n in enumerate(row) if n and t != p]
    if pairs:
        n, t, p = max(pairs, key=lambda pair: pair[0])
        said = f"{_cell(report.classes[t])} is taken for {_cell(report.classes[p])}"
        yield f"- Most frequent confusion: {said} ({n} of {sum(report.confusion[t])} photos)."
    for part in report.slices:
        if part.is_worse:
            right = f"{part.accuracy.value:.1%} of {part.accuracy.n} photos right, {part.rest.value:.1%} of the others"
            p_value = f"p = {part.p_value:.2g}, corrected for {len(report.slices)} slices"
            yield f"- Weak: {part.trait} {_cell(part.value)}, {right} ({p_value})."
    if report.slices and not any(part.is_worse for part in report.slices):
        traits = ", ".join(dict.fromkeys(part.trait for part in report.slices))
        yield f"- None of {len(report.slices)} slices by {traits} is worse than the rest beyond chance."
    if report.n_unreadable:
        yield f"- {report.n_unreadable} test photos could not be read and are outside of all figures."
    if report.learning:
        gain = report.learning.gain
        yield (
            f"- Twice the training photos of this kind would bring about {100 * gain.value:+.1f} points of accuracy "
            f"(95% interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f}), by a fitted learning curve."
        )
    for what, why in report.not_measured.items():
        yield f"- Not measured: {what} ({_cell(why)})."


def _took(bundle: Bundle, run: Run, report: Report) -> Iterator[str]:
    spent = run.spent
    cpu = f"{spent.cpu_seconds:.0f} s" if spent and spent.cpu_seconds is not None else "not measured"
    energy = (
        f"{spent.joules:.0f} J ({spent.joules / 3.6e6:.4f} kWh), the whole processor package"
        if spent and spent.joules is not None
        else "not measured (this machine lets nobody read its counters)"
        if spent
        else "not measured"
    )
    yield f"- Training: {run.seconds:.0f} s; processor time: {cpu}; energy: {energy}."
    yield f"- Evaluation: {report.seconds:.0f} s. Export: {bundle.seconds:.0f} s. Earlier steps are not counted."


def _of_others(report: Report) -> str:
    """What becomes of a photo of something else."""
    unknown = report.unknown
    if unknown is None:
        return (
            "For a photo of anything else it still names one of them: it has not learnt to say that it does not know."
        )
    told = (
        f"A photo that is farther from all of them than {unknown.threshold:.3f} (training photos are about 1 from\n"
        f"their own class) is refused as unknown. That was set on {unknown.n_validation} validation photos to accept\n"
        f"{unknown.share_kept:.0%} of photos of these classes; of the test photos {unknown.accepted.value:.1%} were "
        f"accepted ({unknown.accepted.low:.1%} to {unknown.accepted.high:.1%})."
    )
    if unknown.mean_auroc is None or unknown.mean_fpr95 is None:
        return f"{told}\nHow many photos of other things it refuses was not measured: {unknown.why_none}."
    return (
        f"{told}\nWith each of {len(unknown.left_out)} classes left out in turn, its photos were told from the known "
        f"ones with an AUROC of\n{unknown.mean_auroc:.3f} on average (0.5 is a guess), and {unknown.mean_fpr95:.1%} of "
        "them were accepted where 95% of the known ones were:\nit does not refuse everything that it should."
    )


def _of_confidence(report: Report) -> str:
    """How true a confidence is."""
    known = report.calibration
    if known is None:
        return "How true its confidence is was not measured."
    return (
        f"Its confidence is {known.ece_after:.1%} off the share of right answers on average (expected calibration "
        f"error;\n{known.ece_before:.1%} before its temperature of {known.temperature:.2f}, which was fitted on "
        f"{known.n_validation} validation photos; {known.ece_by_chance:.1%} would be\nchance on so few)."
    )


def _cell(text: str) -> str:
    """A class name that cannot break out of a table or a list."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
