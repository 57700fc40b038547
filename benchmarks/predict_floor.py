"""The floor of `fledged predict`, Pillow and onnxruntime alone: `python -m benchmarks.predict_floor BUNDLE LIST`."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

_BATCH = 4


def main(bundle: Path, listed: Path) -> None:
    """As little as any tool has to do on all cores: decode, crop, resize, infer."""
    paths = listed.read_text().split("\n")
    cores = len(os.sched_getaffinity(0))
    parts = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    with ProcessPoolExecutor(cores, initializer=_open, initargs=(bundle,)) as pool:
        print(
            sum(
                pool.map(
                    partial(_infer, size_px=json.loads((bundle / "bundle.json").read_bytes())["preprocess"]["size_px"]),
                    parts,
                )
            )
        )


_session: onnxruntime.InferenceSession


def _open(bundle: Path) -> None:
    global _session
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    _session = onnxruntime.InferenceSession(str(bundle / "model.onnx"), options, providers=["CPUExecutionProvider"])


def _infer(paths: list[str], size_px: int) -> int:
    squares = []
    for path in paths:
        with Image.open(path) as image:
            image.draft("RGB", (2 * size_px, 2 * size_px))
            edge = min(image.size)
            left, top = (image.width - edge) / 2, (image.height - edge) / 2
            box = (left, top, left + edge, top + edge)
            square = image.convert("RGB").resize((size_px, size_px), Image.Resampling.BICUBIC, box, reducing_gap=2.0)
            squares.append(np.asarray(square))
    return len(_session.run(["probabilities"], {"photos": np.stack(squares)})[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
