"""What a model needs to answer as it was judged, and what it was computed with: inside each Run and Bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Base64Bytes, Field, ValidationError

from fledged import regular
from fledged.errors import ProductError
from fledged.records import Record


class Preprocess(Record):
    """How an upright RGB picture becomes the model's input; the same everywhere."""

    size_px: int = Field(default=224, ge=32, le=1024)
    resize: Literal["crop", "pad", "squash"] = "crop"
    crop_fraction: float = Field(default=1.0, gt=0, le=1)  # of the shorter side, for resize "crop"
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bicubic"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # RGB, in 0..1
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


class BackboneInfo(Record):
    """Which feature extractor a run stands on, and where its weights came from."""

    name: str
    n_features: int
    n_parameters: int
    weights_origin: str  # words for the model card
    weights_sha256: str  # "" when trained from scratch


class Calibration(Record):
    """How the logits are softened, or sharpened, so that a confidence is the share of right answers."""

    temperature: float = Field(gt=0)  # logits are divided by it; it changes no label
    n_photos: int  # validation photos, on which it was fitted; 0 leaves it at 1


class Unknown(Record):
    """From when on a photo is none of the classes."""

    threshold: float  # a photo with a higher score, which is farther from all classes, is refused
    share_kept: float  # of known photos, asked for
    n_photos: int  # validation photos, on which the threshold was set

    def accepts(self, score: float) -> bool:
        """Whether a photo with this score is taken for one of the classes."""
        return score <= self.threshold


class Environment(Record):
    """What a run was computed with: bit-exact repetition holds only where all of it is equal."""

    fledged: str
    python: str
    torch: str
    cpu: str
    n_threads: int  # of each process
    device: str
    n_processes: int = 1  # that trained together; each took its part of every batch
    engine: str = "local"  # what started them: local (there was one), launcher (torchrun and the like) or ray


class DrawnPhoto(Record):
    """A drawn photo as a file, and what the bundle answered to it when it was exported."""

    jpeg: Base64Bytes
    probabilities: tuple[float, ...]
    unknown_score: float | None


class KnownPhoto(Record):
    """A test photo by its content, and what the bundle answered to it when it was exported."""

    sha256: str
    class_index: int  # of the answer
    confidence: float
    unknown_score: float | None


class Reference(Record):
    """A bundle's answers at export, so that anybody can ask whether it still gives them."""

    limit: float  # by which a probability may differ from machine to machine
    drawn: tuple[DrawnPhoto, ...]
    photos: tuple[KnownPhoto, ...]

    @classmethod
    def open(cls, path: Path) -> Reference:
        """From the file."""
        try:
            return cls.model_validate_json(regular.read(path))
        except ValidationError as error:
            remedy = "Make the bundle again with: fledged export"
            raise ProductError("These answers of a bundle are damaged", where=path, remedy=remedy) from error
