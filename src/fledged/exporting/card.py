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
It tells photos of these classes apart: {", ".join(_cell(label) for label in bundle.classes)}. For a photo of anything
else it still names one of them: it has not learnt to say that it does not know.

## How well
On {accuracy.n} test photos, which no choice has seen, {accuracy.value:.1%} were right (95% interval
{accuracy.low:.1%} to {accuracy.high:.1%}); macro F1 {report.macro_f1:.3f}, log loss {report.log_loss:.3f}.

| class | training photos | test photos | precision | recall (95% interval) | F1 |
|---|---|---|---|---|---|
{classes}

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
width, colour. Standardisation and softmax are inside the graph.
"""


def _cell(text: str) -> str:
    """A class name that cannot break out of a table or a list."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
