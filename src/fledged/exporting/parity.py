"""Does an export answer as the run did? Asked of real test photos, through their files, never of random tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import polars as pl

from fledged import engine, images, places
from fledged.errors import ParityError, naming
from fledged.exporting.compose import OUTPUT, UNKNOWN
from fledged.images import UInt8Array
from fledged.intervals import paired_difference, wilson
from fledged.products import Dataset, Parity, Preprocess, Report
from fledged.progress import Report as Progress
from fledged.reading import File, Spot, read, spots
from fledged.regular import NotRegular
from fledged.settings.results import ExportConfig

Float32Array = npt.NDArray[np.float32]
# uint8 photos (N, S, S, 3) to what an export says of them, by the names of its outputs
Ask = Callable[[UInt8Array], Mapping[str, Float32Array]]

_BATCH = 16


@dataclass(frozen=True, slots=True)
class Gate:
    """How far an export may be from the run."""

    max_abs_difference: float  # of any probability
    max_abs_score_difference: float | None  # None where the export's scores have a scale and a threshold of their own
    min_label_agreement: float
    max_accuracy_loss: float  # a single photo is allowed, however few there are
    remedy: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The test photos that are as they were, what the run said of each, and what the export says; N photos."""

    classes: tuple[str, ...]
    rows: pl.DataFrame  # path, sha256, label and what else the run's report says, N rows
    run_NC: Float32Array
    export_NC: Float32Array
    scores_N: Float32Array | None


def gate_of(config: ExportConfig) -> Gate:
    """The limits of this precision."""
    if config.precision == "int8":
        of = config.int8
        remedy = (
            "Nothing was exported. Take --set export.precision=fp32; or try --set export.int8.float_share=…, "
            "export.int8.range=percentile or more export.int8.photos; the limits are in export.int8 as well."
        )
        return Gate(of.max_abs_difference, None, of.min_label_agreement, of.max_accuracy_loss, remedy)
    limit = config.max_abs_difference
    remedy = (
        "Nothing was exported. Please report this with the backbone's name; a looser limit is "
        "--set export.max_abs_difference=…"
    )
    return Gate(limit, limit, 1.0, 0.0, remedy)


def ask_all(ask: Ask, report: Report, dataset: Dataset, how: Preprocess, n_most: int, progress: Progress) -> Asked:
    """What an export says of the test photos that the run was asked about, `n_most` of them at most.

    Raises ParityError if no photo is left to ask about.
    """
    answers = report.predictions().filter(pl.col("error").is_null()).head(n_most)
    answers = answers.join(dataset.members().select("path", "sha256"), on="path", how="left", maintain_order="left")
    kept, said = _asked(ask, answers, dataset.lake, how, progress)
    if not kept:
        raise ParityError(
            "No test photo is left as it was, so the export cannot be compared with the run",
            where=dataset.lake,
            remedy="Scan and train again, or bring the photos back.",
        )
    rows = answers[kept]
    run_NC = rows.select([f"p_{label}" for label in report.classes]).to_numpy()
    return Asked(report.classes, rows, run_NC, said[OUTPUT], said.get(UNKNOWN))


def parity_of(asked: Asked, gate: Gate, what: str = "The export") -> Parity:
    """How far the export is from the run. Raises ParityError, naming the worst photo, where that is too far."""
    expected_N, actual_N = asked.run_NC.argmax(1), asked.export_NC.argmax(1)
    differences = {"probabilities": np.abs(asked.export_NC - asked.run_NC).max(1)}
    if asked.scores_N is not None and gate.max_abs_score_difference is not None:
        differences["unknown scores"] = np.abs(asked.scores_N - asked.rows["unknown_score"].to_numpy())
    is_right_N, was_right_N = _right(asked, actual_N), _right(asked, expected_N)
    n = len(actual_N)
    only_export, only_run = int((is_right_N & ~was_right_N).sum()), int((was_right_N & ~is_right_N).sum())
    parity = Parity(
        n_photos=n,
        label_agreement=float((expected_N == actual_N).mean()),
        max_abs_difference=float(differences["probabilities"].max()),
        max_abs_score_difference=float(differences["unknown scores"].max())
        if "unknown scores" in differences
        else None,
        accuracy=wilson(int(is_right_N.sum()), n),
        accuracy_difference=paired_difference(only_export, only_run, n),
    )
    if beyond := _beyond(parity, gate, only_run - only_export):
        worst = int(np.max(list(differences.values()), axis=0).argmax())
        words = ", ".join(f"{name} by up to {float(each.max()):.2g}" for name, each in differences.items())
        raise ParityError(
            f"{what} does not answer as the run: {int((expected_N != actual_N).sum())} of {n} labels differ, {words}, "
            f"accuracy by {100 * (only_export - only_run) / n:+.1f} points ({beyond})",
            where=asked.rows["path"][worst],
            remedy=gate.remedy,
        )
    return parity


def _beyond(parity: Parity, gate: Gate, n_lost: int) -> str:
    """Which limits are passed, in words; "" if none is."""
    passed = []
    if parity.label_agreement < gate.min_label_agreement:
        passed.append(f"at least {gate.min_label_agreement:.1%} of labels must agree")
    if parity.max_abs_difference > gate.max_abs_difference:
        passed.append(f"limit {gate.max_abs_difference:g}")
    scores, limit = parity.max_abs_score_difference, gate.max_abs_score_difference
    if scores is not None and limit is not None and scores > limit:
        passed.append(f"limit of scores {limit:g}")
    if n_lost > max(1, gate.max_accuracy_loss * parity.n_photos):
        passed.append(f"limit {100 * gate.max_accuracy_loss:g} points")
    return "; ".join(passed)


def _right(asked: Asked, predicted_N: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    is_right_N: npt.NDArray[np.bool_] = np.array(asked.classes)[predicted_N] == asked.rows["label"].to_numpy()
    return is_right_N


def _asked(
    ask: Ask, answers: pl.DataFrame, lake: str, how: Preprocess, progress: Progress
) -> tuple[list[int], dict[str, Float32Array]]:
    """The rows whose files are as they were, and what the export says of them, by the names of its outputs."""
    kept: list[int] = []
    batches: list[Mapping[str, Float32Array]] = []
    files = spots([places.join(lake, path) for path in answers["path"]])
    rows = enumerate(zip(files, answers["sha256"], strict=True))
    with ThreadPoolExecutor(engine.n_workers(0)) as pool:
        while chunk := list(islice(rows, _BATCH * 4)):
            inputs = list(pool.map(lambda row: _input(row[1][0], row[1][1], how), chunk))
            present = [(index, photo) for (index, _), photo in zip(chunk, inputs, strict=True) if photo is not None]
            for start in range(0, len(present), _BATCH):
                part = present[start : start + _BATCH]
                kept += [index for index, _ in part]
                batches.append(ask(np.stack([photo for _, photo in part])))
            progress("Comparing answers", chunk[-1][0] + 1, answers.height)
    names = batches[0] if batches else {}
    return kept, {name: np.concatenate([batch[name] for batch in batches]) for name in names}


def _input(file: File, sha256: str, how: Preprocess) -> UInt8Array | None:
    """The photo as the model sees it, or None if the file is not what was evaluated.

    Raises OSError where the disk does not give what it gave before: the bundle would be compared without it for good.
    """
    try:
        with naming(file.place if isinstance(file, Spot) else file):
            data = read(file)
        return images.model_input(data, how) if hashlib.sha256(data).hexdigest() == sha256 else None
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, NotRegular, places.Changed, images.BadPhoto):
        return None
