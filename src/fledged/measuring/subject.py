"""Who is judged: a run, a bundle, a package or a served address, down to a callable that turns photos into answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fledged.images import UInt8Array
from fledged.places import looks_remote
from fledged.product_files import open_place
from fledged.products import WEIGHTS_FILE, BackboneInfo, Bundle, Calibration, Package, Preprocess, Run, Unknown
from fledged.workspace import Workspace

Float32Array = npt.NDArray[np.float32]
# uint8 (N, S, S, 3) -> float32 (N, C), rows that add up to 1
Probabilities = Callable[[UInt8Array], Float32Array]
# the same, and float32 (N,): how far each photo is from all classes
Scored = Callable[[UInt8Array], tuple[Float32Array, Float32Array]]
# C probabilities of one photo, and how far it is from all classes
Answered = tuple[Sequence[float], float]
# A photo's bytes -> its answer, by any thread; raises RequestError
Ask = Callable[[bytes], Answered]


@dataclass(frozen=True, slots=True)
class Subject:
    """A model, and what it needs to be asked."""

    name: str  # "run:…", "bundle:…", "package:…" or "https://… bundle:…"
    classes: tuple[str, ...]
    preprocess: Preprocess
    run_id: str
    dataset_id: str  # that it was trained on
    backbone: BackboneInfo
    load: Callable[[], Probabilities]  # called only if there is something to answer
    file: Path | None  # with its weights; None for an address
    run: Run | None = None
    calibration: Calibration | None = None
    unknown: Unknown | None = None
    load_scored: Callable[[], Scored] | None = None  # where there is a threshold
    connect: Callable[[], AbstractContextManager[Ask]] | None = None  # where it answers from outside


def find_subject(
    workspace: Workspace, wanted: Run | Bundle | str | os.PathLike[str] | None, *, sign: bool = False
) -> Subject:
    """A run or bundle by itself, by `run:ID` or `bundle:ID`, a bundle by its folder; None is the newest run.

    A package by `package:ID` and a served model by its address answer from outside of this process; with `sign`,
    requests to an address are signed for IAM. Raises ProductError if there is no such thing.
    """
    if isinstance(wanted, Bundle):
        return of_bundle(wanted)
    if isinstance(wanted, Run):
        return _of_run(wanted)
    if wanted is None:
        return _of_run(workspace.load(Run))
    name = os.fspath(wanted)
    if name.startswith(("https://", "http://", "package:")):
        from fledged.measuring.outside import packed_in, served_at

        is_packed = name.startswith("package:")
        return packed_in(workspace.load(Package, name), workspace) if is_packed else served_at(name, sign=sign)
    if name.startswith("bundle:"):
        return of_bundle(workspace.load(Bundle, name))
    if looks_remote(wanted) or not isinstance(wanted, str) or Path(name).is_dir() or len(Path(name).parts) > 1:
        return of_bundle(open_place(Bundle, name))
    return _of_run(workspace.load(Run, name))


def _of_run(run: Run) -> Subject:
    def load() -> Probabilities:
        from fledged.networks.inference import run_probabilities

        return run_probabilities(run)

    def load_scored() -> Scored:
        from fledged.networks.inference import run_scored

        return run_scored(run)

    return Subject(
        name=f"run:{run.id}",
        classes=run.classes,
        preprocess=run.preprocess,
        run_id=run.id,
        dataset_id=run.dataset_id,
        backbone=run.backbone,
        load=load,
        file=run.folder / WEIGHTS_FILE,
        run=run,
        calibration=run.calibration,
        unknown=run.unknown,
        load_scored=load_scored if run.unknown else None,
    )


def of_bundle(bundle: Bundle) -> Subject:
    """A bundle, asked as `fledged serve` asks it."""

    def load() -> Probabilities:
        from fledged.predicting.predictor import load as load_predictor

        return load_predictor(bundle).probabilities

    def load_scored() -> Scored:
        from fledged.predicting.predictor import load as load_predictor

        return load_predictor(bundle).scored

    return Subject(
        name=f"bundle:{bundle.id}",
        classes=bundle.classes,
        preprocess=bundle.preprocess,
        run_id=bundle.run_id,
        dataset_id=bundle.dataset_id,
        backbone=bundle.backbone,
        load=load,
        file=bundle.folder / "model.onnx",
        calibration=bundle.calibration,
        unknown=bundle.unknown,
        load_scored=load_scored if bundle.unknown else None,
    )
