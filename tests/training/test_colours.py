"""The colours of a dataset are those of all pixels of its training photos, and a run takes them along."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fledged import images
from fledged.fitting.batches import read_split
from fledged.networks.backbones import IMAGENET_MEAN
from fledged.products import Dataset, Preprocess, Run
from fledged.progress import silent
from fledged.training.colours import colours_of
from fledged.training.train import train
from tests.tiny import TINY

HOW = Preprocess(size_px=32)


def test_mean_and_deviation_are_over_the_pixels_of_the_training_photos(dataset: Dataset) -> None:
    shown = np.stack([images.model_input(jpeg, HOW) for jpeg in read_split(dataset, "train")["jpeg"]]) / 255
    mean, std = colours_of(dataset, HOW)
    assert mean == pytest.approx(shown.mean((0, 1, 2)))
    assert std == pytest.approx(shown.std((0, 1, 2)))


def test_a_run_normalises_by_what_it_was_asked_for(work: Path, dataset: Dataset) -> None:
    settings: dict[str, Any] = TINY | {"views": 1, "epochs": 1}

    def trained(**given: object) -> Run:
        return train(dataset, work=work, report=silent, input={"size_px": 32, **given}, **settings)

    usual, own = trained(), trained(normalise="dataset")
    assert usual.preprocess.mean == IMAGENET_MEAN
    assert (own.preprocess.mean, own.preprocess.std) == colours_of(dataset, HOW)
    assert own.id != usual.id
