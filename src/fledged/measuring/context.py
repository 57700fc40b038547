"""What stands beside the answers: traits of the photos, the other splits, the learning curve; or why they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fledged.measured import LearningCurve, SplitFigures
from fledged.measuring import learning, splits, traits
from fledged.measuring.photos import Photo
from fledged.measuring.resampling import groups_of
from fledged.measuring.slices import Values
from fledged.measuring.subject import Subject
from fledged.products import Dataset
from fledged.workspace import Workspace

SLICES, SPLITS, LEARNING = "slices", "train and val", "learning curve"


@dataclass(frozen=True, slots=True)
class Context:
    """All of it may be empty; `not_measured` then says why."""

    traits: Mapping[str, Values] = field(default_factory=dict)  # of all photos, readable or not
    other_splits: tuple[SplitFigures, ...] = ()
    learning: LearningCurve | None = None
    not_measured: dict[str, str] = field(default_factory=dict)


def context_of(
    judged: Subject,
    photos: list[Photo],
    dataset: Dataset | None,
    workspace: Workspace,
    *,
    is_folder: bool,
    with_learning: bool,
) -> Context:
    """The context of photos of the test split, or of a folder."""
    missing: dict[str, str] = {}
    if is_folder or dataset is None:
        found: Mapping[str, Values] | None = traits.of_folder(photos, judged.classes)
    else:
        found = traits.of_test_split(photos, dataset, workspace)
    if found is None:
        missing[SLICES] = "the snapshot, in which sizes and brightness are kept, is not here"
    cached: splits.Cached | str = "a bundle has neither; see the report of its run"
    others: tuple[SplitFigures, ...] = ()
    if judged.run is not None and dataset is not None:
        cached = splits.cached(judged.run, dataset, workspace)
        others = splits.of_history(judged.run, dataset) if isinstance(cached, str) else splits.of_cached(cached)
    if not others:
        missing[SPLITS] = cached if isinstance(cached, str) else "they have no photos"
    curve = None
    if not with_learning:
        missing[LEARNING] = "switched off by evaluate.learning_curve"
    elif is_folder:
        missing[LEARNING] = "it is in the report of the test split"
    elif isinstance(cached, str):
        missing[LEARNING] = cached
    else:
        curve = learning.learning_curve(cached.features_NF, cached.labels_N, groups_of(cached.groups))
        if curve is None:
            missing[LEARNING] = f"train and val have fewer than {learning.FEWEST_GROUPS} groups of photos"
    return Context(found or {}, others, curve, missing)


def of_answered(found: Mapping[str, Values], answered: np.ndarray[tuple[int], np.dtype[np.int64]]) -> dict[str, Values]:
    """The traits of the answered photos alone."""
    return {trait: [values[i] for i in answered.tolist()] for trait, values in found.items()}
