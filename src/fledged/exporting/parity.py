"""Does the export answer as the run did? Asked of real test photos, through their files, never of random tensors."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import polars as pl

from fledged import engine, images
from fledged.errors import ParityError
from fledged.exporting.compose import OUTPUT, UNKNOWN
from fledged.images import UInt8Array
from fledged.networks.graph import INPUT
from fledged.products import Dataset, Parity, Preprocess, Report
from fledged.progress import Report as Progress
from fledged.settings.results import ExportConfig

_BATCH = 16


def measure(
    model_onnx: bytes, report: Report, dataset: Dataset, how: Preprocess, config: ExportConfig, progress: Progress
) -> Parity:
    """How far the export's probabilities and unknown scores are from those in the run's report, photo by photo.

    Raises ParityError if a label differs, or a probability or score by more than the limit, or if no photo is left to
    ask about.
    """
    answers = report.predictions().filter(pl.col("error").is_null()).head(config.parity_photos)
    answers = answers.join(dataset.members().select("path", "sha256"), on="path", how="left", maintain_order="left")
    kept, actual = _asked(model_onnx, answers, Path(dataset.lake), how, progress)
    if not kept:
        raise ParityError(
            "No test photo is left as it was, so the export cannot be compared with the run",
            where=dataset.lake,
            remedy="Scan and train again, or bring the photos back.",
        )
    answers = answers[kept]
    expected_NC, actual_NC = answers.select([f"p_{label}" for label in report.classes]).to_numpy(), actual[OUTPUT]
    agree = actual_NC.argmax(1) == expected_NC.argmax(1)
    differences = {"probabilities": np.abs(actual_NC - expected_NC).max(1)}
    if UNKNOWN in actual:
        differences["unknown scores"] = np.abs(actual[UNKNOWN] - answers["unknown_score"].to_numpy())
    largest = {what: float(each.max()) for what, each in differences.items()}
    if not agree.all() or max(largest.values()) > config.max_abs_difference:
        worst = int(np.max(list(differences.values()), axis=0).argmax())
        words = ", ".join(f"{what} by up to {most:.2g}" for what, most in largest.items())
        raise ParityError(
            f"The export does not answer as the run: {int((~agree).sum())} of {len(kept)} labels differ, {words} "
            f"(limit {config.max_abs_difference:g})",
            where=answers["path"][worst],
            remedy="Nothing was exported. Please report this with the backbone's name; a looser limit is "
            "--set export.max_abs_difference=…",
        )
    return Parity(
        n_photos=len(kept),
        label_agreement=float(agree.mean()),
        max_abs_difference=largest["probabilities"],
        max_abs_score_difference=largest.get("unknown scores"),
    )


def _asked(
    model_onnx: bytes, answers: pl.DataFrame, lake: Path, how: Preprocess, progress: Progress
) -> tuple[list[int], dict[str, npt.NDArray[np.float32]]]:
    """The rows whose files are as they were, and what the export says of them, by the names of its outputs."""
    session = onnxruntime.InferenceSession(model_onnx, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    kept: list[int] = []
    batches: list[list[npt.NDArray[np.float32]]] = []
    rows = enumerate(answers.select("path", "sha256").rows())
    with ThreadPoolExecutor(engine.n_workers(0)) as pool:
        while chunk := list(islice(rows, _BATCH * 4)):
            inputs = list(pool.map(lambda row: _input(lake / row[1][0], row[1][1], how), chunk))
            present = [(index, photo) for (index, _), photo in zip(chunk, inputs, strict=True) if photo is not None]
            for start in range(0, len(present), _BATCH):
                part = present[start : start + _BATCH]
                kept += [index for index, _ in part]
                batches.append(session.run(names, {INPUT: np.stack([photo for _, photo in part])}))
            progress("Comparing answers", chunk[-1][0] + 1, answers.height)
    return kept, {name: np.concatenate(of) for name, of in zip(names, zip(*batches, strict=True), strict=False)}


def _input(path: Path, sha256: str, how: Preprocess) -> UInt8Array | None:
    """The photo as the model sees it, or None if the file is not what was evaluated."""
    try:
        data = path.read_bytes()
        return images.model_input(data, how) if hashlib.sha256(data).hexdigest() == sha256 else None
    except (OSError, images.BadPhoto):
        return None
