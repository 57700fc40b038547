"""Heatmaps are those of the formula, over the right place, of every backbone, and of the weights that were learned."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fledged import images
from fledged.errors import ConfigError
from fledged.images import UInt8Array
from fledged.networks import backbones, deletion
from fledged.networks.gradcam import Heat, chosen, heat, heats, observe
from fledged.networks.inference import load_classifier, run_probabilities
from fledged.networks.model import Classifier, Head
from fledged.preparing.prepare import prepare
from fledged.products import Dataset, Preprocess, Run
from fledged.progress import silent
from fledged.training.train import train

SIDES = {
    "mobilenet_v2": ([4, 7, 14, 19], [24, 12, 6, 3]),
    "resnet18": ([3, 5, 7, 9], [24, 12, 6, 3]),
    "vgg11": ([3, 4, 5, 6], [12, 6, 3, 7]),  # which ends in 7 x 7 cells whatever goes in
    "efficientnet_lite0": ([4, 6, 12, 18], [24, 12, 6, 3]),
    "timm:mobilenetv3_small_050": ([2, 4, 9, 13], [24, 12, 6, 3]),
    "timm:test_byobnet": ([2, 3, 4, 5], [24, 12, 6, 3]),  # of an order that is not known: the resolutions are counted
}


def classifier(name: str, size_px: int = 96, hidden: int = 0) -> Classifier:
    """An untrained network of three classes."""
    torch.manual_seed(3)
    backbone = backbones.empty(name).eval()
    with torch.no_grad():
        n_features = backbone(torch.zeros(1, 3, size_px, size_px)).shape[1]
    head = Head(n_features, 3, hidden=hidden)
    nn.init.normal_(head.linear.weight)
    return Classifier(backbone, head, Preprocess(size_px=size_px)).eval()


def noise(size_px: int) -> UInt8Array:
    return np.random.default_rng(5).integers(0, 256, (size_px, size_px, 3), np.uint8)


@pytest.mark.parametrize("hidden", [0, 6])
@pytest.mark.parametrize("name", SIDES)
def test_every_backbone_has_maps_at_several_depths(name: str, hidden: int) -> None:
    model, photo = classifier(name, hidden=hidden), noise(96)
    with torch.inference_mode():
        expected = model(torch.from_numpy(photo)[None]).softmax(1)[0].numpy()
    observed = observe(model, name)
    depths = chosen(observed.depths, ())
    assert ([depth.block for depth in depths], [depth.n_cells for depth in depths]) == SIDES[name]
    found = heat(observed.network, depths, photo, [2, 0])
    np.testing.assert_allclose(found.probabilities_C, expected, atol=1e-5)
    assert found.maps_KDSS.shape == (2, 4, 96, 96)
    assert found.maps_KDSS.min() >= 0
    highest = found.maps_KDSS.max((2, 3))
    assert np.all(np.isclose(highest, 1, atol=1e-6) | (highest == 0))
    assert highest.any()
    assert all(parameter.grad is None for parameter in model.parameters())
    again = heat(observed.network, depths, photo, [2, 0])
    assert np.array_equal(again.maps_KDSS, found.maps_KDSS)


def test_transformers_have_no_map_of_places() -> None:
    assert observe(classifier("timm:vit_tiny_patch16_224", size_px=224), "timm:vit_tiny_patch16_224").depths == ()


def test_blocks_are_chosen_by_number() -> None:
    depths = observe(classifier("resnet18"), "resnet18").depths
    assert [depth.block for depth in chosen(depths, (7, 2, 7))] == [2, 7]
    with pytest.raises(ConfigError, match=r"Block 12 has no map of places.*Take some of 1, 2, 3, 4, 5, 6, 7, 8, 9"):
        chosen(depths, (3, 12))


class Colours(nn.Module):
    """Two maps of 8 x 8 cells, of how red and how green each is, and their means."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(8)
        self.mix = nn.Conv2d(3, 2, 1, bias=False)
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
        self.mix.weight.data = torch.tensor([[1.0, -0.5, -0.5], [-0.5, 1.0, -0.5]]).view(2, 3, 1, 1)

    def forward(self, batch_NCHW: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.mean(self.mix(self.pool(batch_NCHW)))
        return features


def of_colours(how: Preprocess, photo: UInt8Array) -> Heat:
    """Class 0 is red, class 1 green."""
    head = Head(2, 2)
    head.linear.weight.data = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    observed = observe(Classifier(Colours(), head, how), "colours")
    return heat(observed.network, observed.depths, photo, [0, 1])


def test_a_map_is_that_of_the_formula() -> None:
    # With one linear layer on means, the weights of the maps are its weights over the number of cells.
    photo = noise(64)
    how = Preprocess(size_px=64, mean=(0, 0, 0), std=(1, 1, 1))
    cells_2 = Colours().mix(nn.AdaptiveAvgPool2d(8)(torch.from_numpy(photo).permute(2, 0, 1)[None] / 255.0))[0]
    for index, sign in enumerate((1, -1)):
        expected = (sign * (cells_2[0] - cells_2[1])).relu()
        smooth = nn.functional.interpolate(expected[None, None], (64, 64), mode="bilinear")[0, 0]
        made = of_colours(how, photo).maps_KDSS[index, -1]
        np.testing.assert_allclose(made, (smooth / smooth.max()).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
@pytest.mark.parametrize("size", [(160, 80), (80, 160), (100, 100)])
def test_heat_lies_over_the_place_that_the_network_saw(resize: str, size: tuple[int, int]) -> None:
    # A red square up on the left of the photo's middle, and a green one down on the right of it.
    how = Preprocess.model_validate({"size_px": 64, "resize": resize, "mean": (0, 0, 0), "std": (1, 1, 1)})
    picture = Image.new("RGB", size, (90, 90, 90))
    width, height = size
    side = min(size) // 4
    middles = [(width // 2 + away, height // 2 + away) for away in (-side, side)]
    for (x, y), colour in zip(middles, [(255, 0, 0), (0, 255, 0)], strict=True):
        picture.paste(colour, (x - side // 2, y - side // 2, x + side // 2, y + side // 2))
    photo = images.to_square(picture, how)
    left, top, right, bottom = images.seen_box(width, height, how)
    maps = of_colours(how, photo).maps_KDSS[:, -1]
    for (x, y), of_class in zip(middles, maps, strict=True):
        rows, columns = np.indices(of_class.shape) + 0.5
        centre = (columns * of_class).sum() / of_class.sum(), (rows * of_class).sum() / of_class.sum()
        expected = 64 * (x - left) / (right - left), 64 * (y - top) / (bottom - top)
        assert np.hypot(centre[0] - expected[0], centre[1] - expected[1]) < 2  # a cell is 8


def test_where_nothing_speaks_for_a_class_the_map_is_empty() -> None:
    red = np.full((64, 64, 3), (255, 0, 0), np.uint8)
    maps = of_colours(Preprocess(size_px=64), red).maps_KDSS[:, -1]
    assert maps[0].min() == pytest.approx(1)
    assert not maps[1].any()


@pytest.fixture(scope="module")
def learned(work: Path, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[UInt8Array]]:
    """A head trained on drawn photos at 128 px, and photos as it sees them."""
    place = tmp_path_factory.mktemp("learned") / "work"
    shutil.copytree(work, place)
    prepared = prepare(work=place, shorter_side_px=128)
    run = train(
        prepared, work=place, report=silent, backbone="efficientnet_lite0", input={"size_px": 128}, views=1, epochs=40
    )
    members = prepared.members().drop_nulls("split").sort("split", "path")
    files = [Path(prepared.lake) / path for path in members["path"]]
    return run, [images.model_input(file.read_bytes(), run.preprocess) for file in files[::2]]


def answered_maps(
    model: Classifier, photos: list[UInt8Array], classes: list[int]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The maps of the last depth, one a photo."""
    observed = observe(model, "efficientnet_lite0")
    maps = [
        heat(observed.network, observed.depths[-1:], photo, [index]).maps_KDSS[0, 0]
        for photo, index in zip(photos, classes, strict=True)
    ]
    return np.stack(maps)


def test_other_weights_give_other_maps(learned: tuple[Run, list[UInt8Array]]) -> None:
    # J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018: a map that stays as it was when the weights
    # are drawn anew shows edges, and not what was learned.
    run, photos = learned
    classes = run_probabilities(run)(np.stack(photos)).argmax(1).tolist()
    maps = answered_maps(load_classifier(run), photos, classes)
    drawn_anew = load_classifier(run)
    torch.manual_seed(1)
    for part in (drawn_anew.head, drawn_anew.embed.backbone):
        for layer in part.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                layer.reset_parameters()
        others = answered_maps(drawn_anew, photos, classes)
        alike = [
            np.corrcoef(a.ravel(), b.ravel())[0, 1] if a.any() and b.any() else 0.0
            for a, b in zip(maps, others, strict=True)
        ]
        assert np.mean(np.nan_to_num(alike)) < 0.6
    np.testing.assert_array_equal(answered_maps(load_classifier(run), photos, classes), maps)


def test_what_is_hottest_matters_most(learned: tuple[Run, list[UInt8Array]]) -> None:
    run, photos = learned
    answer = run_probabilities(run)
    classes = answer(np.stack(photos)).argmax(1).tolist()
    maps = answered_maps(load_classifier(run), photos, classes)
    by_heat, at_random = [], []
    for photo, of_photo, index in zip(photos, maps, classes, strict=True):
        by_heat.append(deletion.area(deletion.curve(answer, photo, deletion.hottest_first(of_photo), index)))
        orders = [deletion.at_random(seed) for seed in range(2)]
        at_random.append(np.mean([deletion.area(deletion.curve(answer, photo, order, index)) for order in orders]))
    assert np.mean(by_heat) < np.mean(at_random) - 0.02


def test_several_photos_in_one_pass_have_the_maps_of_each_alone() -> None:
    model = classifier("mobilenet_v2")
    observed = observe(model, "mobilenet_v2")
    depths = chosen(observed.depths, ())
    rng = np.random.default_rng(7)
    photos = [rng.integers(0, 256, (96, 96, 3), np.uint8) for _ in range(3)]
    classes = [[2, 0], [1], [0, 2]]
    for photo, wanted, found in zip(photos, classes, heats(observed.network, depths, photos, classes), strict=True):
        alone = heat(observed.network, depths, photo, wanted)
        assert found.maps_KDSS.shape == (len(wanted), len(depths), 96, 96)
        np.testing.assert_allclose(found.maps_KDSS, alone.maps_KDSS, atol=1e-3)
        np.testing.assert_allclose(found.probabilities_C, alone.probabilities_C, atol=1e-5)
