"""A backbone's blocks, one after the other, are the backbone; frozen and trained ones share its weights."""

from __future__ import annotations

import pytest
import torch

from fledged.errors import ConfigError
from fledged.networks import backbones
from fledged.networks.blocks import chain, cut

N_BLOCKS = {
    "mobilenet_v2": 19,
    "resnet18": 9,
    "vgg11": 7,
    "efficientnet_lite0": 18,
    "timm:efficientnet_b0": 18,
    "timm:mobilenetv2_050": 19,
    "timm:mobilenetv3_small_050": 14,
    "timm:resnet10t": 5,
    "timm:test_convnext": 10,
    "timm:test_byobnet": 1,  # of an order that is not known
}


@pytest.mark.parametrize("name", N_BLOCKS)
def test_the_chain_is_the_backbone(name: str) -> None:
    module = backbones.empty(name).eval()
    blocks = chain(name, module)
    assert len(blocks) == N_BLOCKS[name]
    photos = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        frozen, trained = cut(blocks, len(blocks) // 3, name)
        assert torch.equal(trained(frozen(photos)), module(photos))
    of_blocks = {parameter.data_ptr() for block in blocks for parameter in block.parameters()}
    assert of_blocks == {parameter.data_ptr() for parameter in module.parameters()}


@pytest.mark.parametrize("unfreeze", [0, 9])
def test_none_and_all_can_be_trained(unfreeze: int) -> None:
    module = backbones.empty("resnet18")
    frozen, trained = cut(chain("resnet18", module), unfreeze, "resnet18")
    assert (len(frozen), len(trained)) == (9 - unfreeze, unfreeze)


def test_a_cut_that_does_not_exist_is_named() -> None:
    module = backbones.empty("resnet18")
    with pytest.raises(ConfigError, match=r"`train\.unfreeze` is 10; resnet18 has 9 blocks.*0 \(none\) to 9 \(all\)"):
        cut(chain("resnet18", module), 10, "resnet18")
