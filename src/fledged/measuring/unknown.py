"""What becomes of photos that are refused, and how well photos of a class are told that the model was not told of.

For the second, each class in turn is left out: regions are found for the training photos of the others alone, and its
validation photos must be told from those of the others. No network has to be trained again, since the features of a
frozen backbone know nothing of the classes, and the head takes no part in the score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.metrics import roc_auc_score

from fledged.embedding.features import features_of
from fledged.embedding.graphs import frozen_of
from fledged.fitting.batches import read_split
from fledged.measuring.answering import Answers
from fledged.measuring.metrics import wilson
from fledged.networks.inference import load_classifier
from fledged.networks.knowing import regions_of
from fledged.products import Dataset, LeftOutClass, Run, Unknown, UnknownFigures
from fledged.progress import silent
from fledged.training.self_knowledge import read_val, some_of
from fledged.workspace import Workspace

ScoreArray = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Features of photos, and the class index of each."""

    features_NF: npt.NDArray[np.float32]
    labels_N: npt.NDArray[np.int64]


_FEWEST = 3  # classes: two must be left, or there is nothing to be told apart
_MOST = 10  # classes that are left out
_KEPT = 0.95

_TWO_CLASSES = "with two classes, only one would be left"
_TRAINED = "this backbone was trained with all of the classes, so its features know each of them"
_NO_RUN = "the run or its dataset is not at hand"


def unknown_of(answers: Answers, known: Unknown, why_none: str, left_out: tuple[LeftOutClass, ...]) -> UnknownFigures:
    """The figures of at least one answered photo, of a model with a threshold; `why_none` says why none is left out."""
    right_N, accepted_N = answers.predicted == answers.true, answers.accepted
    return UnknownFigures(
        threshold=known.threshold,
        share_kept=known.share_kept,
        n_validation=known.n_photos,
        accepted=wilson(int(accepted_N.sum()), len(accepted_N)),
        refused=wilson(int((~accepted_N).sum()), len(accepted_N)),
        right_accepted=wilson(int(right_N[accepted_N].sum()), int(accepted_N.sum())),
        right_refused=wilson(int(right_N[~accepted_N].sum()), int((~accepted_N).sum())),
        left_out=left_out,
        mean_auroc=float(np.mean([of.auroc for of in left_out])) if left_out else None,
        mean_fpr95=float(np.mean([of.fpr95 for of in left_out])) if left_out else None,
        why_none=why_none,
    )


def why_not(run: Run | None, dataset: Dataset | None) -> str:
    """Why no class can be left out; "" where it can."""
    if run is None or dataset is None:
        return _NO_RUN
    if len(run.classes) < _FEWEST:
        return _TWO_CLASSES
    return "" if run.mode == "transfer" else _TRAINED


def left_out_of(run: Run, dataset: Dataset, workspace: Workspace) -> tuple[LeftOutClass, ...]:
    """How well the validation photos of each class are told from the others; none where `why_not` has a reason."""
    if why_not(run, dataset):
        return ()
    backbone = load_classifier(run).embed.backbone
    embedding = frozen_of(run, backbone, workspace)

    def labelled(photos: pl.DataFrame) -> Labelled:
        features_NF = features_of(photos, embedding, 0, workspace, silent)
        return Labelled(features_NF, photos["label"].to_numpy())

    train, val = some_of(read_split(dataset, "train")), read_val(dataset)
    return left_out_in_turn(labelled(train), labelled(val), run.classes) if val.height else ()


def left_out_in_turn(train: Labelled, asked: Labelled, classes: tuple[str, ...]) -> tuple[LeftOutClass, ...]:
    """How well the photos of each class are told from the others, by regions that know only the others.

    A class without photos on either side is not in the answer; of more than ten classes, ten are, spread evenly.
    """
    possible = [i for i in range(len(classes)) if (asked.labels_N == i).any() and (train.labels_N != i).any()]
    places = np.linspace(0, len(possible) - 1, min(_MOST, len(possible))).round().astype(int)
    found = []
    for index in (possible[place] for place in places):
        is_left_out, known = asked.labels_N == index, train.labels_N != index
        if is_left_out.all():
            continue
        scores_N = regions_of(train.features_NF[known], train.labels_N[known]).scores(asked.features_NF)
        found.append(
            LeftOutClass(
                label=classes[index],
                auroc=float(roc_auc_score(is_left_out, scores_N)),
                fpr95=accepted_at(scores_N[~is_left_out], scores_N[is_left_out], _KEPT),
                n_known=int((~is_left_out).sum()),
                n_unknown=int(is_left_out.sum()),
            )
        )
    return tuple(found)


def accepted_at(known_N: ScoreArray, unknown_M: ScoreArray, share_kept: float) -> float:
    """The share of unknown photos that are accepted at the threshold that accepts this share of the known ones.

    At 0.95 it is the false positive rate at 95% true positive rate of D. Hendrycks and K. Gimpel, 2017.
    """
    threshold = np.sort(known_N)[max(1, math.ceil(share_kept * len(known_N) - 1e-9)) - 1]
    return float((unknown_M <= threshold).mean())
