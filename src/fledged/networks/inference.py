"""A run's own answers, in torch: what evaluation judges and what every export is held against."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fledged.networks import backbones
from fledged.networks.model import Classifier, Head
from fledged.products import WEIGHTS_FILE, Run

Probabilities = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


def load_classifier(run: Run) -> Classifier:
    """The run's network with its weights, in evaluation mode, on the CPU."""
    backbone = backbones.empty(run.backbone.name)
    head = Head(run.backbone.n_features, len(run.classes), hidden=run.settings.head.hidden)
    model = Classifier(backbone, head, run.preprocess)
    model.load_state_dict(safetensors.torch.load_file(run.folder / WEIGHTS_FILE))
    return model.eval()


def run_probabilities(run: Run) -> Probabilities:
    """uint8 photos (N, S, S, 3) to probabilities (N, C)."""
    model = _fused(load_classifier(run))

    def probabilities(photos_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            logits_NC: torch.Tensor = model(torch.from_numpy(photos_NHWC))
            result: npt.NDArray[np.float32] = logits_NC.softmax(1).numpy()
            return result

    return probabilities


def _fused(model: nn.Module) -> nn.Module:
    """The same network; each BatchNorm that directly follows a convolution becomes part of it: half the time."""
    for sequence in [module for module in model.modules() if isinstance(module, nn.Sequential)]:
        for place, (layer, after) in enumerate(itertools.pairwise(sequence)):
            if isinstance(layer, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                sequence[place] = fuse_conv_bn_eval(layer, after)
                sequence[place + 1] = nn.Identity()
    return model
