"""Engines for the frozen blocks: OpenVINO against ONNX Runtime, speed and agreement, on real photos.

    python -m benchmarks engines        # with: pip install openvino
    python -m benchmarks.engines --photos 400 --rounds 3

The same ONNX file, one photo at a time on one thread, as training computes what leaves frozen blocks. Engines take
turns, a slice of the photos each, and what is counted is CPU time: other work on the machine hardly moves it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from fledged import images
from fledged.embedding import engines
from fledged.embedding.features import Embedding
from fledged.embedding.graphs import embedding_of
from fledged.images import UInt8Array
from fledged.networks import backbones
from fledged.networks.blocks import chain, cut
from fledged.networks.weights import locate
from fledged.products import Preprocess
from fledged.settings.training import TrainConfig
from fledged.workspace import Workspace

LAKE = "birds_vs_drones"
BASE = "ONNX Runtime"
_BACKBONES = (
    TrainConfig(backbone="mobilenet_v2", weights=str(WEIGHTS)),
    TrainConfig(backbone="efficientnet_lite0"),
)
_N_BLOCKS = 3
_SLICE = 50  # photos between two turns

Float32Array = npt.NDArray[np.float32]


@dataclass(slots=True)
class Taken:
    """By one engine: CPU seconds of each round, and what it made in the last one."""

    cpu_s: list[float] = field(default_factory=list)
    made: list[Float32Array] = field(default_factory=list)


def main() -> None:
    """The usual number of photos."""
    measure(400, 3)


def measure(n_photos: int, n_rounds: int) -> None:
    """A row for each network, cut and engine."""
    if not DATA.is_dir() or not WEIGHTS.is_file():
        print(f"skipped: no photos in {DATA} or no weights at {WEIGHTS}")
        return
    try:
        import openvino  # noqa: F401
    except ImportError:
        print("skipped: no OpenVINO; pip install openvino")
        return
    files = sorted((DATA / LAKE).rglob("*.jpg"))
    files = files[:: max(1, len(files) // n_photos)][:n_photos]
    start_s = time.process_time()
    photos = [images.model_input(file.read_bytes(), Preprocess()) for file in files]
    decode_ms = (time.process_time() - start_s) / len(files) * 1e3
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for config in _BACKBONES:
            for what, embedding in _embeddings(config, Workspace(folder)).items():
                rows += _rows(config.backbone, what, photos, embedding, n_rounds)
    results.write(
        "Engines: the frozen blocks by OpenVINO and ONNX Runtime",
        "python -m benchmarks engines",
        [
            "network",
            "output",
            "engine",
            "CPU ms a photo",
            "times as fast",
            "largest difference",
            "norm of it",
            "cosine",
        ],
        rows,
        f"{len(photos)} photos of {LAKE}, 224 px, batch 1, one thread; the median of {n_rounds} rounds in turns of "
        f"{_SLICE} photos.\nDecoding, which comes on top, took {decode_ms:.1f} ms a photo. Differences from ONNX "
        "Runtime: the largest one as a share of the\nlargest number, the norm of all of them as a share of the norm of "
        "all numbers, and the lowest cosine of a photo.",
    )


def _embeddings(config: TrainConfig, workspace: Workspace) -> Mapping[str, Embedding]:
    backbone = backbones.build(locate(config))
    name, how = backbone.name, Preprocess(mean=backbone.mean, std=backbone.std)
    before, _ = cut(chain(name, backbone.module), _N_BLOCKS, name)
    return {
        "features": embedding_of(name, backbone.module, how, workspace),
        f"before the last {_N_BLOCKS} blocks": embedding_of(f"{name}[:-{_N_BLOCKS}]", before, how, workspace),
    }


def _rows(
    network: str, what: str, photos: Sequence[UInt8Array], embedding: Embedding, n_rounds: int
) -> list[list[object]]:
    asked = {
        BASE: engines.opened(engines.SERVES, embedding.onnx),
        "OpenVINO, float32": engines.opened("openvino", embedding.onnx),
        "OpenVINO, bfloat16": _in_bfloat16(embedding),
    }
    taken = _taken(asked, photos, n_rounds)
    base_s, base = statistics.median(taken[BASE].cpu_s), np.concatenate(taken[BASE].made)
    rows: list[list[object]] = []
    for engine, of_engine in taken.items():
        cpu_s = statistics.median(of_engine.cpu_s)
        agreement = ["", "", ""] if engine == BASE else _agreement(base, np.concatenate(of_engine.made))
        rows.append([network, what, engine, f"{cpu_s / len(photos) * 1e3:.2f}", f"{base_s / cpu_s:.2f}", *agreement])
    return rows


def _taken(asked: Mapping[str, engines.Ask], photos: Sequence[UInt8Array], n_rounds: int) -> dict[str, Taken]:
    taken = {name: Taken() for name in asked}
    for ask in asked.values():
        ask(photos[0][None])  # the first one sets up
    for _ in range(n_rounds):
        round_s = dict.fromkeys(asked, 0.0)
        made: dict[str, list[Float32Array]] = {name: [] for name in asked}
        for start in range(0, len(photos), _SLICE):
            for name, ask in asked.items():
                start_s = time.process_time()
                made[name] += [ask(photo[None]) for photo in photos[start : start + _SLICE]]
                round_s[name] += time.process_time() - start_s
        for name, of_engine in taken.items():
            of_engine.cpu_s.append(round_s[name])
            of_engine.made = made[name]
    return taken


def _agreement(base: Float32Array, other: Float32Array) -> list[str]:
    base, other = base.reshape(len(base), -1), other.reshape(len(other), -1)
    apart = other - base
    cosines = (base * other).sum(1) / np.linalg.norm(base, axis=1) / np.linalg.norm(other, axis=1)
    return [
        f"{np.abs(apart).max() / np.abs(base).max():.1e}",
        f"{np.linalg.norm(apart) / np.linalg.norm(base):.1e}",
        f"{cosines.min():.6f}",
    ]


def _in_bfloat16(embedding: Embedding) -> engines.Ask:
    """As training does not: its numbers are others."""
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(embedding.onnx)
        model = openvino.convert_model(path)
        model.reshape([1, embedding.how.size_px, embedding.how.size_px, 3])  # a fixed shape is the faster one
        settings = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
        request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()

    def ask(photo_NHWC: UInt8Array) -> Float32Array:
        made: Float32Array = request.infer({0: photo_NHWC}, share_inputs=True)[0].copy()
        return made

    return ask


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    measure(given.photos, given.rounds)
