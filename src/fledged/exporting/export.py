"""The door: a Run becomes a Bundle that answers exactly as the run was evaluated."""

from __future__ import annotations

import os
import time

import fledged
from fledged import progress
from fledged.config import resolve
from fledged.errors import ProductError
from fledged.exporting.card import model_card
from fledged.exporting.compose import Top, compose
from fledged.exporting.parity import measure
from fledged.exporting.spread import spread_of
from fledged.networks.inference import load_classifier, load_regions
from fledged.products import Bundle, Dataset, Report, Run
from fledged.settings.results import ExportConfig
from fledged.training.transfer import embedding_of
from fledged.workspace import DEFAULT, Workspace, now, product_id, write_bytes


def export(
    run: Run | str | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    **settings: object,
) -> Bundle:
    """A folder to serve from: model.onnx, bundle.json and MODEL_CARD.md.

    The run must have been evaluated on its test split: the bundle states that accuracy, and is compared with those
    answers. `settings` are the fields of `config.ExportConfig`. Raises ParityError, writing nothing, if they differ.
    """
    config = resolve(ExportConfig, settings)
    workspace = Workspace(work)
    start_s = time.monotonic()
    with workspace.lock():
        if not isinstance(run, Run):
            run = workspace.load(Run, run)
        dataset = workspace.load(Dataset, run.dataset_id)
        judged = _report_of(run, workspace)
        bundle_id = product_id(Bundle, run.id, judged.id, config)
        if (earlier := workspace.find(Bundle, bundle_id)) is not None:
            return earlier
        model_onnx = _graph(run, workspace)
        parity = measure(model_onnx, judged, dataset, run.preprocess, config, report or progress.default())
        bundle = Bundle(
            id=bundle_id,
            version=Bundle.format_version,
            created_at=now(),
            seconds=time.monotonic() - start_s,
            run_id=run.id,
            dataset_id=dataset.id,
            snapshot_id=dataset.snapshot_id,
            report_id=judged.id,
            classes=run.classes,
            preprocess=run.preprocess,
            backbone=run.backbone,
            accuracy=judged.accuracy,
            parity=parity,
            fledged=fledged.__version__,
            calibration=run.calibration,
            unknown=run.unknown,
            spread=spread_of(judged),
        )
        folder = workspace.folder("bundle", bundle_id)
        write_bytes(folder / "model.onnx", model_onnx)
        write_bytes(folder / "MODEL_CARD.md", model_card(bundle, run, dataset, judged).encode())
        return workspace.save(bundle)


def _graph(run: Run, workspace: Workspace) -> bytes:
    classifier = load_classifier(run)
    embedding = embedding_of(run.backbone.name, classifier.embed.backbone, run.preprocess, workspace)
    head = classifier.head
    layers = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in head.layers]
    top = Top(
        centre_F=head.centre.numpy(),
        scale_F=head.scale.numpy(),
        layers=layers,
        temperature=run.calibration.temperature if run.calibration else 1.0,
        regions=load_regions(run) if run.unknown else None,
    )
    return compose(embedding.onnx, top)


def _report_of(run: Run, workspace: Workspace) -> Report:
    """The newest report of this run on its own test split."""
    wanted = (f"run:{run.id}", f"test split of dataset:{run.dataset_id}")
    found = [known for known in workspace.all(Report) if (known.subject, known.source) == wanted]
    if found:
        return max(found, key=lambda known: (known.created_at, known.id))
    raise ProductError(
        f"Run {run.id} has not been evaluated, and a bundle states how good it is",
        where=workspace.root,
        remedy=f"Run: fledged evaluate run:{run.id}",
    )
