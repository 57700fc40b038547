"""What becomes of photos that are refused, and how well photos of a class are told that the model was not told of.

For the second, each class in turn is left out: the centroids of the others are as if it had never been there, and its
validation photos must be told from those of the others. Nothing has to be trained again, since the features of a frozen
backbone and the centroids know nothing of other classes, and the head takes no part in the score.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from fledged.evaluating.answering import Answers
from fledged.evaluating.metrics import wilson
from fledged.networks.inference import load_centroids, load_classifier
from fledged.networks.knowing import unknown_scores
from fledged.products import Dataset, LeftOutClass, Run, Unknown, UnknownFigures
from fledged.progress import Report
from fledged.training.batches import read_split
from fledged.training.features import features_of
from fledged.training.transfer import embedding_of
from fledged.workspace import Workspace

ScoreArray = npt.NDArray[np.floating]

_FEWEST = 3  # classes: two must be left, or there is nothing to be told apart
_KEPT = 0.95

_TWO_CLASSES = "with two classes, only one would be left"
_TRAINED = "this backbone was trained with all of the classes, so its features know each of them"
_NO_RUN = "the run or its dataset is not at hand"


def unknown_of(
    answers: Answers, known: Unknown, run: Run | None, dataset: Dataset | None, house: tuple[Workspace, Report]
) -> UnknownFigures:
    """The figures of at least one answered photo, of a model with a threshold."""
    why_none = why_not(run, dataset)
    left_out = _left_out(run, dataset, *house) if run and dataset and not why_none else ()
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


def left_out_in_turn(
    features_NF: npt.NDArray[np.float32],
    labels_N: npt.NDArray[np.int64],
    centroids_CF: npt.NDArray[np.float32],
    classes: tuple[str, ...],
) -> tuple[LeftOutClass, ...]:
    """How well the photos (N, F) of each class are told from the others by the others' centroids (C, F).

    A class without photos is not in the answer, nor is one that has all of them.
    """
    found = []
    for index, label in enumerate(classes):
        is_left_out = labels_N == index
        if is_left_out.all() or not is_left_out.any():
            continue
        scores_N = unknown_scores(features_NF, np.delete(centroids_CF, index, axis=0))
        found.append(
            LeftOutClass(
                label=label,
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


def _left_out(run: Run, dataset: Dataset, workspace: Workspace, report: Report) -> tuple[LeftOutClass, ...]:
    if not dataset.n_in("val"):
        return ()
    backbone = load_classifier(run).embed.backbone
    embedding = embedding_of(run.backbone.name, backbone, run.preprocess, workspace)
    photos = read_split(dataset, "val")
    features_NF = features_of(photos, embedding, 0, workspace, report)
    return left_out_in_turn(features_NF, photos["label"].to_numpy(), load_centroids(run), run.classes)
