"""A run's own answers, in torch: what evaluation judges and what every export is held against."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fledged.networks import backbones
from fledged.networks.knowing import SMALLEST, Regions, open_regions
from fledged.networks.model import Classifier, Head
from fledged.networks.tensors import tensors_of
from fledged.products import REGIONS_FILE, WEIGHTS_FILE, Run

Float32Array = npt.NDArray[np.float32]
Probabilities = Callable[[npt.NDArray[np.uint8]], Float32Array]
Scored = Callable[[npt.NDArray[np.uint8]], tuple[Float32Array, Float32Array]]


class Knowing(nn.Module):
    """uint8 photos (N, S, S, 3) to probabilities (N, C) at a temperature, and unknown scores (N,).

    A score says how far a photo is from the nearest class; training photos are about 1 from their own.
    """

    def __init__(self, model: Classifier, temperature: float, regions: Regions | None) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.regions = regions

    def forward(self, photos_NHWC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Probabilities (N, C); scores (N,), or None without regions."""
        features_NF = self.model.embed(photos_NHWC)
        probabilities_NC = (self.model.head(features_NF) / self.temperature).softmax(1)
        return probabilities_NC, None if self.regions is None else _scores(features_NF, self.regions)


def load_classifier(run: Run) -> Classifier:
    """The run's network with its weights, in evaluation mode, on the CPU."""
    backbone = backbones.empty(run.backbone.name)
    head = Head(run.backbone.n_features, len(run.classes), hidden=run.settings.head.hidden)
    model = Classifier(backbone, head, run.preprocess)
    model.load_state_dict(tensors_of(safetensors.torch.load_file, run.folder / WEIGHTS_FILE))
    return model.eval()


def run_probabilities(run: Run) -> Probabilities:
    """uint8 photos (N, S, S, 3) to probabilities (N, C), at the run's temperature."""
    model = _knowing(run, None)

    def probabilities(photos_NHWC: npt.NDArray[np.uint8]) -> Float32Array:
        with torch.inference_mode():
            answers_NC: Float32Array = model(torch.from_numpy(photos_NHWC))[0].numpy()
            return answers_NC

    return probabilities


def run_scored(run: Run) -> Scored:
    """uint8 photos (N, S, S, 3) to probabilities (N, C) and unknown scores (N,), of a run that has a threshold."""
    model = _knowing(run, load_regions(run))

    def scored(photos_NHWC: npt.NDArray[np.uint8]) -> tuple[Float32Array, Float32Array]:
        with torch.inference_mode():
            answers_NC, scores_N = model(torch.from_numpy(photos_NHWC))
            return answers_NC.numpy(), scores_N.numpy()

    return scored


def one_core() -> None:
    """Called in a thread of one's own: what torch computes there takes no other core."""
    torch.set_num_threads(1)


@contextmanager
def usual_cores() -> Iterator[None]:
    """After the block, threads that begin take as many cores as before, whatever those in it were told."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def load_regions(run: Run) -> Regions:
    """Where the classes of a run lie among its features."""
    return open_regions(run.folder / REGIONS_FILE)


def _knowing(run: Run, regions: Regions | None) -> Knowing:
    temperature = run.calibration.temperature if run.calibration else 1.0
    return Knowing(_fused(load_classifier(run)), temperature, regions)


def _scores(features_NF: torch.Tensor, regions: Regions) -> torch.Tensor:
    means_CF, directions_FK = torch.from_numpy(regions.means_CF), torch.from_numpy(regions.directions_KF).T
    units_NF = nn.functional.normalize(features_NF, eps=SMALLEST)
    lengths_NC = 1 - 2 * units_NF @ means_CF.T + means_CF.square().sum(1)
    along_NCK = (units_NF @ directions_FK)[:, None] - means_CF @ directions_FK
    nearest_N = (regions.scale * lengths_NC - along_NCK.square().sum(2)).amin(1)
    return nearest_N.clamp(min=0).sqrt()


def _fused(model: Classifier) -> Classifier:
    """The same network; each BatchNorm that directly follows a convolution becomes part of it: half the time."""
    for sequence in [module for module in model.modules() if isinstance(module, nn.Sequential)]:
        for place, (layer, after) in enumerate(itertools.pairwise(sequence)):
            if isinstance(layer, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                sequence[place] = fuse_conv_bn_eval(layer, after)
                sequence[place + 1] = nn.Identity()
    return model
