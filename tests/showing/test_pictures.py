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
from fledged.pages.sketch import Box, Words
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


def contrast(one: str, other: str) -> float:
    """By WCAG 2: 4.5 at least for words."""

    def luminance(colour: str) -> float:
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("counts", [((60, 0), (60, 0)), ((30, 30), (6, 54)), ((40, 20), (0, 60))])
def test_words_in_the_confusion_matrix_can_be_read(counts: tuple[tuple[int, int], ...]) -> None:
    sketch = drawing.confusion(figures(2).model_copy(update={"confusion": counts}))
    assert sketch is not None
    cells = [shape for shape in sketch.shapes if isinstance(shape, Box)]
    assert len(cells) == 4
    for cell in cells:
        inside = [
            shape
            for shape in sketch.shapes
            if isinstance(shape, Words)
            if 0 < shape.x - cell.x < cell.width
            if 0 < shape.y - cell.y < cell.height
        ]
        assert all(contrast(words.colour, cell.colour) >= 4.5 for words in inside)


def test_hundreds_of_classes_have_no_matrix() -> None:
    made = dict(drawing.pictures(figures(120)))
    assert "confusion.png" not in made
    assert "classes.png" in made
