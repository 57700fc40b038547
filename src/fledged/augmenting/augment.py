"""A recipe done to a photo: on uint8 tensors, with torchvision's kernels.

Every random number comes from the generator that is passed, and nothing depends on how many threads torch has, so the
same generator gives the same pixels anywhere. Shapes: H height, W width, S side of the model's input; images are
(3, H, W) with the three colours of a pixel beside each other in memory, which is what the kernels are fast on.
"""

from __future__ import annotations

import math
from typing import Literal, assert_never

import numpy as np
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as kernels

from fledged import recipes
from fledged.augmenting import warps
from fledged.products import Preprocess
from fledged.recipes import Recipe, Step

# What pads and holes are filled with: middle grey, near zero after standardisation, as where serving pads.
GREY = 128

_GREY_RGB = (0.299, 0.587, 0.114)  # what each colour adds to the brightness, ITU-R BT.601

_INTERPOLATION = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "lanczos": InterpolationMode.LANCZOS,
}


def augmented(image: torch.Tensor, recipe: Recipe, how: Preprocess, random: np.random.Generator) -> torch.Tensor:
    """The image (3, H, W), uint8, after all steps, as (3, S, S); what is no square of that side then becomes one."""
    for step in recipe:
        if random.random() < getattr(step, "p", 1.0):
            image = _done(step, image, how, random)
    is_input = image.shape[1] == image.shape[2] == how.size_px
    return image if is_input else _square(image, how.size_px, how.resize, how)


def _done(step: Step, image: torch.Tensor, how: Preprocess, random: np.random.Generator) -> torch.Tensor:
    done: torch.Tensor  # torchvision tells no types
    match step:
        case recipes.Resize():
            return _square(image, _side(how, step.scale), how.resize if step.by == "serving" else "squash", how)
        case recipes.RandomResizedCrop():
            return _random_resized_crop(step, image, how, random)
        case recipes.CenterCrop():
            return _center_crop(image, _side(how, step.scale), how)
        case recipes.LongestSidePad():
            return _longest_side_pad(image, _side(how, step.scale), how)
        case recipes.HorizontalFlip():
            done = kernels.horizontal_flip(image)
            return done
        case recipes.Rotate():
            return warps.turn(image, _about_zero(step.degrees, random))
        case recipes.ShiftScaleRotate():
            shift = (_about_zero(step.shift, random), _about_zero(step.shift, random))
            zoom = _about_one(step.scale, random)
            return warps.turn(image, _about_zero(step.degrees, random), zoom, shift)
        case recipes.RandomRotate90():
            return torch.rot90(image, int(random.integers(4)), (1, 2))
        case recipes.GridDistortion():
            return warps.distort_grid(image, _cells(step, random), _cells(step, random))
        case recipes.Cutout():
            return _cutout(step, image, random)
        case recipes.BrightnessContrast():
            return _lit(image, _about_one(step.brightness, random), _about_one(step.contrast, random))
        case recipes.HueSaturationValue():
            done = kernels.adjust_hue(image, _about_zero(step.hue, random))
            done = kernels.adjust_saturation(done, _about_one(step.saturation, random))
            done = kernels.adjust_brightness(done, _about_one(step.value, random))
            return done
        case recipes.RGBShift():
            shifts = torch.tensor([round(255 * _about_zero(step.shift, random)) for _ in range(3)], dtype=torch.int16)
            return (image + shifts.view(3, 1, 1)).clamp_(0, 255).to(torch.uint8)
    assert_never(step)


def _random_resized_crop(
    step: recipes.RandomResizedCrop, image: torch.Tensor, how: Preprocess, random: np.random.Generator
) -> torch.Tensor:
    height, width = image.shape[1:]
    whole = height * width if step.of == "photo" else min(height, width) ** 2
    area = random.uniform(*step.area) * whole
    stretch = math.exp(_about_zero(math.log(step.stretch), random))
    # A box that does not fit is made to: no photo is refused, however long and thin.
    box_width = min(max(1, round(math.sqrt(area * stretch))), width)
    box_height = min(max(1, round(math.sqrt(area / stretch))), height)
    left, top = int(random.integers(width - box_width + 1)), int(random.integers(height - box_height + 1))
    side = _side(how, step.scale)
    return _resize(kernels.crop(image, top, left, box_height, box_width), side, side, how)


def _center_crop(image: torch.Tensor, side: int, how: Preprocess) -> torch.Tensor:
    edge = min(*image.shape[1:], side)
    return _resize(kernels.center_crop(image, [edge, edge]), side, side, how)


def _longest_side_pad(image: torch.Tensor, side: int, how: Preprocess) -> torch.Tensor:
    height, width = image.shape[1:]
    shrunk_by = side / max(height, width)
    height, width = max(1, round(height * shrunk_by)), max(1, round(width * shrunk_by))
    left, top = (side - width) // 2, (side - height) // 2
    padding = [left, top, side - width - left, side - height - top]
    padded: torch.Tensor = kernels.pad(_resize(image, height, width, how), padding, fill=GREY)
    return padded


def _cutout(step: recipes.Cutout, image: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    height, width = image.shape[1:]
    side = max(1, round(step.size * min(height, width)))
    image = image.clone()
    for _ in range(step.holes):
        top, left = int(random.integers(height - side + 1)), int(random.integers(width - side + 1))
        kernels.erase(image, top, left, side, side, torch.full((3, 1, 1), GREY, dtype=torch.uint8), inplace=True)
    return image


def _lit(image: torch.Tensor, brightness: float, contrast: float) -> torch.Tensor:
    """Brighter or darker, and with more or less contrast about the mean grey."""
    # Both at once take a third of the time of the library's two, whose mean, in floating point, depends in its last
    # digit on the number of threads. Sums of whole numbers do not.
    sums_C = image.sum((1, 2), dtype=torch.int64).tolist()
    grey = sum(part * weight for part, weight in zip(sums_C, _GREY_RGB, strict=True)) / image[0].numel()
    lit = image.float().mul_(brightness * contrast).add_(grey * brightness * (1 - contrast))
    return lit.round_().clamp_(0, 255).to(torch.uint8)


def _square(image: torch.Tensor, side: int, by: Literal["crop", "pad", "squash"], how: Preprocess) -> torch.Tensor:
    """What `images.to_square` does, at any side."""
    match by:
        case "crop":
            edge = max(1, round(min(image.shape[1:]) * how.crop_fraction))
            return _resize(kernels.center_crop(image, [edge, edge]), side, side, how)
        case "squash":
            return _resize(image, side, side, how)
        case "pad":
            return _longest_side_pad(image, side, how)


def _resize(image: torch.Tensor, height: int, width: int, how: Preprocess) -> torch.Tensor:
    # A crop or a flip leaves pixels spread in memory; packing them first takes half of the time.
    packed = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    resized: torch.Tensor = kernels.resize(packed, [height, width], _INTERPOLATION[how.interpolation], antialias=True)
    return resized


def _side(how: Preprocess, scale: float) -> int:
    return max(1, round(how.size_px * scale))


def _cells(step: recipes.GridDistortion, random: np.random.Generator) -> warps.FloatArray:
    return 1 + random.uniform(-step.distort, step.distort, step.cells)


def _about_zero(most: float, random: np.random.Generator) -> float:
    return float(random.uniform(-most, most))


def _about_one(most: float, random: np.random.Generator) -> float:
    return 1 + _about_zero(most, random)
