"""Core ML, for Apple's devices: `model.mlpackage`, one photo at a time, its levels as float32. Runs on macOS alone."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

from fledged.exporting.formats.source import Source
from fledged.exporting.parity import Ask, Float32Array
from fledged.images import UInt8Array
from fledged.networks.graph import INPUT, blank_photos


def convert(source: Source, folder: Path) -> Ask | None:
    """Writes `model.mlpackage`; on macOS it is asked through Core ML, elsewhere it cannot be."""
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    # Its bars of progress say nothing that a person waits for.
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")  # that this torch is newer than those that coremltools was tried with
        import coremltools

        blank = blank_photos(source.size_px)[:1]
        traced = torch.jit.trace(source.network, (blank,), check_trace=False)  # type: ignore[no-untyped-call]
        model = coremltools.convert(
            traced,
            inputs=[coremltools.TensorType(name=INPUT, shape=tuple(blank.shape), dtype=np.float32)],
            outputs=[coremltools.TensorType(name=name) for name in source.network.outputs],
            convert_to="mlprogram",
            compute_precision=coremltools.precision.FLOAT32,
            minimum_deployment_target=coremltools.target.iOS16,
        )
        model.save(str(folder / "model.mlpackage"))
    if sys.platform != "darwin":
        return None

    def ask(photos_NHWC: UInt8Array) -> dict[str, Float32Array]:
        rows = [model.predict({INPUT: photo[None].astype(np.float32)}) for photo in photos_NHWC]
        return {name: np.concatenate([row[name] for row in rows]) for name in source.network.outputs}

    return ask
