"""The steps that augmentation is made of, and the recipes that have a name.

Lengths are shares, so that a recipe means the same at every size: of the model's input (`scale`), of the image's
shorter side (`size`, `shift`), of the full range of brightness (`brightness`, `shift` of colours).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from fledged.records import Record

Range = tuple[float, float]
Share = Annotated[float, Field(ge=0, le=1)]
Scale = Annotated[float, Field(ge=0.25, le=4, description="Side of the result, in sides of the model's input.")]
Chance = Annotated[float, Field(ge=0, le=1, description="Share of the views that get it.")]
Degrees = Annotated[float, Field(ge=0, le=180, description="Turned by at most this, either way.")]


class Resize(Record):
    """A square of the photo, by the way that serving takes or squashed."""

    step: Literal["resize"] = "resize"
    by: Literal["serving", "squash"] = Field(
        "serving",
        description="serving takes train.input.resize: what the network trains on is then shaped as what it is given.",
    )
    scale: Scale = 1.0


class RandomResizedCrop(Record):
    """A box somewhere in the photo as a square."""

    step: Literal["random_resized_crop"] = "random_resized_crop"
    area: tuple[Share, Share] = Field((0.08, 1.0), description="Smallest and largest area of the box, as a share.")
    of: Literal["photo", "square"] = Field(
        "photo", description="That share is of the photo, or of the largest square in it."
    )
    stretch: float = Field(4 / 3, ge=1, le=4, description="Longer side of the box, in shorter ones, at most.")
    scale: Scale = 1.0
    p: Chance = 1.0

    @field_validator("area")
    @classmethod
    def _smallest_first(cls, area: Range) -> Range:
        if area[0] > area[1]:
            raise ValueError("the smallest comes first")
        return area


class CenterCrop(Record):
    """The middle as a square of that side; only a smaller photo is resized."""

    step: Literal["center_crop"] = "center_crop"
    scale: Scale = 1.0


class LongestSidePad(Record):
    """The whole photo, its longer side at the square's, on middle grey: what `resize = "pad"` serves."""

    step: Literal["longest_side_pad"] = "longest_side_pad"
    scale: Scale = 1.0


class HorizontalFlip(Record):
    """Left becomes right."""

    step: Literal["horizontal_flip"] = "horizontal_flip"
    p: Chance = 0.5


class Rotate(Record):
    """Turned about its middle; the corners mirror the photo."""

    step: Literal["rotate"] = "rotate"
    degrees: Degrees = 30.0
    p: Chance = 0.5


class ShiftScaleRotate(Record):
    """Shifted, enlarged or shrunk, and turned, in one resampling; what comes into view mirrors the photo."""

    step: Literal["shift_scale_rotate"] = "shift_scale_rotate"
    shift: float = Field(0.0625, ge=0, le=1, description="Moved by at most this share of each side.")
    scale: float = Field(0.1, ge=0, le=0.9, description="Enlarged or shrunk by at most this share.")
    degrees: Degrees = 45.0
    p: Chance = 0.5


class RandomRotate90(Record):
    """Turned by 0, 90, 180 or 270 degrees: for photos without an up, such as from above."""

    step: Literal["random_rotate_90"] = "random_rotate_90"
    p: Chance = 0.5


class GridDistortion(Record):
    """Columns and rows of a grid are made wider and narrower; the photo's edges stay edges."""

    step: Literal["grid_distortion"] = "grid_distortion"
    cells: int = Field(5, ge=2, le=32, description="Columns, and rows.")
    distort: float = Field(0.3, ge=0, le=0.9, description="Each is wider or narrower by at most this share.")
    p: Chance = 0.5


class Cutout(Record):
    """Square holes of middle grey, all of them inside."""

    step: Literal["cutout"] = "cutout"
    holes: int = Field(4, ge=1, le=64, description="How many; they may overlap.")
    size: float = Field(0.14, gt=0, le=1, description="Side of a hole, as a share of the shorter side.")
    p: Chance = 0.5


class BrightnessContrast(Record):
    """Brighter or darker, then more or less contrast."""

    step: Literal["brightness_contrast"] = "brightness_contrast"
    brightness: Share = Field(0.2, description="Times 1 plus or minus at most this.")
    contrast: Share = Field(0.2, description="Times 1 plus or minus at most this, about the mean brightness.")
    p: Chance = 0.5


class HueSaturationValue(Record):
    """Other hues, and stronger or weaker colours."""

    step: Literal["hue_saturation_value"] = "hue_saturation_value"
    hue: float = Field(0.1, ge=0, le=0.5, description="Turned by at most this share of the circle of colours.")
    saturation: Share = Field(0.3, description="Times 1 plus or minus at most this.")
    value: Share = Field(0.1, description="Brightness, times 1 plus or minus at most this.")
    p: Chance = 0.5


class RGBShift(Record):
    """Red, green and blue each brighter or darker on their own."""

    step: Literal["rgb_shift"] = "rgb_shift"
    shift: Share = Field(0.2, description="By at most this share of the full range.")
    p: Chance = 0.5


KINDS = (
    Resize,
    RandomResizedCrop,
    CenterCrop,
    LongestSidePad,
    HorizontalFlip,
    Rotate,
    ShiftScaleRotate,
    RandomRotate90,
    GridDistortion,
    Cutout,
    BrightnessContrast,
    HueSaturationValue,
    RGBShift,
)
STEPS: dict[str, type[Record]] = {kind.model_fields["step"].default: kind for kind in KINDS}

Step = Annotated[
    Resize
    | RandomResizedCrop
    | CenterCrop
    | LongestSidePad
    | HorizontalFlip
    | Rotate
    | ShiftScaleRotate
    | RandomRotate90
    | GridDistortion
    | Cutout
    | BrightnessContrast
    | HueSaturationValue
    | RGBShift,
    Field(discriminator="step"),
]
Recipe = tuple[Step, ...]

Preset = Literal[
    "none",
    "light",
    "crop_rotate",
    "crop_rotate_cutout",
    "cutout",
    "rotate_rgb_cutout",
    "pad_rotate_cutout",
    "distort_any_way_up",
    "own",
]

PRESETS: dict[Preset, Recipe] = {
    "none": (),
    "light": (
        RandomResizedCrop(area=(0.5, 1.0), of="square"),
        HorizontalFlip(),
        BrightnessContrast(brightness=0.2, contrast=0.2, p=1.0),
    ),
    "crop_rotate": (
        RandomResizedCrop(area=(0.8, 1.0), scale=256 / 224),
        Rotate(degrees=15, p=1.0),
        HorizontalFlip(),
        CenterCrop(),
    ),
    "crop_rotate_cutout": (
        Resize(scale=256 / 224),
        RandomResizedCrop(),
        Cutout(holes=2, size=8 / 224, p=1.0),
        HorizontalFlip(),
        Rotate(degrees=30),
    ),
    "cutout": (Resize(), Cutout(holes=2, size=8 / 224, p=1.0)),
    "rotate_rgb_cutout": (
        Rotate(degrees=30),
        HorizontalFlip(),
        Resize(),
        RGBShift(shift=50 / 255),
        Cutout(holes=4, size=32 / 224),
    ),
    "pad_rotate_cutout": (
        HorizontalFlip(),
        LongestSidePad(),
        Rotate(degrees=30),
        Cutout(holes=8, size=8 / 224),
    ),
    "distort_any_way_up": (
        Resize(),
        BrightnessContrast(),
        HueSaturationValue(),
        ShiftScaleRotate(),
        GridDistortion(),
        RandomRotate90(),
    ),
}
