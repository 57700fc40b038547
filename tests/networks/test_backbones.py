"""Every backbone gives pooled features; weights that do not fit are refused by name."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torchvision import models

from fledged.errors import ConfigError, WeightsError
from fledged.networks import backbones
from fledged.networks.weights import Source, locate
from fledged.settings.training import TrainConfig


def scratch(name: str) -> backbones.Backbone:
    return backbones.build(Source(name, None, "", "none: trained from scratch"))


def from_file(name: str, path: Path) -> backbones.Backbone:
    return backbones.build(locate(TrainConfig(backbone=name, weights=str(path))))


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v2",
        "resnet18",
        "vgg11",
        "efficientnet_lite0",
        "timm:test_resnet.r160_in1k",
        "timm:mobilenetv2_050",  # a narrower MobileNetV2
        "timm:mobilenetv3_small_050",  # which has a layer between pooling and classifier
    ],
)
def test_every_backbone_gives_its_features(name: str) -> None:
    backbone = scratch(name)
    with torch.inference_mode():
        features = backbone.module.eval()(torch.zeros(2, 3, 64, 64))
    assert features.shape == (2, backbone.n_features)
    assert backbone.n_parameters > 0
    assert backbones.empty(name).state_dict().keys() == backbone.module.state_dict().keys()


def test_the_installed_weights_are_those_of_imagenet() -> None:
    installed = backbones.build(locate(TrainConfig(backbone="efficientnet_lite0")))
    assert (installed.mean, installed.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    with torch.inference_mode():
        features = installed.module.eval()(torch.rand(4, 3, 96, 96) * 2 - 1)
    # An untrained network's features of different noise are all but equal.
    assert 0.01 < float(features.std()) < 10
    assert not torch.allclose(features[0], features[1], atol=1e-3)


def test_a_classifier_in_the_file_is_ignored_and_the_rest_is_loaded(tmp_path: Path) -> None:
    state = scratch("resnet18").module.state_dict()
    safetensors.torch.save_file(state | {"fc.weight": torch.ones(2, 2)}, tmp_path / "w.safetensors")
    loaded = from_file("resnet18", tmp_path / "w.safetensors")
    assert torch.equal(loaded.module.state_dict()["conv1.weight"], state["conv1.weight"])


def test_weights_of_a_deeper_network_of_the_family_are_refused(tmp_path: Path) -> None:
    """Each tensor that is needed is there, in its shape."""
    safetensors.torch.save_file(models.resnet34(weights=None).state_dict(), tmp_path / "w.safetensors")
    words = r"not of resnet18: 0 tensors are missing, 0 have another shape and \d+ are too many; layer1\.2\.bn1"
    with pytest.raises(WeightsError, match=words):
        from_file("resnet18", tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "vgg11"])
def test_a_whole_network_of_torchvision_is_taken_without_its_classifier(tmp_path: Path, name: str) -> None:
    state = getattr(models, name)(weights=None).state_dict()
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    taken = from_file(name, tmp_path / "w.safetensors").module.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in taken.items())


def test_weights_that_were_trained_on_several_gpus_are_taken(tmp_path: Path) -> None:
    state = scratch("resnet18").module.state_dict()
    safetensors.torch.save_file({f"module.{key}": tensor for key, tensor in state.items()}, tmp_path / "w.safetensors")
    taken = from_file("resnet18", tmp_path / "w.safetensors").module.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in taken.items())


def test_weights_in_integers_are_refused(tmp_path: Path) -> None:
    state = scratch("resnet18").module.state_dict()
    rounded = state | {"conv1.weight": state["conv1.weight"].to(torch.int64)}
    safetensors.torch.save_file(rounded, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"integers, first in conv1\.weight"):
        from_file("resnet18", tmp_path / "w.safetensors")


def test_weights_of_another_architecture_are_named(tmp_path: Path) -> None:
    safetensors.torch.save_file(scratch("resnet18").module.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(
        WeightsError, match=r"not of mobilenet_v2: \d+ tensors are missing.*features\.0\.0\.weight is missing"
    ):
        from_file("mobilenet_v2", tmp_path / "w.safetensors")


def test_a_misshapen_tensor_is_named(tmp_path: Path) -> None:
    state = dict(scratch("resnet18").module.state_dict()) | {"conv1.weight": torch.ones(1)}
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"conv1\.weight is \(1,\), not \(64, 3, 7, 7\)"):
        from_file("resnet18", tmp_path / "w.safetensors")


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    state = dict(scratch("resnet18").module.state_dict())
    state["bn1.weight"] = state["bn1.weight"] * float("nan")
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"not finite, first in bn1\.weight"):
        from_file("resnet18", tmp_path / "w.safetensors")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"not tensors")
    with pytest.raises(WeightsError, match="cannot be read"):
        from_file("resnet18", tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("name", "words"), [("resnet17", "no backbone `resnet17`"), ("timm:resnet17x", "timm has no model")]
)
def test_an_unknown_backbone_is_refused(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        scratch(name)


@pytest.mark.parametrize(("name", "side_px"), [("timm:test_vit", 160), ("timm:test_resnet", None)])
def test_a_network_that_takes_one_size_alone_says_so(name: str, side_px: int | None) -> None:
    assert scratch(name).fixed_px == side_px


def test_where_timm_knows_no_weights_those_near_it_that_it_knows_are_named() -> None:
    with pytest.raises(WeightsError, match=r"no weights of mobilenetv2_075.*--mode scratch.*mobilenetv2_050") as told:
        backbones.build(locate(TrainConfig(backbone="timm:mobilenetv2_075")))
    assert "mobilenetv2_075." not in str(told.value).partition("Near")[2]


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as fetching one file takes."""

    files: dict[str, bytes] = {}

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        data = self.files.get(self.path.rsplit("/", 1)[-1]) if "test_resnet" in self.path else None
        self.send_response(200 if data else 404)
        self.send_header("ETag", '"0123456789abcdef"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        if body and data:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


BUILD_FROM_HUB = """
import torch
from fledged.settings.training import TrainConfig
from fledged.networks import backbones
from fledged.networks.weights import locate
backbone = backbones.build(locate(TrainConfig(backbone="timm:test_resnet.r160_in1k")))
print(float(backbone.module.state_dict()["conv1.0.weight"].sum()), flush=True)
backbones.build(locate(TrainConfig(backbone="timm:test_byobnet.r160_in1k")))  # of which the hub knows nothing
"""


def test_timm_fetches_weights_from_its_hub_or_names_three_ways(tmp_path: Path) -> None:
    import timm

    model = timm.create_model("test_resnet.r160_in1k", pretrained=False)
    Hub.files = {"model.safetensors": safetensors.torch.save(model.state_dict())}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    environment = os.environ | {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", BUILD_FROM_HUB], env=environment, capture_output=True, text=True, check=False
    )
    server.shutdown()
    server.server_close()
    assert done.stdout, done.stderr
    assert float(done.stdout) == pytest.approx(float(model.state_dict()["conv1.0.weight"].sum()), abs=1e-4)
    assert "WeightsError" in done.stderr
    assert "Three ways" in done.stderr
