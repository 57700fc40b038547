"""The classifier: a backbone, and a head on its standardised features."""

from __future__ import annotations

import torch
from torch import nn

from fledged.products import Preprocess

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Head(nn.Module):
    """(N, F) features to (N, C) logits, in one linear layer, or by way of a hidden one with ReLU.

    Features are centred and scaled by their statistics over the training photos, so that one learning rate and one
    weight decay suit every backbone. Both live in buffers and travel with the weights.
    """

    def __init__(self, n_features: int, n_classes: int, dropout: float = 0.0, hidden: int = 0) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.hidden = nn.Linear(n_features, hidden) if hidden else None
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden or n_features, n_classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def standardise_by(self, features_NF: torch.Tensor) -> None:
        """Take the statistics of these features."""
        spread_F = features_NF.std(0)
        # A feature that never changes on the training photos says nothing: it is silenced, not blown up.
        self.scale = torch.where(spread_F > 1e-6, 1 / spread_F.clamp(min=1e-6), 0.0)
        self.centre = features_NF.mean(0)

    def forward(self, features_NF: torch.Tensor) -> torch.Tensor:
        """Logits (N, C)."""
        values = (features_NF - self.centre) * self.scale
        if self.hidden is not None:
            values = self.hidden(values).relu()
        logits: torch.Tensor = self.linear(self.dropout(values))
        return logits

    @property
    def layers(self) -> tuple[nn.Linear, ...]:
        """One after the other, with ReLU between them."""
        return (self.linear,) if self.hidden is None else (self.hidden, self.linear)


def to_training(module: nn.Module, keeps_statistics: bool) -> None:
    """Training mode; BatchNorm goes on with its running statistics if they are to be kept (its weights still learn)."""
    module.train()
    if keeps_statistics:
        for layer in module.modules():
            if isinstance(layer, BATCH_NORMS):
                layer.eval()


class Classifier(nn.Module):
    """uint8 photos (N, S, S, 3) to logits (N, C), standardisation inside."""

    def __init__(self, backbone: nn.Module, head: Head, how: Preprocess) -> None:
        super().__init__()
        self.embed = Embedder(backbone, how)
        self.head = head

    def forward(self, photos_NHWC: torch.Tensor) -> torch.Tensor:
        """Logits (N, C)."""
        logits: torch.Tensor = self.head(self.embed(photos_NHWC))
        return logits


class Embedder(nn.Module):
    """uint8 photos (N, S, S, 3) to pooled features (N, F)."""

    def __init__(self, backbone: nn.Module, how: Preprocess) -> None:
        super().__init__()
        self.backbone = backbone
        self.how = how
        self.mean: torch.Tensor
        self.std: torch.Tensor
        # Not part of the weights: the run's Preprocess is where these live.
        self.register_buffer("mean", torch.tensor(how.mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(how.std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, photos_NHWC: torch.Tensor) -> torch.Tensor:
        """Features (N, F)."""
        batch_NCHW = photos_NHWC.permute(0, 3, 1, 2).float()
        features: torch.Tensor = self.backbone((batch_NCHW - self.mean) / self.std)
        return features


class Tail(nn.Module):
    """What is trained of a backbone that is cut: activations (N, *) of its frozen blocks to logits (N, C).

    The channels of a place lie beside each other in memory: a step of MobileNetV2's last blocks takes a fifth less time
    so in fp32, a tenth less in bf16.
    """

    def __init__(self, blocks: nn.Module, head: Head) -> None:
        super().__init__()
        self.embed = blocks
        self.head = head
        self.to(memory_format=torch.channels_last)

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        """Logits (N, C)."""
        layout = torch.channels_last if activations.ndim == 4 else torch.preserve_format
        logits: torch.Tensor = self.head(self.embed(activations.to(torch.float32, memory_format=layout)))
        return logits
