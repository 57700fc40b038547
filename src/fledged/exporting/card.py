"""The model card: measured facts, and nothing else."""

from __future__ import annotations

from fledged.products import SPLITS, Bundle, Dataset, Report, Run


def model_card(bundle: Bundle, run: Run, dataset: Dataset, report: Report) -> str:
    """Markdown for people who are handed the bundle."""
    accuracy, how = report.accuracy, run.preprocess
    classes = "\n".join(
        f"| {_cell(c.label)} | {dataset.photos_by_split['train'].get(c.label, 0)} | {c.support} "
        f"| {c.precision:.3f} | {c.recall.value:.3f} ({c.recall.low:.3f} to {c.recall.high:.3f}) | {c.f1:.3f} |"
        for c in report.by_class
    )
    left_out = ", ".join(f"{n} {reason}" for reason, n in dataset.left_out.items()) or "none"
    counts = ", ".join(f"{split} {dataset.n_in(split)}" for split in SPLITS)
    return f"""# Model card: {len(bundle.classes)} classes, {run.backbone.name}

Bundle `{bundle.id}`, written by fledged {bundle.fledged}.

## What it does
It tells photos of these classes apart: {", ".join(_cell(label) for label in bundle.classes)}.
{_of_others(report)}

## How well
On {accuracy.n} test photos, which no choice has seen, {accuracy.value:.1%} were right (95% interval
{accuracy.low:.1%} to {accuracy.high:.1%}); macro F1 {report.macro_f1:.3f}, log loss {report.log_loss:.3f}.

| class | training photos | test photos | precision | recall (95% interval) | F1 |
|---|---|---|---|---|---|
{classes}

{_of_confidence(report)}

The exported file was compared with the trained network on {bundle.parity.n_photos} of these photos: labels agree on
{bundle.parity.label_agreement:.2%}, probabilities differ by {bundle.parity.max_abs_difference:.1e} at most.

## What it was made of
- Photos: snapshot `{dataset.snapshot_id}`, dataset `{dataset.id}` ({counts}); duplicates never on two sides
  ({dataset.n_groups} groups). Left out: {left_out}.
- Backbone: {run.backbone.name}, {run.backbone.n_parameters:,} parameters, weights: {run.backbone.weights_origin}.
- Training: {run.mode}, {run.n_epochs} epochs (the best by validation loss was {run.best_epoch}), seed
  {run.settings.seed}, {run.seconds:.0f} s on {run.environment.cpu} with {run.environment.n_threads} threads.
- Run `{run.id}`, report `{report.id}`.

## How it wants its photos
Upright RGB, {how.resize} to {how.size_px} x {how.size_px} px ({how.interpolation}), as uint8 in the order height,
width, colour. Standardisation, softmax, temperature and the unknown score are inside the graph.
"""


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
