from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import set_external_data
from PIL import Image

from fledged import images
from fledged.errors import ProductError, RequestError
from fledged.predicting.elsewhere import files_among, portable
from fledged.predicting.files import find_photos, read
from fledged.predicting.many import Read
from fledged.predicting.predictor import Predictor, load
from fledged.products import Bundle, Failure, Prediction, Preprocess
from fledged.reading import Spot
from fledged.workspace import Workspace
from tests.bundles import make_tiny_bundle
from tests.serving.photos import COLOURS, encoded, jpeg, of_all_kinds, picture


@pytest.mark.parametrize("colour", COLOURS)
def test_answers_the_colour(predictor: Predictor, colour: str) -> None:
    answer = predictor.predict(jpeg(colour))
    assert answer.label == colour
    assert answer.confidence == answer.top_k[0].score > 0.9
    assert [entry.score for entry in answer.top_k] == sorted(answer.class_scores.values(), reverse=True)
    assert sum(answer.class_scores.values()) == pytest.approx(1, abs=1e-6)
    assert answer.bundle_id == predictor.bundle.id
    assert 0 < answer.seconds < 30


def test_takes_a_file_its_bytes_a_picture_or_an_array(predictor: Predictor, tmp_path: Path) -> None:
    data = encoded(picture("green"), "PNG")
    file = tmp_path / "a photo.png"
    file.write_bytes(data)
    opened = Image.open(file)
    answers = [
        predictor.predict(photo).top_k for photo in (file, str(file), data, opened, np.asarray(picture("green")))
    ]
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("array", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)])
def test_an_array_of_another_shape_is_misuse(predictor: Predictor, array: images.UInt8Array) -> None:
    with pytest.raises(ValueError, match="uint8"):
        predictor.predict(array)


@pytest.mark.parametrize(("wanted", "given"), [(1, 1), (2, 2), (3, 3), (99, 3)])
def test_top_k_is_at_most_the_number_of_classes(predictor: Predictor, wanted: int, given: int) -> None:
    assert len(predictor.predict(jpeg(), top_k=wanted).top_k) == given


@pytest.mark.parametrize("kind", of_all_kinds())
def test_every_kind_of_photo_is_answered(predictor: Predictor, kind: str) -> None:
    answer = predictor.predict(of_all_kinds()[kind])
    assert answer.label == "blue" or "grey" in kind or "bit" in kind


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 400, "empty"),
        (b"Dear diary, today I saw a bird.", 415, "not a photo"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "vector"),
        (b"%PDF-1.7 ...", 415, "vector"),
        (jpeg(size=(200, 200))[:-900], 422, "truncated"),
        (jpeg()[:60], 422, "truncated"),
        (encoded(picture(), "PNG")[:100], 422, "truncated|damaged"),
        (encoded(Image.new("1", (12_000, 9_000)), "PNG"), 422, "limit of 89 million"),
    ],
)
def test_a_bad_photo_is_refused_in_words(predictor: Predictor, data: bytes, status: int, words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        predictor.predict(data)
    assert caught.value.status == status
    assert caught.value.remedy


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", of_all_kinds())
def test_a_garbled_photo_is_answered_or_refused(predictor: Predictor, kind: str) -> None:
    chance = random.Random(kind)
    for _ in range(15):
        data = bytearray(of_all_kinds()[kind])
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(min(len(data), 300))] = chance.randrange(256)
        cut = chance.choice([len(data), chance.randrange(1, len(data))])
        try:
            predictor.predict(bytes(data[:cut]))
        except RequestError as error:
            assert error.status in (415, 422)


def test_a_path_that_is_no_photo_is_named(predictor: Predictor, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.jpg"):
        with pytest.raises(RequestError) as caught:
            predictor.predict(path)
        assert caught.value.where == str(path)


def test_many_photos_are_answered_in_order_as_one_by_one(predictor: Predictor, tmp_path: Path) -> None:
    files = []
    for number in range(40):
        colour = list(COLOURS)[number % 3]
        files.append(tmp_path / f"{number:02}.jpg")
        files[-1].write_bytes(jpeg(colour, size=(64 + number, 48)))
    files[5].write_bytes(b"no photo")
    files[16].unlink()
    steps: list[tuple[int, int]] = []
    answered = list(predictor.predict_many(files, top_k=2, report=lambda _, done, total: steps.append((done, total))))
    assert [path for path, _ in answered] == files
    assert steps[0] == (0, 40)
    assert steps[-1] == (40, 40)
    for number, (path, answer) in enumerate(answered):
        if number in (5, 16):
            assert isinstance(answer, Failure)
            continue
        alone = predictor.predict(path, top_k=2)
        assert isinstance(answer, Prediction)
        assert answer.label == alone.label
        assert answer.confidence == pytest.approx(alone.confidence, abs=1e-6)


def test_many_photos_need_little_memory(predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(jpeg())
    decoded: list[int] = []
    as_before = images.model_input

    def counted(data: bytes, how: Preprocess) -> images.UInt8Array:
        decoded.append(len(data))
        return as_before(data, how)

    monkeypatch.setattr(images, "model_input", counted)
    answers = predictor.predict_many([file] * 500)
    next(answers)
    assert len(decoded) < 100
    assert sum(1 for _ in answers) == 499


def test_threads_may_share_a_predictor(predictor: Predictor) -> None:
    photos = [jpeg(colour, size=(300, 200)) for colour in COLOURS] * 6
    answers: dict[int, str] = {}

    def answer(number: int) -> None:
        answers[number] = predictor.predict(photos[number]).label

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(len(photos))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[number] for number in range(len(photos))] == list(COLOURS) * 6


def test_load_takes_a_bundle_a_folder_an_id_or_the_newest(bundle: Bundle, work: Path) -> None:
    for wanted in (bundle, bundle.folder, str(bundle.folder), bundle.id, f"bundle:{bundle.id[:4]}", None):
        opened = load(wanted, work=work, threads=1)
        assert opened.bundle.id == bundle.id
        assert opened.is_warm


def test_load_says_what_is_missing(tmp_path: Path, work: Path) -> None:
    with pytest.raises(ProductError, match="no bundle yet"):
        load(work=tmp_path)
    with pytest.raises(ProductError, match="no bundle here"):
        load(tmp_path)
    with pytest.raises(ProductError, match="does not exist"):
        load("beef", work=work)


def test_an_altered_model_is_refused(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path)
    model = bundle.folder / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    with pytest.raises(ProductError, match="sha256"):
        load(bundle)


def test_a_model_that_does_not_fit_its_bundle_is_refused(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path)
    (bundle.folder / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ProductError, match="cannot be opened"):
        load(Workspace(tmp_path).save(bundle))

    two = bundle.model_copy(update={"id": "2", "classes": ("red", "green")})
    place = Workspace(tmp_path).folder("bundle", "2")
    place.mkdir()
    (place / "model.onnx").write_bytes((make_tiny_bundle(tmp_path / "other").folder / "model.onnx").read_bytes())
    with pytest.raises(ProductError, match="2 classes"):
        load(Workspace(tmp_path).save(two))


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin"])
def test_a_model_never_reads_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    bundle = make_tiny_bundle(tmp_path / "work")
    model = onnx.load(bundle.folder / "model.onnx")
    weights = model.graph.initializer[0]
    here = tmp_path / "here"
    here.mkdir()
    (here / location).write_bytes(weights.raw_data)
    (bundle.folder / location).write_bytes(weights.raw_data)
    set_external_data(weights, location=location)
    weights.ClearField("raw_data")
    (bundle.folder / "model.onnx").write_bytes(model.SerializeToString())
    monkeypatch.chdir(here)
    with pytest.raises(ProductError, match="cannot be opened"):
        load(Workspace(tmp_path / "work").save(bundle))


def test_find_photos_expands_folders_and_skips_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/1.jpg", "b/.DS_Store", "b/.thumbs/1.jpg", "b/deep/er/0.jpg", "single.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_photos([tmp_path / "single.png", tmp_path / "b"])
    names = [Path(path).relative_to(tmp_path).as_posix() for path in found]
    assert names == ["single.png", "b/1.jpg", "b/2.jpg", "b/deep/er/0.jpg"]
    with pytest.raises(RequestError, match="no such"):
        find_photos([tmp_path / "nothing"])


def test_find_photos_goes_level_by_level_and_follows_no_links_to_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a-b/1.jpg", "a/2.jpg", "a.jpg", "a/b/.x/3.jpg", "a/b/c.jpg", "ü/ 4.jpg", "B.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    (tmp_path / "broken.jpg").symlink_to("nothing.jpg")
    slow = [path for path in tmp_path.rglob("*") if path.name != "self" and path.is_file()]
    wanted = [str(path) for path in sorted(slow) if "/.x/" not in str(path)]
    assert find_photos([tmp_path]) == wanted
    assert len(wanted) == 7
    monkeypatch.chdir(tmp_path)
    assert find_photos(["."]) == [path.removeprefix(f"{tmp_path}/") for path in wanted]
    assert find_photos(["a/"]) == ["a/2.jpg", "a/b/c.jpg"]


def test_a_file_that_goes_to_another_machine_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reads: list[Read] = [
        partial(read, Spot("a.jpg")),
        partial(read, Path("b.jpg")),
        partial(read, Spot("s3://lake/c.jpg", 7)),
    ]
    assert [photo.args[0] for photo in map(portable, reads) if isinstance(photo, partial)] == [
        tmp_path / "a.jpg",
        tmp_path / "b.jpg",
        Spot("s3://lake/c.jpg", 7),
    ]
    assert files_among(reads) == ["a.jpg", "b.jpg"]


def test_serving_needs_no_training_packages() -> None:
    heavy = "torch, torchvision, timm, polars, sklearn, onnx, accelerate, loky, pi_heif"
    code = (
        "import sys, fledged.serving.app, fledged.predicting.predictor, fledged.serving.server\n"
        f"print(*sorted(set('{heavy}'.split(', ')) & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.split() == []


def test_answering_leaves_nothing_in_the_home_folder(work: Path, tmp_path: Path) -> None:
    home, photo = tmp_path / "home", tmp_path / "a.png"
    home.mkdir()
    Image.new("RGB", (40, 40), "red").save(photo)
    # onnxruntime starts its own reports, and the identifier that goes with them, in the background.
    code = "import sys, time, fledged; fledged.load(work=sys.argv[1]).predict(sys.argv[2]); time.sleep(0.5)"
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ORT_", "XDG_", "CI", "GITHUB_", "PYTEST_"))
    }
    command = [sys.executable, "-c", code, str(work), str(photo)]
    subprocess.run(command, env=kept | {"HOME": str(home)}, check=True, timeout=120)
    assert not list(home.rglob("*"))


@pytest.fixture
def modest(tmp_path: Path) -> Predictor:
    return load(make_tiny_bundle(tmp_path, knows_limits=True))


GREY = encoded(Image.new("RGB", (40, 30), "grey"), "PNG")


def test_a_photo_that_is_none_of_the_classes_is_not_accepted(modest: Predictor) -> None:
    red, grey = modest.predict(jpeg("red")), modest.predict(GREY)
    assert (red.label, red.accepted) == ("red", True)
    assert red.unknown_score == pytest.approx(1 - red.confidence, abs=1e-6)
    assert not grey.accepted
    assert grey.unknown_score == pytest.approx(2 / 3, abs=1e-3)
    assert grey.label in modest.bundle.classes  # the likeliest, to be shown as such


def test_many_photos_are_refused_as_one_is(modest: Predictor, tmp_path: Path) -> None:
    files = [tmp_path / "red.jpg", tmp_path / "grey.png"]
    files[0].write_bytes(jpeg("red"))
    files[1].write_bytes(GREY)
    answers = [answer for _, answer in modest.predict_many(files)]
    assert [answer.accepted for answer in answers if isinstance(answer, Prediction)] == [True, False]


def test_an_older_bundle_accepts_every_photo(predictor: Predictor) -> None:
    answer = predictor.predict(GREY)
    assert (answer.accepted, answer.unknown_score) == (True, None)
    assert predictor.scored(np.zeros((3, 32, 32, 3), np.uint8))[1].tolist() == [0, 0, 0]


def test_a_model_without_the_score_that_its_bundle_names_is_refused(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path)
    claims = bundle.model_copy(update={"unknown": make_tiny_bundle(tmp_path / "other", knows_limits=True).unknown})
    Workspace(tmp_path).save(claims)
    with pytest.raises(ProductError, match="cannot run"):
        load(bundle.folder)


def test_an_explanation_is_given_where_it_is_asked_for_and_there_is_one(tmp_path: Path) -> None:
    predictor = load(make_tiny_bundle(tmp_path, explains=True, knows_limits=True))
    photo = np.zeros((40, 40, 3), np.uint8)
    photo[:20, :, 2] = 255
    plain, explained = predictor.predict(photo), predictor.predict(photo, explain=True)
    assert plain.heatmap is None
    assert "heatmap" not in plain.model_dump(mode="json")
    assert "heatmap" not in json.loads(plain.model_dump_json())
    assert (explained.label, explained.unknown_score) == (plain.label, plain.unknown_score)
    assert explained.heatmap is not None
    heat = np.array(explained.heatmap)
    assert heat.shape == (32, 32)
    assert (heat[:14] > 0.9).all()
    assert (heat[18:] < 0.1).all()
    assert explained.model_dump(mode="json")["heatmap"][0] == list(explained.heatmap[0])


def test_a_bundle_without_heatmaps_answers_all_the_same(tmp_path: Path) -> None:
    answer = load(make_tiny_bundle(tmp_path)).predict(np.zeros((40, 40, 3), np.uint8), explain=True)
    assert answer.heatmap is None
