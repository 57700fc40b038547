"""Every knob: its unit, range, default and reason.

Defaults give way to `fledged.toml` in the current folder, and that to flags and arguments. They are merged once, at the
door of a verb; the resolved record goes into the product.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo

from fledged.errors import ConfigError
from fledged.recipes import PRESETS, STEPS, Preset, Recipe

CONFIG_FILE = Path("fledged.toml")

BACKBONES = ("mobilenet_v2", "resnet18", "vgg11", "efficientnet_lite0")


class Record(BaseModel):
    """Plain, typed, frozen data."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CollectConfig(Record):
    """How photos are gathered, and what a server or an archive may cost at most."""

    concurrency: int = Field(16, ge=1, le=256, description="Downloads at the same time.")
    per_host: int = Field(4, ge=1, le=64, description="Downloads from one server at the same time.")
    max_megabytes: float = Field(50, gt=0, le=100, description="Larger photos are refused.")
    timeout_s: float = Field(30, gt=0, le=3600, description="For one photo, with its redirects.")
    retries: int = Field(3, ge=0, le=20, description="After errors that pass, such as a server that is busy.")
    max_redirects: int = Field(5, ge=0, le=20, description="For one photo; each address on the way is checked.")
    allow_private: bool = Field(False, description="Also ask servers in the local network and on this machine.")
    respect_robots: bool = Field(True, description="Leave alone what a server's robots.txt asks to.")
    keep_splits: bool = Field(True, description="Keep the train, val and test folders that a source has.")
    max_unpacked_gigabytes: float = Field(100, gt=0, description="An archive that holds more is stopped there.")


class ScanConfig(Record):
    """How the lake is read."""

    max_megapixels: float = Field(89, gt=0, le=89, description="Larger photos are rows with a reason, not decoded.")
    max_megabytes: float = Field(100, gt=0, le=2000, description="Larger files are rows with a reason, not read.")
    size_clusters: int = Field(0, ge=0, le=30, description="Groups of photos by file size; 0 lets the elbow decide.")
    shape_clusters: int = Field(
        0, ge=0, le=30, description="Groups of photos by height and width; 0 lets the elbow decide."
    )
    workers: int = Field(0, ge=0, description="Processes that decode photos; 0 takes one a core.")


class ReviewConfig(Record):
    """What counts as wrong with a photo."""

    near_duplicate: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Photos whose edges agree at least this much, laid over each other, are duplicates.",
    )
    mislabel: float = Field(
        0.5, gt=0, le=1, description="Labels that are wrong with a score above this are findings; 0.5 is undecided."
    )
    outlier: float = Field(
        5.0, gt=0, description="Photos farther from their class than this many standard deviations are findings."
    )
    tiny_px: int = Field(64, ge=1, description="A shorter side below this is a finding.")
    huge_megapixels: float = Field(50.0, gt=0, description="More than this is a finding.")
    odd_aspect: float = Field(4.0, gt=1, description="A longer side of more than this many shorter ones is a finding.")
    brightness: tuple[float, float] = Field(
        (0.06, 0.97),
        description="Mean brightness (0..1) below the first (dark) or above the second (bright) is a finding.",
    )
    blurry: float = Field(
        0.17, ge=0, description="Edges weaker than this share of the contrast, at 128 pixels, are a finding."
    )
    low_information: float = Field(
        1.2, ge=0, le=8, description="Brightness that takes fewer bits than this to say is a finding: blanks and icons."
    )
    drop_clusters: tuple[str, ...] = Field(
        (), description="Clusters of the overview page, such as size:4 or shape:1, whose photos are advised to drop."
    )

    @field_validator("drop_clusters")
    @classmethod
    def _kind_and_number(cls, clusters: tuple[str, ...]) -> tuple[str, ...]:
        for cluster in clusters:
            if not re.fullmatch(r"(size|shape):[1-9]\d?", cluster):
                raise ValueError(f"{cluster!r} is no cluster; write size:4 or shape:1")
        return clusters


class PrepareConfig(Record):
    """How the photos are split and shrunk."""

    split: tuple[float, float, float] = Field((0.70, 0.15, 0.15), description="Shares of train, val and test.")
    seed: int = Field(42, ge=0, description="Decides which group goes where; the same seed gives the same split.")
    fold: str = Field(
        "",
        description="I/K, such as 1/5: test is the I-th of K folds, val the next one, train the rest; for I = 1 to K.",
    )
    group_by: str = Field(
        "auto",
        description="A regular expression on the file name; photos with the same match stay together. auto knows "
        "Roboflow's variants (x_jpg.rf.HASH.jpg) and frames named after a video file (x_mp4-12.jpg); empty: none.",
    )
    burst_s: float = Field(
        3.0, ge=0, le=60, description="Shots of one camera at most this far apart stay together; 0: they need not."
    )
    keep_splits: bool = Field(
        False, description="Respect the lake's own train, val (or valid) and test folders, and report leaks."
    )
    drop_classes: tuple[str, ...] = Field((), description="Classes to leave out.")
    shorter_side_px: int = Field(256, ge=64, le=1024, description="Of the shrunk copies that training reads.")
    jpeg_quality: int = Field(92, ge=50, le=100, description="Of the shrunk copies.")
    workers: int = Field(0, ge=0, description="Processes that decode photos; 0 takes one a core.")

    @field_validator("split")
    @classmethod
    def _shares_of_one(cls, split: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(split) < 0 or abs(sum(split) - 1) > 1e-6 or split[0] == 0 or split[1] == 0 or split[2] == 0:
            raise ValueError("needs three shares above 0 that add up to 1, such as 0.7,0.15,0.15")
        return split

    @field_validator("fold")
    @classmethod
    def _one_of_three_or_more(cls, fold: str) -> str:
        number, slash, n_folds = fold.partition("/")
        if fold and not (
            slash
            and number.isdecimal()
            and n_folds.isdecimal()
            and 3 <= int(n_folds) <= 100
            and 1 <= int(number) <= int(n_folds)
        ):
            raise ValueError("needs I/K with 3 to 100 folds, such as 1/5")
        return fold

    @field_validator("keep_splits")
    @classmethod
    def _instead_of_folds(cls, keep_splits: bool, info: ValidationInfo) -> bool:
        if keep_splits and info.data.get("fold"):
            raise ValueError("the lake's own splits and folds exclude each other")
        return keep_splits


class HeadConfig(Record):
    """What is put on the backbone's features."""

    hidden: int = Field(0, ge=0, le=65_536, description="Units of a hidden layer with ReLU; 0 is a linear head.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the inputs of the last layer that is left out.")


class OptimizeConfig(Record):
    """How the weights move."""

    optimizer: Literal["adamw", "sgd", "sgd_nesterov"] = Field("adamw", description="How a step is made of gradients.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Of sgd and sgd_nesterov.")
    weight_decay: float = Field(
        -1.0, ge=-1, le=10, description="Of weights, not of biases and norms; -1 takes the mode's own."
    )
    l1: float = Field(0.0, ge=0, description="Times the sum of the absolute weights, added to the loss.")
    schedule: Literal["one_cycle", "cosine", "step", "cyclic", "plateau", "constant"] = Field(
        "one_cycle", description="How the learning rate goes up to its peak and down, or stays there."
    )
    clip_norm: float = Field(0.0, ge=0, description="Longer gradients are shortened to this length; 0 leaves them.")
    accumulate: int = Field(1, ge=1, le=1024, description="Batches whose gradients are added up before a step.")
    ema_decay: float = Field(
        0.0, ge=0, lt=1, description="Validate and keep an exponential moving average of the weights; 0 keeps them."
    )
    patience: int = Field(0, ge=0, description="Epochs without a better one before it stops; 0 never stops early.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Of the network's arithmetic; auto takes bf16 where photos go through and the machine has it.",
    )


class LossConfig(Record):
    """What is made small."""

    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of each label that is given to all classes.")
    focal_gamma: float = Field(0.0, ge=0, le=10, description="Focal loss: photos that are easy by now count less.")
    mixup: float = Field(0.0, ge=0, le=10, description="Alpha of mixup: photos are blended in pairs; 0 is none.")
    cutmix: float = Field(0.0, ge=0, le=10, description="Alpha of CutMix: parts of photos change places; 0 is none.")


class CacheConfig(Record):
    """What is computed once."""

    limit_gigabytes: float = Field(
        20.0, ge=0, description="For activations of frozen blocks; those that were used least recently go first."
    )


class GradualConfig(Record):
    """The stages of gradual unfreezing."""

    stages: tuple[Annotated[int, Field(ge=0, le=1000)], ...] = Field(
        (0, 1, 3, 6), min_length=1, description="Last blocks that each stage trains with the head; ever more of them."
    )
    target_accuracy: float = Field(1.0, gt=0, le=1, description="Validation accuracy at which no stage follows.")
    patience: int = Field(1, ge=1, description="Stages that may bring nothing better before no other follows.")

    @field_validator("stages")
    @classmethod
    def _growing(cls, stages: tuple[int, ...]) -> tuple[int, ...]:
        if list(stages) != sorted(set(stages)):
            raise ValueError("each stage must train more blocks than the one before")
        return stages


class AugmentConfig(Record):
    """How training photos are varied; a preset's name alone may stand for the table."""

    preset: Preset = Field(
        "light", description="A recipe by its name, such as light or none (training.md has all); own is steps."
    )
    steps: Recipe = Field(
        (),
        description="What is done, in this order, instead of a preset: names of steps, or tables such as "
        '{step = "rotate", degrees = 15}.',
    )

    @model_validator(mode="before")
    @classmethod
    def _preset_by_name(cls, given: object) -> object:
        return {"preset": given} if isinstance(given, str) else given

    @field_validator("preset", mode="before")
    @classmethod
    def _known(cls, name: object) -> object:
        if name not in PRESETS and name != "own":
            raise ValueError(f"there is no such preset. {suggestion(str(name), dict.fromkeys([*PRESETS, 'own']))}")
        return name

    @field_validator("steps", mode="before")
    @classmethod
    def _steps(cls, given: object) -> object:
        return tuple(map(_step, range(1, len(given) + 1), given)) if isinstance(given, list | tuple) else given

    @model_validator(mode="after")
    def _own_has_steps(self) -> AugmentConfig:
        if self.preset == "own" and not self.steps:
            raise ValueError("own needs train.augment.steps")
        return self

    @property
    def recipe(self) -> Recipe:
        """The steps themselves."""
        return self.steps or PRESETS[self.preset]

    def resolved(self) -> AugmentConfig:
        """With the steps written out, so that a record says what was done even when a preset changes.

        Raises ConfigError if a preset and other steps are asked for.
        """
        is_preset = self.recipe == PRESETS.get(self.preset)
        if not is_preset and self.preset != "own" and "preset" in self.model_fields_set:
            raise ConfigError(
                f"`train.augment` asks for the preset {self.preset} and for other steps",
                remedy=f"Take one of them out; --set train.augment={self.preset} does without the steps.",
            )
        return AugmentConfig(preset=self.preset if is_preset else "own", steps=self.recipe)


class TrainConfig(Record):
    """How a classifier is trained."""

    backbone: str = Field("auto", description="mobilenet_v2, resnet18, vgg11, efficientnet_lite0, timm:NAME, or auto.")
    weights: str = Field("", description="A safetensors file with the backbone's weights.")
    mode: Literal["transfer", "finetune", "gradual", "scratch"] = Field(
        "transfer",
        description="transfer trains a head on the frozen backbone; finetune trains all of it, or its last blocks; "
        "gradual unfreezes them stage by stage; scratch begins without weights.",
    )
    start: str = Field("", description="A run's id, with whose weights it begins.")
    unfreeze: int = Field(
        -1, ge=-1, le=1000, description="Last blocks of the backbone that finetune trains; 0 is none, -1 is all."
    )
    size_px: int = Field(224, ge=32, le=1024, description="Side of the square that the model sees.")
    resize: Literal["crop", "pad", "squash"] = Field("crop", description="How a photo becomes a square.")
    epochs: int = Field(0, ge=0, le=10_000, description="0 takes 60 for transfer, 10 for finetune, 50 for scratch.")
    batch_size: int = Field(
        0,
        ge=0,
        le=4096,
        description="0 takes an eighth of the training photos (256 at most) for transfer, 32 for finetune and scratch.",
    )
    learning_rate: float = Field(0.0, ge=0, description="Peak of the schedule; 0 takes the mode's own.")
    views: int = Field(
        0,
        ge=0,
        le=64,
        description="Versions of each training photo where frozen blocks are computed once: itself, and augmented "
        "ones. 0 takes 4 to train blocks, and for a head up to 4, as long as they are no more than 600 together, "
        "and one without augmentation.",
    )
    balance: Literal["none", "weights", "sampling"] = Field(
        "none",
        description="For classes of unequal size: weights counts each photo's loss by how rare its class is, sampling "
        "shows every class equally often. Either makes rare classes more probable than they are.",
    )
    seed: int = Field(42, ge=0, description="The same seed gives the same weights on the same machine.")

    head: HeadConfig = Field(HeadConfig(), description="What is put on the backbone's features.")
    optimize: OptimizeConfig = Field(OptimizeConfig(), description="How the weights move.")
    loss: LossConfig = Field(LossConfig(), description="What is made small.")
    cache: CacheConfig = Field(CacheConfig(), description="What is computed once.")
    gradual: GradualConfig = Field(GradualConfig(), description="The stages of gradual unfreezing.")
    augment: AugmentConfig = Field(AugmentConfig(), description="How training photos are varied.")

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ("auto", *BACKBONES) and not name.startswith("timm:"):
            raise ValueError("there is no such backbone")
        return name

    @field_validator("loss")
    @classmethod
    def _fits_the_mode(cls, loss: LossConfig, info: ValidationInfo) -> LossConfig:
        # `unfreeze` alone makes a fine-tuning of a transfer, and activations of blocks have height and width.
        if loss.cutmix and info.data.get("mode") == "transfer" and info.data.get("unfreeze", 0) <= 0:
            raise ConfigError(
                "CutMix cuts boxes out of photos, and the features that transfer learns from have no height and width",
                where="train.loss.cutmix",
                remedy="Take --set train.loss.mixup=0.2, which blends features too, or --mode finetune.",
            )
        return loss


class FindLrConfig(Record):
    """How learning rates are tried."""

    low: float = Field(1e-6, gt=0, le=1000, description="The first rate.")
    high: float = Field(10.0, gt=0, le=1000, description="The last rate, unless the loss runs away before.")
    steps: int = Field(100, ge=20, le=10_000, description="Rates from low to high, one a step.")
    growth: Literal["exponential", "linear"] = Field(
        "exponential", description="Each rate is so many times the one before, or so much more."
    )
    smoothing: float = Field(0.8, ge=0, lt=1, description="Share of the smoothed loss that stays from step to step.")
    runaway: float = Field(
        4.0, gt=1, description="It stops where the smoothed loss is this many times its lowest, and above its first."
    )

    @field_validator("high")
    @classmethod
    def _above_low(cls, high: float, info: ValidationInfo) -> float:
        if high <= info.data.get("low", 0):
            raise ValueError("must be above low")
        return high


class EvaluateConfig(Record):
    """How a model is judged."""

    gallery: int = Field(60, ge=0, le=5000, description="Misclassified photos shown on the page at most.")
    batch_size: int = Field(
        4, ge=1, le=512, description="Photos that go through the model together; more than the caches hold is slower."
    )
    workers: int = Field(0, ge=0, description="Threads that decode photos; 0 takes one a core.")


class ExportConfig(Record):
    """When an export is good enough."""

    max_abs_difference: float = Field(
        1e-3, gt=0, le=1, description="Of any probability between run and export; more than this fails the export."
    )
    parity_photos: int = Field(1000, ge=1, description="Test photos to compare at most.")


class ServeConfig(Record):
    """How the server listens."""

    host: str = Field("127.0.0.1", description="Loopback by default: nobody else can reach it.")
    port: int = Field(8000, ge=0, le=65535, description="0 takes a free port.")
    max_megabytes: float = Field(20, gt=0, le=1000, description="Larger requests are answered 413.")
    top_k: int = Field(5, ge=1, le=1000, description="Classes in an answer at most.")
    threads: int = Field(0, ge=0, description="Threads of one inference; 0 takes one a core.")


SECTIONS: dict[str, type[Record]] = {
    "collect": CollectConfig,
    "scan": ScanConfig,
    "review": ReviewConfig,
    "prepare": PrepareConfig,
    "find_lr": FindLrConfig,
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "export": ExportConfig,
    "serve": ServeConfig,
}

Config = TypeVar("Config", bound=Record)


def resolve(config: type[Config], settings: Mapping[str, object]) -> Config:
    """The defaults, overlaid with `fledged.toml` and then with `settings`; None means "not given".

    Raises ConfigError that names the setting, its range and the nearest known name.
    """
    section = next(name for name, known in SECTIONS.items() if known is config)
    given = overlaid(_from_file(section), settings)
    _check_names(section, config, given)
    try:
        return config.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        path, field = _field(config, first["loc"])
        raise ConfigError(
            f"`{'.'.join((section, *path))}` is {first.get('input')!r}: {first['msg']}",
            remedy=f"{field.description} The default is {field.default!r}." if field else "Take it out.",
        ) from error


def overlaid(settings: Mapping[str, object], by: Mapping[str, object]) -> dict[str, object]:
    """The settings with those of `by` in their place; None is none, and tables are overlaid setting by setting."""
    result = dict(settings)
    for name, value in by.items():
        below = result.get(name)
        if isinstance(value, Mapping) and isinstance(below, Mapping | None):
            result[name] = overlaid(below or {}, value)
        elif value is not None:
            result[name] = value
    return result


def parts_of(config: type[Record]) -> dict[str, type[Record]]:
    """The settings of a section that are tables of settings themselves."""
    return {
        name: field.annotation
        for name, field in config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Record)
    }


def _check_names(section: str, config: type[Record], given: Mapping[str, object]) -> None:
    parts = parts_of(config)
    for name, value in given.items():
        if name not in config.model_fields:
            raise ConfigError(f"`{section}` has no setting `{name}`", remedy=suggestion(name, config.model_fields))
        if name in parts and isinstance(value, Mapping):
            _check_names(f"{section}.{name}", parts[name], value)


def _step(number: int, given: object) -> object:
    """A step of a recipe; a name alone takes its defaults. Raises ValueError with the nearest known name."""
    settings = {"step": given} if isinstance(given, str) else given
    if isinstance(settings, BaseModel):
        return settings
    if not isinstance(settings, Mapping):
        raise ValueError(f"step {number} is {given!r}; write a name or a table")
    name = str(settings.get("step", ""))
    if name not in STEPS:
        raise ValueError(f"step {number} is {name!r}, which is none. {suggestion(name, STEPS)}")
    for setting in settings:
        if setting not in STEPS[name].model_fields:
            near = suggestion(setting, STEPS[name].model_fields)
            raise ValueError(f"step {number}, {name}, has no setting {setting!r}. {near}")
    try:
        return STEPS[name].model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        what = ".".join(map(str, first["loc"]))
        raise ValueError(f"step {number}, {name}: {what} is {first.get('input')!r}: {first['msg']}") from error


def _field(config: type[Record], path: tuple[int | str, ...]) -> tuple[tuple[str, ...], FieldInfo | None]:
    """The setting that pydantic's path leads to, and its names on the way."""
    if not path or str(path[0]) not in config.model_fields:
        return (), None
    name = str(path[0])
    part = parts_of(config).get(name)
    if part is not None and (below := _field(part, path[1:]))[1] is not None:
        return (name, *below[0]), below[1]
    return (name,), config.model_fields[name]


def parse_assignments(assignments: list[str]) -> dict[str, dict[str, object]]:
    """`--set train.seed=7` as {"train": {"seed": 7}}; values are read as TOML, else as text.

    More dots lead into tables: `train.optimize.schedule=step`.
    """
    parsed: dict[str, dict[str, object]] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        section, *names = path.split(".")
        if not (equals and names and all(names)):
            raise ConfigError(
                f"`--set {assignment}` is not of the form section.name=value",
                remedy="Write, for example, --set train.seed=7.",
            )
        if section not in SECTIONS:
            raise ConfigError(f"There is no section `{section}`", where="--set", remedy=suggestion(section, SECTIONS))
        value = _toml_value(text)
        for name in reversed(names):
            value = {name: value}
        parsed = {**parsed, section: overlaid(parsed.get(section, {}), cast(dict[str, object], value))}
    return parsed


def suggestion(name: str, known: Mapping[str, object]) -> str:
    """Words that name the nearest known names."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(sorted(known))}."


def _from_file(section: str) -> dict[str, object]:
    try:
        with CONFIG_FILE.open("rb") as file:
            sections = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"This is not TOML: {error}", where=CONFIG_FILE, remedy="Mend or remove the file.") from error
    for name in sections:
        if name not in SECTIONS:
            raise ConfigError(f"There is no section `{name}`", where=CONFIG_FILE, remedy=suggestion(name, SECTIONS))
    found: dict[str, object] = sections.get(section, {})
    return found


def _toml_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
