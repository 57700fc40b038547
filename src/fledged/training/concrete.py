"""The settings of a training with nothing left to be decided, and which of them make one run another."""

from __future__ import annotations

from typing import Any, Literal

from fledged.embedding.engines import SERVES, Name
from fledged.errors import ConfigError
from fledged.fitting import compiling, optimizers, precision
from fledged.fitting.plan import Plan, class_weights
from fledged.products import Dataset
from fledged.settings.augmenting import AugmentConfig
from fledged.settings.training import BatchNormConfig, CacheConfig, GradualConfig, TrainConfig

# Augmented views lower the loss of small datasets and do nothing measurable for large ones, where they cost minutes.
_MAX_VIEWS = 4
_VIEWED_PHOTOS = 600

# Settings that change no weights, or are known by what they name: they take no part in what a run is.
NO_PART = {"weights", "track", "processes"}

# What 0 in the settings stands for.
_EPOCHS = {"transfer": 60, "finetune": 10, "scratch": 50}
_BATCH_SIZE = {"transfer": 256, "finetune": 32, "scratch": 32}
# And -1 for the layers before the head.
_BACKBONE_RATE = {"transfer": 0.1, "finetune": 0.1, "scratch": 1.0}


def identity(config: TrainConfig) -> dict[str, Any]:
    """The settings that make one run another; of one that came later, what is not as it was before."""
    settings = config.model_dump(mode="json", exclude=NO_PART)
    # Neither changes a weight: each stage of gradual unfreezing has what was decided for it in settings of its own.
    settings["gradual"] = GradualConfig().model_dump(mode="json")
    settings["cache"]["limit_gigabytes"] = CacheConfig().limit_gigabytes
    if config.cache.engine == SERVES:
        del settings["cache"]["engine"]
    if config.optimize.backbone_rate in (-1, _BACKBONE_RATE.get(config.mode)):
        del settings["optimize"]["backbone_rate"]
    if not config.optimize.compile:
        del settings["optimize"]["compile"]
    return settings


def plan_of(config: TrainConfig, dataset: Dataset) -> Plan:
    """The settings with what is usual for the mode and the optimizer in the place of 0, -1 and auto."""
    of_class = dataset.photos_by_split["train"]
    usual = optimizers.usual(config.mode, config.optimize.optimizer)
    batch_size = _BATCH_SIZE[config.mode]
    in_fp32 = config.mode == "transfer" and config.optimize.precision == "auto"  # a head gains nothing by less
    decay, backbone_rate = config.optimize.weight_decay, config.optimize.backbone_rate
    backbone_rate = _BACKBONE_RATE[config.mode] if backbone_rate < 0 else backbone_rate
    if config.mode == "transfer":
        # About 500 steps in all, however small the dataset is: enough to converge, and over in a second.
        batch_size = max(8, min(batch_size, dataset.n_in("train") // 8))
    return Plan(
        epochs=config.epochs or _EPOCHS[config.mode],
        batch_size=config.batch_size or batch_size,
        learning_rate=config.learning_rate or usual.learning_rate,
        seed=config.seed,
        backbone_rate=backbone_rate,
        balance=config.balance,
        class_weights=class_weights([of_class.get(label, 0) for label in dataset.classes]),
        optimize=config.optimize.model_copy(
            update={
                "weight_decay": usual.weight_decay if decay < 0 else decay,
                "backbone_rate": backbone_rate,
                "precision": "fp32" if in_fp32 else precision.resolved(config.optimize.precision),
            }
        ),
        loss=config.loss,
        keeps_statistics=_statistics(config) == "keep",
    )


def _statistics(config: TrainConfig) -> Literal["keep", "update"]:
    """Of BatchNorm in trained layers: a few hundred photos tell less of them than what the weights have seen."""
    asked = config.batch_norm.statistics
    if asked == "auto":
        return "update" if config.mode == "scratch" and not config.start else "keep"
    return asked


def concrete(config: TrainConfig, backbone: str, dataset: Dataset) -> TrainConfig:
    """The settings with nothing left to be decided. Raises ConfigError where they are not those of one training."""
    if config.mode == "gradual":
        raise ConfigError(
            "Gradual unfreezing is not one training but several",
            where="train.mode",
            remedy="Name one of its stages: --mode finetune --unfreeze N",
        )
    if config.unfreeze >= 0 and config.mode == "scratch":
        raise ConfigError(
            f"`train.unfreeze` is {config.unfreeze}, but from scratch all blocks are trained",
            remedy="Leave --unfreeze out, or take --mode finetune.",
        )
    if config.mode == "transfer" and "unfreeze" in config.model_fields_set and config.unfreeze:
        if "mode" in config.model_fields_set:
            raise ConfigError(
                f"`train.unfreeze` is {config.unfreeze}, but in mode transfer the head alone is trained",
                remedy="Leave --mode out, or take --mode finetune.",
            )
        config = config.model_copy(update={"mode": "finetune"})
    if config.unfreeze == 0 and config.mode == "finetune":
        config = config.model_copy(update={"mode": "transfer"})
    if config.loss.cutmix and config.mode == "transfer":
        raise ConfigError(
            "CutMix cuts boxes out of photos, and the features that transfer learns from have no height and width",
            where="train.loss.cutmix",
            remedy="Take --set train.loss.mixup=0.2, which blends features too, or --mode finetune.",
        )
    plan = plan_of(config, dataset)
    # A head's steps are over sooner than they are compiled.
    compiles = config.optimize.compile and config.mode != "transfer" and compiling.is_possible()
    augment, views = _views_of(config, dataset)
    return config.model_copy(
        update={
            "backbone": backbone,
            "epochs": plan.epochs,
            "batch_size": plan.batch_size,
            "learning_rate": plan.learning_rate,
            "unfreeze": 0 if config.mode == "transfer" else config.unfreeze,
            "views": views,
            "augment": augment,
            "optimize": plan.optimize.model_copy(update={"compile": compiles}),
            "batch_norm": BatchNormConfig(statistics=_statistics(config)),
            # From scratch, nothing is frozen.
            "cache": run_by(config.cache, SERVES) if config.mode == "scratch" else config.cache,
        }
    )


def run_by(cache: CacheConfig, engine: Name) -> CacheConfig:
    """The same, with this engine."""
    return cache.model_copy(update={"engine": engine})


def _views_of(config: TrainConfig, dataset: Dataset) -> tuple[AugmentConfig, int]:
    """How photos are varied, and how many views of each there are."""
    augment = config.augment.resolved()
    usual = max(1, min(_MAX_VIEWS, _VIEWED_PHOTOS // dataset.n_in("train")))
    views = config.views or (_MAX_VIEWS if config.mode == "finetune" and config.unfreeze > 0 else usual)
    if not augment.recipe:
        views = 1
    elif config.mode == "transfer" and views == 1:
        augment = AugmentConfig(preset="none")
    return augment, views


def remarks(asked: TrainConfig, decided: TrainConfig) -> list[str]:
    """What of the settings that were asked for takes no part, or may not be meant, where these were decided on."""
    said = []
    if asked.views > 1 and not asked.augment.recipe:
        said.append(f"Without augmentation all {asked.views} views of a photo would be the same: one is taken")
    elif "augment" in asked.model_fields_set and asked.augment.recipe and not decided.augment.recipe:
        said.append("Augmentation takes no part, since each photo has one view. Ask for more: --views 4")
    if decided.input.resize != "pad" and any(step.step == "longest_side_pad" for step in decided.augment.recipe):
        said.append("Training photos are padded, served ones are not. For both: --set train.input.resize=pad")
    return said
