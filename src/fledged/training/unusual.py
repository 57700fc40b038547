"""Which settings of a run are not what its mode, backbone and dataset usually get."""

from __future__ import annotations

from fledged.products import Dataset
from fledged.settings.training import TrainConfig
from fledged.training.concrete import NO_PART, concrete

_GIVEN = ("backbone", "mode", "unfreeze", "start")  # what "usual" is asked for


def flat(config: TrainConfig) -> dict[str, str]:
    """Each setting that takes part in what a run is, by its name with dots; a preset stands for its steps."""
    settings: dict[str, object] = config.model_dump(mode="json", exclude=NO_PART)
    augment = config.augment
    own = augment.preset == "own"
    settings["augment"] = ", ".join(step.step for step in augment.recipe) if own else augment.preset
    named: dict[str, str] = {}
    for name, value in settings.items():
        parts = {f"{name}.{part}": of for part, of in value.items()} if isinstance(value, dict) else {name: value}
        named |= {path: f"{of:g}" if isinstance(of, float) else str(of) for path, of in parts.items()}
    return named


def unusual(config: TrainConfig, dataset: Dataset) -> list[tuple[str, str, str]]:
    """Name, value and usual value of each setting of a run that is not the usual one."""
    kept = {name: getattr(config, name) for name in _GIVEN}
    usual = flat(concrete(TrainConfig.model_validate(kept), config.backbone, dataset))
    return [(name, value, usual[name]) for name, value in flat(config).items() if value != usual[name]]
