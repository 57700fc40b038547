"""The graph's heatmap is Grad-CAM's at the last depth, computed without torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch
from torch import nn

from fledged.exporting.compose import Top, compose
from fledged.exporting.heatmap import HEATMAP
from fledged.networks import backbones, gradcam, graph
from fledged.networks.model import Classifier, Head
from fledged.products import Preprocess

HOW = Preprocess(size_px=96)
PHOTOS = np.random.default_rng(3).integers(0, 256, (4, 96, 96, 3), np.uint8)


def dense_tail() -> nn.Module:
    """Like VGG's: dense layers on a flattened map."""
    maps = [nn.Conv2d(3, 6, 5, stride=4), nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(11)]
    return nn.Sequential(*maps, nn.Flatten(1), nn.Linear(6 * 121, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU())


def network(backbone: nn.Module, n_features: int, hidden: int) -> Classifier:
    """With a head and normalised layers that are drawn, so that features and maps vary."""
    torch.manual_seed(5)
    head = Head(n_features, 5, hidden=hidden)
    for layer in head.layers:
        nn.init.normal_(layer.weight)
    head.scale = torch.rand(n_features) + 0.5
    return Classifier(backbone, head, HOW).eval()


def served(model: Classifier) -> onnxruntime.InferenceSession:
    layers = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in model.head.layers]
    top = Top(model.head.centre.numpy(), model.head.scale.numpy(), layers, 1.7, None)
    data = compose(graph.to_onnx(model.embed, graph.blank_photos(HOW.size_px), "features"), top)
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def smooth(cells: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """As Grad-CAM's maps are drawn over a photo."""
    wide: npt.NDArray[np.float32] = nn.functional.interpolate(
        torch.from_numpy(cells)[None, None], HOW.size_px, mode="bilinear"
    )[0, 0].numpy()
    return (wide / max(float(wide.max()), 1e-12)).astype(np.float32)


@pytest.mark.parametrize("hidden", [0, 24])
@pytest.mark.parametrize(
    ("name", "make", "n_features"),
    [
        ("mobilenet_v2", lambda: backbones.empty("mobilenet_v2"), 1280),
        ("resnet18", lambda: backbones.empty("resnet18"), 512),
        ("efficientnet_lite0", lambda: backbones.empty("efficientnet_lite0"), 1280),
        ("dense tail", dense_tail, 12),
        ("timm:mobilenetv3_small_050", lambda: backbones.empty("timm:mobilenetv3_small_050"), 1024),
        ("timm:convnext_atto", lambda: backbones.empty("timm:convnext_atto"), 320),
    ],
)
def test_it_is_grad_cam_at_the_last_depth(
    name: str, make: Callable[[], nn.Module], n_features: int, hidden: int
) -> None:
    torch.manual_seed(7)
    model = network(make(), n_features, hidden)
    probabilities_NC, heat_NHW = served(model).run(["probabilities", HEATMAP], {"photos": PHOTOS})
    assert heat_NHW.min() >= 0
    observed = gradcam.observe(model, name)
    for photo, row, cells in zip(PHOTOS, probabilities_NC, heat_NHW, strict=True):
        # The temperature changes no label: the top class of the graph is that of the network.
        expected = gradcam.heat(observed.network, observed.depths[-1:], photo, [int(row.argmax())]).maps_KDSS[0, 0]
        assert cells.shape == (observed.depths[-1].n_cells,) * 2
        assert cells.max() in (0, 1)
        np.testing.assert_allclose(smooth(cells), expected, atol=2e-3)
    assert heat_NHW.any()


def test_a_transformer_has_none() -> None:
    model = Classifier(backbones.empty("timm:test_vit"), Head(64, 3), Preprocess(size_px=160)).eval()
    layers = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in model.head.layers]
    top = Top(model.head.centre.numpy(), model.head.scale.numpy(), layers, 1.0, None)
    data = compose(graph.to_onnx(model.embed, graph.blank_photos(160), "features"), top)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["probabilities"]


def test_where_nothing_speaks_for_the_class_all_is_cold() -> None:
    model = network(dense_tail(), 12, 0)
    with torch.no_grad():
        model.head.linear.weight.zero_()
    heat_NHW = served(model).run([HEATMAP], {"photos": PHOTOS})[0]
    np.testing.assert_array_equal(heat_NHW, 0)
