"""Backbones in 8-bit integers: which layers, scales and ranges, judged on validation photos against float32.

    python -m benchmarks integers
    python -m benchmarks.integers --only birds_vs_drones --work DIR    # one lake; DIR may hold a run of it already

Each row changes one thing of what is exported. Test photos take no part.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

import fledged
from benchmarks import results
from benchmarks.augmentation import LAKES
from benchmarks.build import DATA, WEIGHTS
from fledged import images
from fledged.embedding.graphs import embedding_of
from fledged.engine import n_workers
from fledged.exporting.int8 import in_integers
from fledged.exporting.served import calibration_photos
from fledged.fitting.batches import read_split
from fledged.images import UInt8Array
from fledged.intervals import paired_difference
from fledged.networks.graph import INPUT
from fledged.networks.inference import load_classifier
from fledged.onnx_sessions import multiplies_bytes_exactly, options
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.settings.results import Int8Config
from fledged.workspace import Workspace

VARIANTS = {
    "as exported": Int8Config(),
    "unsigned weights": Int8Config(weights="u8"),
    "depthwise in float32": Int8Config(depthwise=False),
    "a quarter in float32": Int8Config(float_share=0.25),
    "a quarter and depthwise in float32, unsigned": Int8Config(float_share=0.25, depthwise=False, weights="u8"),
    "all convolutions": Int8Config(float_share=0),
    "one scale for all channels": Int8Config(per_channel=False),
    "range: percentile": Int8Config(range="percentile"),
    "range: entropy": Int8Config(range="entropy"),
    "two convolutions in float32": Int8Config(float_share=0.03),
}
_TIMES = 40

Float32Array = npt.NDArray[np.float32]


def main(arguments: Sequence[str] = ()) -> None:
    """Measure, and write one table a lake."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=LAKES)
    parser.add_argument("--work", type=Path)
    chosen = parser.parse_args(arguments)
    for lake in LAKES if chosen.only is None else [chosen.only]:
        with tempfile.TemporaryDirectory() as folder:
            measure(lake, chosen.work or Path(folder))


def measure(lake: str, work: Path) -> None:
    """One lake: build it unless it is there, then each variant against float32."""
    if not (work / "bundles").exists():
        training = {"backbone": "mobilenet_v2", "weights": str(WEIGHTS)}
        fledged.build(DATA / lake, work=work, report=silent, settings={"train": training})
    workspace = Workspace(work)
    run = workspace.load(Run)
    dataset = workspace.load(Dataset, run.dataset_id)
    classifier = load_classifier(run)
    exact = embedding_of(run.backbone.name, classifier.embed.backbone, run.preprocess, workspace).onnx
    val = read_split(dataset, "val")
    labels_N = val["label"].to_numpy()
    photos = np.stack([images.model_input(jpeg, run.preprocess) for jpeg in val["jpeg"]])

    def answers(graph: bytes) -> tuple[Float32Array, onnxruntime.InferenceSession]:
        session = _session(graph, n_workers(0))
        features = [session.run(None, {INPUT: photos[i : i + 16]})[0] for i in range(0, len(photos), 16)]
        with torch.inference_mode():
            logits_NC = classifier.head(torch.from_numpy(np.concatenate(features)))
            temperature = run.calibration.temperature if run.calibration else 1.0
            return (logits_NC / temperature).softmax(1).numpy(), _session(graph, 1)

    expected_NC, in_float = answers(exact)
    was_right_N = expected_NC.argmax(1) == labels_N
    rows = []
    for name, config in VARIANTS.items():
        shown = calibration_photos(dataset, config.photos)
        graph = in_integers(exact, shown, run.preprocess, config)
        actual_NC, in_integer = answers(graph)
        is_right_N = actual_NC.argmax(1) == labels_N
        less = paired_difference(
            int((is_right_N & ~was_right_N).sum()), int((was_right_N & ~is_right_N).sum()), len(labels_N)
        )
        ratio = _ratio(in_float, in_integer, photos[:1])
        rows.append(
            (
                name,
                f"{len(graph) / 1e6:.2f}",
                f"{is_right_N.mean():.4f}",
                f"{100 * less.value:+.1f} ({100 * less.low:+.1f} to {100 * less.high:+.1f})",
                f"{(actual_NC.argmax(1) == expected_NC.argmax(1)).mean():.4f}",
                f"{np.abs(actual_NC - expected_NC).max():.2f}",
                f"{ratio:.2f}",
            )
        )
        print(rows[-1], flush=True)
    header = ("what is otherwise", "MB", "val accuracy", "points less float32 (95% interval)", "same label")
    results.write(
        f"Integers: MobileNetV2's backbone in 8 bits, {lake}",
        "python -m benchmarks integers",
        (*header, "largest difference of a probability", "time of float32 : its time"),
        rows,
        f"{len(labels_N)} validation photos; float32: {len(exact) / 1e6:.2f} MB, accuracy {was_right_N.mean():.4f}. "
        f"Ranges from {Int8Config().photos} training photos.\n"
        "Time: medians of one photo on one thread, both by turns. "
        f"This processor multiplies bytes at once (VNNI): {'yes' if multiplies_bytes_exactly() else 'no'}.\n"
        "The weights are the test MobileNetV2, whose last blocks were fine-tuned on dogs.",
    )


def _session(graph: bytes, threads: int) -> onnxruntime.InferenceSession:
    chosen = options(threads, integers=True)
    return onnxruntime.InferenceSession(graph, chosen, providers=["CPUExecutionProvider"])


def _ratio(first: onnxruntime.InferenceSession, second: onnxruntime.InferenceSession, photo: UInt8Array) -> float:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_TIMES):
        for session, taken in zip((first, second), times, strict=True):
            start_s = time.perf_counter()
            session.run(None, {INPUT: photo})
            taken.append(time.perf_counter() - start_s)
    return statistics.median(times[0]) / statistics.median(times[1])


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
