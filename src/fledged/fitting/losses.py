"""What is made small: losses of logits (N, C), and batches whose photos were mixed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from fledged.errors import ConfigError
from fledged.fitting.batches import Part
from fledged.settings.training import LossConfig

# 1 - p in float32 is 0 for a photo that is learned, and its power below 1 would have no derivative there.
_SMALLEST = 1e-12


@dataclass(frozen=True, slots=True)
class Mix:
    """A batch as the network sees it: each photo is of `labels_N` for `share`, and of `others_N` for the rest."""

    inputs: torch.Tensor  # (N, …)
    labels_N: torch.Tensor
    others_N: torch.Tensor | None = None  # None: nothing was mixed, and share is 1
    share: float = 1.0
    whole_N: torch.Tensor | None = None  # labels of the whole batch, where other processes have the rest of it
    start: int = 0  # where in the whole batch the inputs begin

    @property
    def all_N(self) -> torch.Tensor:
        """The labels of the whole batch."""
        return self.labels_N if self.whole_N is None else self.whole_N

    def part_of(self, part: Part) -> Mix:
        """What of it this process takes; a photo that has no label here goes through the network and counts nothing."""
        if part.of == 1:
            return self
        n_photos = len(self.labels_N)
        own, run = part.own(n_photos), part.run(n_photos)
        return Mix(
            inputs=self.inputs[run] if part.reads_all else self.inputs,
            labels_N=self.labels_N[own],
            others_N=None if self.others_N is None else self.others_N[own],
            share=self.share,
            whole_N=self.labels_N,
            start=run.start,
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over photos, from which the figures of an epoch are made; each is a tensor, so that nothing waits for it.

    `loss` is the plain cross entropy, on the scale of the validation loss whatever is made small: without smoothing,
    focusing and penalties. With mixed photos it is the one against both labels, and a photo counts as right for the
    share of the label that is answered: a model that always names the larger part scores the mean of that share.
    """

    loss: torch.Tensor
    right: torch.Tensor
    weight: torch.Tensor
    n_photos: int

    @staticmethod
    def total(tallies: Sequence[Tally]) -> tuple[float, float]:
        """The mean loss (by weight) and the accuracy of at least one batch."""
        n_photos = sum(tally.n_photos for tally in tallies)
        loss, right, weight = (
            torch.stack([getattr(tally, name) for tally in tallies]).double().sum().item()
            for name in ("loss", "right", "weight")
        )
        return loss / weight, right / n_photos


def weight_of(labels_N: torch.Tensor, weights_C: torch.Tensor | None) -> torch.Tensor:
    """What these photos count together: what a sum of losses is divided by."""
    return labels_N.new_tensor(len(labels_N), dtype=torch.float32) if weights_C is None else weights_C[labels_N].sum()


def loss_of(
    logits_NC: torch.Tensor, mix: Mix, settings: LossConfig, weights_C: torch.Tensor | None = None
) -> torch.Tensor:
    """The sum of the photos' losses, each times its class's weight: cross entropy or focal."""

    def against(labels_N: torch.Tensor) -> torch.Tensor:
        if settings.focal_gamma:
            return focal(logits_NC, labels_N, settings.focal_gamma, settings.label_smoothing, weights_C)
        return nn.functional.cross_entropy(
            logits_NC, labels_N, weights_C, label_smoothing=settings.label_smoothing, reduction="sum"
        )

    return _blend(mix, against)


def tally(logits_NC: torch.Tensor, mix: Mix, weights_C: torch.Tensor | None = None) -> Tally:
    """How these answers do."""
    answers_N = logits_NC.argmax(1)
    return Tally(
        loss=_blend(mix, lambda labels: nn.functional.cross_entropy(logits_NC, labels, weights_C, reduction="sum")),
        right=_blend(mix, lambda labels: (answers_N == labels).sum()),
        weight=weight_of(mix.labels_N, weights_C),
        n_photos=len(mix.labels_N),
    )


def focal(
    logits_NC: torch.Tensor,
    labels_N: torch.Tensor,
    gamma: float,
    label_smoothing: float = 0.0,
    weights_C: torch.Tensor | None = None,
) -> torch.Tensor:
    """The sum of cross entropies, each times (1 - p)^gamma, p being its label's probability.

    T.-Y. Lin et al., Focal Loss for Dense Object Detection, 2017.
    """
    losses_N = nn.functional.cross_entropy(
        logits_NC, labels_N, weights_C, label_smoothing=label_smoothing, reduction="none"
    )
    log_p_N = logits_NC.log_softmax(1).gather(1, labels_N[:, None]).squeeze(1)
    missed_N = (-torch.expm1(log_p_N)).clamp(min=_SMALLEST)
    return (missed_N**gamma * losses_N).sum()


def l1_penalty(parameters: Iterable[nn.Parameter]) -> torch.Tensor:
    """The sum of the absolute values of the weights that are trained; biases and norms (one axis) are left alone."""
    sums = [parameter.abs().sum() for parameter in parameters if parameter.requires_grad and parameter.ndim > 1]
    return torch.stack(sums).sum() if sums else torch.zeros(())


def mixed(inputs: torch.Tensor, labels_N: torch.Tensor, settings: LossConfig, seed: Sequence[int]) -> Mix:
    """The batch, mixed as the settings say; where both ways are on, each takes about half of the batches.

    `seed` alone decides what is mixed with what: give it the run's seed, the epoch and the batch's number.
    Raises ConfigError where CutMix is asked for and the inputs have no height and width.
    """
    if not settings.mixes:
        return Mix(inputs, labels_N)
    random = np.random.default_rng([*seed, 1])
    if settings.cutmix and (not settings.mixup or random.random() < 0.5):
        return cutmix(inputs, labels_N, settings.cutmix, random)
    return mixup(inputs, labels_N, settings.mixup, random)


def mixup(inputs: torch.Tensor, labels_N: torch.Tensor, alpha: float, random: np.random.Generator) -> Mix:
    """Each photo, or its features, blended with another of the batch (H. Zhang et al., mixup, 2018); float32."""
    share = random.beta(alpha, alpha)
    partners_N = torch.from_numpy(random.permutation(len(labels_N))).to(inputs.device)
    inputs = inputs.float()
    return Mix(torch.lerp(inputs[partners_N], inputs, share), labels_N, labels_N[partners_N], share)


def cutmix(batch: torch.Tensor, labels_N: torch.Tensor, alpha: float, random: np.random.Generator) -> Mix:
    """A box of each photo replaced by that of another in the batch (S. Yun et al., CutMix, 2019).

    The batch is uint8 (N, H, W, 3), or activations (N, C, H, W). Raises ConfigError where it has no height and width.
    """
    if batch.ndim != 4:
        raise ConfigError(
            "CutMix cuts boxes out of photos, and these features have no height and width",
            where="train.loss.cutmix",
            remedy="Take --set train.loss.mixup=0.2, which blends features too, or --mode finetune.",
        )
    first = 1 if batch.dtype == torch.uint8 else 2
    height, width = batch.shape[first : first + 2]
    side = np.sqrt(1 - random.beta(alpha, alpha))  # of the box, as a share of the photo's
    rows, columns = _span(height, side, random), _span(width, side, random)
    box = (slice(None),) * first + (rows, columns)
    partners_N = torch.from_numpy(random.permutation(len(labels_N))).to(batch.device)
    cut = batch.clone()
    cut[box] = batch[partners_N][box]
    share = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return Mix(cut, labels_N, labels_N[partners_N], share)


def _span(length: int, share: float, random: np.random.Generator) -> slice:
    """A part of a side around a random place, cut off at the edges."""
    centre, half = int(random.integers(length)), round(length * share) / 2
    return slice(max(0, round(centre - half)), min(length, round(centre + half)))


def _blend(mix: Mix, against: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """A figure that is linear in the label, for photos of two labels."""
    if mix.others_N is None:
        return against(mix.labels_N)
    return mix.share * against(mix.labels_N) + (1 - mix.share) * against(mix.others_N)
