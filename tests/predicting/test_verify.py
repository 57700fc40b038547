"""Whether a bundle answers here as it did when it was exported."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fledged import images
from fledged.contract import DrawnPhoto, KnownPhoto, Reference
from fledged.errors import ProductError, RequestError
from fledged.predicting.predictor import load
from fledged.predicting.verify import verification_lines, verify
from fledged.product_files import open_product
from fledged.products import REFERENCE_FILE, Bundle
from fledged.progress import silent
from fledged.workspace import Workspace
from fledged.writing import write_bytes
from tests.bundles import make_tiny_bundle
from tests.serving.photos import encoded, jpeg, picture

COLOURS = ("red", "green", "blue")


def with_reference(folder: Path, error: float = 0.0) -> Bundle:
    """A tiny bundle that keeps its answers to three photos, the first probability of each being `error` off."""
    bundle = make_tiny_bundle(folder)
    predictor = load(bundle)
    drawn, known = [], []
    for number, colour in enumerate(COLOURS):
        data = jpeg(colour)
        row = predictor.probabilities(images.model_input(data, bundle.preprocess)[np.newaxis])[0].tolist()
        row[0] += error
        drawn.append(DrawnPhoto(jpeg=base64.b64encode(data), probabilities=tuple(row), unknown_score=None))
        known.append(
            KnownPhoto(
                sha256=hashlib.sha256(data).hexdigest(), class_index=number, confidence=row[number], unknown_score=None
            )
        )
    kept = Reference(limit=1e-3, drawn=tuple(drawn), photos=tuple(known))
    write_bytes(bundle.folder / REFERENCE_FILE, kept.model_dump_json().encode())
    return Workspace(folder).save(bundle)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photos in class folders, one of them under a wrong one, and something that is no photo."""
    folder = tmp_path / "photos"
    for colour in COLOURS:
        (folder / colour).mkdir(parents=True, exist_ok=True)
        (folder / colour / "1.jpg").write_bytes(jpeg(colour))
    (folder / "blue" / "2.jpg").write_bytes(encoded(picture("red", (50, 50)), "JPEG"))
    (folder / "notes.txt").write_text("no photo")
    return folder


def test_a_bundle_that_answers_as_then_is_told_so(tmp_path: Path, photos: Path) -> None:
    bundle = with_reference(tmp_path / "work")
    done = verify(bundle, photos, report=silent)
    assert done.is_same
    assert (done.n_drawn, done.n_photos, done.n_unreadable, done.n_known, done.n_known_same_label) == (3, 4, 1, 3, 3)
    assert done.drawn_difference is not None
    assert done.drawn_difference < 1e-6
    assert done.known_difference is not None
    assert done.known_difference < 1e-5
    assert done.accuracy is not None
    assert (done.accuracy.value, done.accuracy.n) == (0.75, 4)
    text = "\n".join(verification_lines(done))
    assert "It answers as it did when it was exported" in text
    assert "On 4 labelled photos 75.0% are right (30.1% to 95.4%, 95% interval)" in text


@pytest.mark.parametrize("is_given_photos", [False, True])
def test_other_answers_are_found_with_and_without_photos(tmp_path: Path, photos: Path, is_given_photos: bool) -> None:
    done = verify(with_reference(tmp_path / "work", 0.01), photos if is_given_photos else (), report=silent)
    assert not done.is_same
    assert done.drawn_difference == pytest.approx(0.01, abs=1e-5)
    assert done.known_difference == (pytest.approx(0.01, abs=1e-5) if is_given_photos else None)
    assert "does NOT answer" in verification_lines(done)[-1]


def test_photos_in_no_class_folder_give_no_accuracy(tmp_path: Path) -> None:
    bundle = with_reference(tmp_path / "work")
    (tmp_path / "heap").mkdir()
    (tmp_path / "heap" / "a.jpg").write_bytes(jpeg("red"))
    done = verify(bundle, tmp_path / "heap", report=silent)
    assert (done.accuracy, done.n_known, done.is_same) == (None, 1, True)


def test_an_older_bundle_is_opened_and_cannot_be_compared(tmp_path: Path, photos: Path) -> None:
    golden = Path(__file__).parents[1] / "contract" / "golden" / "bundle_1"
    done = verify(golden, photos, report=silent)
    assert (done.limit, done.n_drawn, done.drawn_difference, done.n_known) == (None, 0, None, 0)
    assert done.accuracy is not None
    assert done.is_same
    text = "\n".join(verification_lines(done))
    assert "of before bundles kept their own answers" in text
    assert "It answers as it did" not in text


def test_a_damaged_bundle_and_a_missing_folder_are_errors(tmp_path: Path) -> None:
    bundle = with_reference(tmp_path / "work")
    with pytest.raises(RequestError, match="no such photo or folder"):
        verify(bundle, tmp_path / "nowhere", report=silent)
    shutil.copytree(bundle.folder, tmp_path / "copy")
    record = json.loads((tmp_path / "copy" / REFERENCE_FILE).read_bytes())
    (tmp_path / "copy" / REFERENCE_FILE).write_text(json.dumps(record | {"limit": 1.0}))
    with pytest.raises(ProductError, match=r"not what was written.*reference\.json"):
        verify(tmp_path / "copy", report=silent)
    assert open_product(Bundle, bundle.folder).reference() is not None
