"""Pictures to paste: one for each figure that was measured, and none where there is nothing to see."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from fledged.measuring.answering import Answers
from fledged.measuring.context import Context
from fledged.measuring.figures import Figures, figures_of
from fledged.measuring.learning import learning_curve
from fledged.measuring.photos import Photo
from fledged.measuring.resampling import groups_of
from fledged.showing import pictures as drawing


def figures(n_classes: int, n: int = 120, learning: bool = False) -> Figures:
    random = np.random.default_rng(n_classes)
    true = np.arange(n) % n_classes
    scores = random.dirichlet(np.ones(n_classes), n).astype(np.float32)
    scores[np.arange(n), true] += random.random(n).astype(np.float32)
    scores /= scores.sum(axis=1, keepdims=True)
    classes = tuple(f"Eisvögel & {i}" if i % 2 else f"翡翠<{i}>" for i in range(n_classes))
    photos = [Photo(f"{i}.jpg", Path(f"{i}.jpg"), int(label), "") for i, label in enumerate(true)]
    features = random.normal(size=(n, 8)).astype(np.float32) + np.eye(n_classes, 8)[true] * 3
    curve = learning_curve(features.astype(np.float32), true, groups_of([p.path for p in photos])) if learning else None
    answers = Answers(photos, classes, scores, (None,) * n)
    return figures_of(answers, "run:1", "test", None, {}, Context(learning=curve))


@pytest.mark.parametrize("n_classes", [2, 5, 30, 60])
def test_every_picture_is_whole_and_the_same_twice(n_classes: int) -> None:
    of = figures(n_classes, learning=n_classes == 5)
    made = dict(drawing.pictures(of))
    names = {"confusion", "classes", "roc", "precision_recall", *(["learning_curve"] if n_classes == 5 else [])}
    assert made.keys() == {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    assert dict(drawing.pictures(of)) == made
    for name, content in made.items():
        if name.endswith(".svg"):
            tree = ElementTree.fromstring(content)
            size = (int(tree.attrib["width"]), int(tree.attrib["height"]))
            assert Image.open(io.BytesIO(made[name[:-4] + ".png"])).size == size
            for text in tree.iter("{http://www.w3.org/2000/svg}text"):
                assert 0 <= float(text.attrib["x"]) <= size[0], (name, text.text)
                assert 0 <= float(text.attrib["y"]) <= size[1], (name, text.text)


def test_the_confusion_matrix_says_the_counts() -> None:
    of = figures(2)
    texts = [text.text for text in ElementTree.fromstring(dict(drawing.pictures(of))["confusion.svg"]).iter()]
    for row in of.confusion:
        for count in row:
            assert str(count) in texts


def test_hundreds_of_classes_have_no_matrix() -> None:
    made = dict(drawing.pictures(figures(120)))
    assert "confusion.png" not in made
    assert "classes.png" in made
