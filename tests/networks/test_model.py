"""The head: what its layers compute, and what drops out while it learns."""

from __future__ import annotations

import torch

from fledged.networks.model import Head


def test_a_head_with_a_hidden_layer_is_linear_relu_dropout_linear() -> None:
    """As that of the first reference system: 1280 features, 256 hidden, as many answers as classes."""
    torch.manual_seed(0)
    head = Head(1280, 5, dropout=0.2, hidden=256)
    assert [tuple(layer.weight.shape) for layer in head.layers] == [(256, 1280), (5, 256)]
    torch.nn.init.normal_(head.linear.weight)
    features_NF = torch.randn(64, 1280)
    hidden, last = head.layers
    expected = last(hidden(features_NF).clamp(min=0))
    torch.testing.assert_close(head.eval()(features_NF), expected)


def test_a_head_drops_its_share_while_it_learns_and_nothing_when_it_is_asked() -> None:
    torch.manual_seed(0)
    features_NF = torch.ones(200, 1000)
    for hidden in (0, 1000):
        head = Head(1000, 3, dropout=0.2, hidden=hidden)
        if head.hidden is not None:
            torch.nn.init.ones_(head.hidden.weight)
        kept: list[torch.Tensor] = []
        head.dropout.register_forward_hook(lambda module, given, made, kept=kept: kept.append(made))
        for training in (True, False):
            head.train(training)(features_NF)
        dropped = [(each == 0).float().mean().item() for each in kept]
        assert abs(dropped[0] - 0.2) < 0.005  # 200,000 draws: five standard deviations
        assert dropped[1] == 0
