"""Settings of train and find-lr: unit, range, default and reason."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from fledged.errors import suggestion
from fledged.records import Record
from fledged.settings.augmenting import AugmentConfig

BACKBONES = ("mobilenet_v2", "resnet18", "vgg11", "efficientnet_lite0")


class InputConfig(Record):
    """How a photo becomes what the network sees; a bundle does the same."""

    size_px: int = Field(224, ge=32, le=1024, description="Side of the square that the model sees.")
    resize: Literal["crop", "pad", "squash"] = Field("crop", description="How a photo becomes a square.")
    normalise: Literal["backbone", "dataset"] = Field(
        "backbone",
        description="Whose mean and standard deviation of each colour are taken off: those that the backbone was "
        "trained with, or those of the training photos, over all of their pixels.",
    )


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
    backbone_rate: float = Field(
        -1.0,
        ge=-1,
        le=10,
        description="Learning rate of the layers before the head, in head's; -1 takes 0.1, and 1 from scratch.",
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
    compile: bool = Field(
        False,
        description="Let torch compile the steps where blocks are trained; where it cannot, they are taken as usual.",
    )


class LossConfig(Record):
    """What is made small."""

    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of each label that is given to all classes.")
    focal_gamma: float = Field(0.0, ge=0, le=10, description="Focal loss: photos that are easy by now count less.")
    mixup: float = Field(0.0, ge=0, le=10, description="Alpha of mixup: photos are blended in pairs; 0 is none.")
    cutmix: float = Field(0.0, ge=0, le=10, description="Alpha of CutMix: parts of photos change places; 0 is none.")

    @property
    def mixes(self) -> bool:
        """Whether photos of a batch are mixed with each other."""
        return bool(self.mixup or self.cutmix)


class BatchNormConfig(Record):
    """What BatchNorm does in layers that are trained; in frozen ones it is frozen."""

    statistics: Literal["auto", "keep", "update"] = Field(
        "auto",
        description="keep goes on with the means and variances that came with the weights, update takes each batch's. "
        "auto keeps them, and updates them where training begins without weights.",
    )


class CacheConfig(Record):
    """What is computed once."""

    limit_gigabytes: float = Field(
        20.0,
        ge=0,
        description="For activations of frozen blocks, and for features; those that were used least recently go first.",
    )
    blocks: int = Field(
        0,
        ge=0,
        le=1000,
        description="Last blocks before which activations are kept, even where fewer are trained: trainings of other "
        "numbers of blocks go on from there. 0 is those that are trained; gradual takes its last stage's.",
    )
    engine: Literal["onnxruntime", "openvino", "auto"] = Field(
        "onnxruntime",
        description="What computes the frozen part, in float32: onnxruntime, which serves it, or openvino, where its "
        "numbers are the same. auto measures both on a few photos, and the run says which one it was.",
    )


class TrackConfig(Record):
    """Where the figures of a training go as well, while it runs; no part of what a run is."""

    to: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = Field(
        (), description="Trackers: tensorboard, wandb, mlflow, or several. They write below the working folder."
    )
    project: str = Field("fledged", min_length=1, description="W&B's project and MLflow's experiment.")

    @field_validator("to", mode="before")
    @classmethod
    def _one_by_name(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given


class ProcessesConfig(Record):
    """Of a training on several machines, `--engine ray`; no part of what a run is."""

    workers: int = Field(
        1, ge=1, le=4096, description="Processes that train together with --engine ray; 1 trains in this one."
    )
    cpus: int = Field(1, ge=1, le=1024, description="Cores of each; with a GPU for each where the cluster has as many.")
    restarts: int = Field(
        3, ge=0, le=1000, description="How often lost processes are started again, from the last checkpoint."
    )


class GradualConfig(Record):
    """The stages of gradual unfreezing."""

    stages: tuple[Annotated[int, Field(ge=0, le=1000)], ...] = Field(
        (0, 1, 3, 6), min_length=1, description="Last blocks that each stage trains with the head; ever more of them."
    )
    target_accuracy: float = Field(1.0, gt=0, le=1, description="Validation accuracy at which no stage follows.")
    patience: int = Field(
        1, ge=1, description="Stages in a row, worse by more than chance, after which no other follows."
    )

    @field_validator("stages")
    @classmethod
    def _growing(cls, stages: tuple[int, ...]) -> tuple[int, ...]:
        if list(stages) != sorted(set(stages)):
            raise ValueError("each stage must train more blocks than the one before")
        return stages


class UnknownConfig(Record):
    """When a photo is refused as none of the classes."""

    share_kept: float = Field(
        0.95,
        gt=0,
        lt=1,
        description="Share of photos of the classes that are to be accepted; the threshold is set on validation "
        "photos. More keeps more of them, and of everything else.",
    )


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
    seed: int = Field(42, ge=0, le=10**14, description="The same seed gives the same weights on the same machine.")

    input: InputConfig = Field(InputConfig(), description="How a photo becomes what the network sees.")
    head: HeadConfig = Field(HeadConfig(), description="What is put on the backbone's features.")
    optimize: OptimizeConfig = Field(OptimizeConfig(), description="How the weights move.")
    loss: LossConfig = Field(LossConfig(), description="What is made small.")
    batch_norm: BatchNormConfig = Field(BatchNormConfig(), description="What BatchNorm does in trained layers.")
    cache: CacheConfig = Field(CacheConfig(), description="What is computed once.")
    gradual: GradualConfig = Field(GradualConfig(), description="The stages of gradual unfreezing.")
    augment: AugmentConfig = Field(AugmentConfig(), description="How training photos are varied.")
    unknown: UnknownConfig = Field(UnknownConfig(), description="When a photo is refused as none of the classes.")
    processes: ProcessesConfig = Field(ProcessesConfig(), description="On several machines; no part of what a run is.")
    track: TrackConfig = Field(TrackConfig(), description="Where figures go as well; no part of what a run is.")

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ("auto", *BACKBONES) and not name.startswith("timm:"):
            raise ValueError(f"there is no such backbone. {suggestion(name, dict.fromkeys(('auto', *BACKBONES)))}")
        return name


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
        4.0,
        gt=1,
        description="It stops where the smoothed loss is so many times its lowest, above its first and above guessing.",
    )

    @field_validator("high")
    @classmethod
    def _above_low(cls, high: float, info: ValidationInfo) -> float:
        if high <= info.data.get("low", 0):
            raise ValueError("must be above low")
        return high
