"""The door: a Run becomes a Bundle that answers exactly as the run was evaluated."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import numpy as np
import onnxruntime

import fledged
from fledged import onnx_sessions, progress
from fledged.config import resolve
from fledged.engine import n_workers
from fledged.errors import ProductError
from fledged.exporting.also import checked, export_also
from fledged.exporting.card import model_card
from fledged.exporting.heatmap import HEATMAP
from fledged.exporting.parity import Ask, Float32Array, ask_all, gate_of, parity_of
from fledged.exporting.reference import reference_of
from fledged.exporting.served import in_fp32, in_int8
from fledged.exporting.speed import speed_of
from fledged.exporting.spread import spread_of
from fledged.images import UInt8Array
from fledged.networks.graph import INPUT
from fledged.products import REFERENCE_FILE, Bundle, Dataset, Report, Run
from fledged.settings.results import ExportConfig
from fledged.workspace import DEFAULT, Workspace, now, product_id
from fledged.writing import write_bytes


def export(
    run: Run | str | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    also: Sequence[str] = (),
    report: progress.Report | None = None,
    **settings: object,
) -> Bundle:
    """A folder to serve from: model.onnx, reference.json, bundle.json and MODEL_CARD.md.

    The run must have been evaluated on its test split: the bundle states that accuracy, and is compared with those
    answers. `also` names other formats, which are written beside the bundle: torchscript, openvino, executorch, coreml.
    `settings` are the fields of `config.ExportConfig`. Raises ParityError, writing nothing, if answers differ.
    """
    config, formats = resolve(ExportConfig, settings), checked(also)
    workspace = Workspace(work)
    with workspace.lock():
        if not isinstance(run, Run):
            run = workspace.load(Run, run)
        dataset = workspace.load(Dataset, run.dataset_id)
        judged = _report_of(run, workspace)
        tell = report or progress.default()
        bundle = _bundle(run, dataset, judged, config, workspace, tell)
        if formats:
            export_also(formats, bundle, judged, config, workspace, tell)
        return bundle


def _bundle(
    run: Run, dataset: Dataset, judged: Report, config: ExportConfig, workspace: Workspace, report: progress.Report
) -> Bundle:
    start_s = time.monotonic()
    bundle_id = product_id(Bundle, run.id, judged.id, config)
    if (earlier := workspace.find(Bundle, bundle_id)) is not None:
        return earlier
    if config.precision == "int8":
        served = in_int8(run, dataset, config.int8, workspace, report)
    else:
        served = in_fp32(run, workspace)
    ask = _asking(served.onnx)
    gate = gate_of(config)
    asked = ask_all(ask, judged, dataset, run.preprocess, config.parity_photos, report)
    parity = parity_of(asked, gate)
    measured = {"n_bytes": len(served.onnx), "speed": speed_of(ask, run.preprocess.size_px)}
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
        # In float32 its answers are the run's; in integers they are its own.
        accuracy=parity.accuracy if config.precision == "int8" and parity.accuracy else judged.accuracy,
        parity=parity.model_copy(update=measured),
        fledged=fledged.__version__,
        calibration=served.calibration,
        unknown=served.unknown,
        precision=config.precision,
        spread=spread_of(judged),
        heatmap_cells=_heatmap_cells(ask, run.preprocess.size_px),
    )
    kept = reference_of(ask, asked, run.preprocess, config.precision)
    folder = workspace.folder("bundle", bundle_id)
    write_bytes(folder / "model.onnx", served.onnx)
    write_bytes(folder / REFERENCE_FILE, kept.model_dump_json().encode())
    write_bytes(folder / "MODEL_CARD.md", model_card(bundle, run, dataset, judged).encode())
    return workspace.save(bundle)


def _asking(model_onnx: bytes) -> Ask:
    options = onnx_sessions.options(n_workers(0), integers=True)
    session = onnxruntime.InferenceSession(model_onnx, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def ask(photos_NHWC: UInt8Array) -> dict[str, Float32Array]:
        return dict(zip(names, session.run(names, {INPUT: photos_NHWC}), strict=True))

    return ask


def _heatmap_cells(ask: Ask, size_px: int) -> int | None:
    """None as well where all places are one."""
    said = ask(np.zeros((1, size_px, size_px, 3), np.uint8))
    cells = said[HEATMAP].shape[1] if HEATMAP in said else 1
    return cells if cells > 1 else None


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
