"""Models side by side on the same photos."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import polars as pl
import pytest
from playwright.sync_api import Browser

import fledged
from demo.drawing import draw_photo
from fledged.cli.models import _weights
from fledged.errors import ConfigError, LakeError, WeightsError
from fledged.measuring.comparison import Comparison
from fledged.measuring.metrics import mcnemar
from fledged.measuring.photos import Photo
from fledged.products import Report, Run
from fledged.progress import silent
from fledged.showing.flips import flips_of, table_of
from fledged.summary import comparison_lines
from fledged.writing import sha256_of_file
from tests.browsing import DESKTOP, PHONE, barriers, context_of
from tests.tiny import BACKBONE, TINY

SMALL: dict[str, Any] = TINY | {"input": {"size_px": 64}, "views": 1, "epochs": 3}


@pytest.fixture(scope="module")
def work(clean_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on one dataset."""
    folder = tmp_path_factory.mktemp("comparing")
    fledged.scan(clean_lake, work=folder)
    fledged.review(work=folder, train=TINY)
    fledged.prepare(work=folder, shorter_side_px=64)
    for seed in (1, 2):
        fledged.train(work=folder, report=silent, seed=seed, **SMALL)
    return folder


@pytest.fixture(scope="module")
def compared(work: Path) -> Comparison:
    return fledged.compare(work=work, report=silent)


def test_all_runs_of_the_dataset_the_best_first(compared: Comparison) -> None:
    assert [model.backbone for model in compared.contenders] == [BACKBONE] * 2
    values = [model.accuracy.value for model in compared.contenders]
    assert values == sorted(values, reverse=True)
    for model in compared.contenders:
        assert (model.mode, model.n_trained) == ("transfer", 256 * 4 + 4)
        assert model.n_parameters is not None
        assert model.gflops is not None
        assert 99_000 < model.n_parameters < 102_000
        assert 0.015 < model.gflops < 0.02
        assert model.megabytes == pytest.approx(0.44, abs=0.1)
        assert model.ms_a_photo is not None
        assert model.ms_a_photo > 0


def test_each_pair_is_tested_on_the_photos_of_both(compared: Comparison) -> None:
    (pair,) = compared.pairs
    assert (pair.first, pair.second) == tuple(model.name for model in compared.contenders)
    first, second = (model.accuracy for model in compared.contenders)
    assert pair.n == first.n
    assert pair.only_first - pair.only_second == round((first.value - second.value) * first.n)
    assert pair.p_value == mcnemar(pair.only_first, pair.only_second)


def test_the_photos_that_make_the_difference_are_shown(compared: Comparison, work: Path) -> None:
    (pair,) = compared.pairs
    page, folder = Path(compared.page).read_text(), Path(compared.page).parent
    assert page.count("<figure>") == pair.only_first + pair.only_second
    for model in compared.contenders:
        assert f"<code>{model.name}</code>" in page
    answers = pl.read_csv(folder / "answers.csv")
    right = [answers.filter(pl.col(name) == pl.col("label")).height for name in (pair.first, pair.second)]
    assert [round(model.accuracy.value * model.accuracy.n) for model in compared.contenders] == right
    assert json.loads((folder / "compare.json").read_text())["pairs"][0]["n"] == pair.n
    assert fledged.compare(work=work, report=silent).page == compared.page


def test_models_that_differ_show_their_flips(tmp_path: Path) -> None:
    photos = [f"{label}/{n}.jpg" for label in ("bird", "drone") for n in range(3)]
    shown = {}
    for path in photos:
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        draw_photo("flying_bird", 1, (64, 48)).save(file)
        shown[path] = Photo(path, file, 0, sha256_of_file(file))

    def of(name: str, predicted: list[str | None]) -> Report:
        table = pl.DataFrame(
            {
                "path": photos,
                "label": [path.partition("/")[0] for path in photos],
                "predicted": predicted,
                "confidence": [0.6, 0.7, 0.8, 0.9, 0.99, None],
            },
            schema_overrides={"predicted": pl.String, "confidence": pl.Float64},
        )
        return cast(Report, SimpleNamespace(subject=name, predictions=lambda: table))

    one = of("run:1", ["bird", "bird", "drone", "drone", "drone", None])
    other = of("run:2", ["bird", "drone", "bird", "bird", "drone", "drone"])
    flips = flips_of(one, other, shown, 1)
    assert (flips.pair.n, flips.pair.only_first, flips.pair.only_second) == (5, 2, 1)
    assert flips.pair.p_value == mcnemar(2, 1)
    # The one that it was surest of.
    assert [(flip.path, flip.first, flip.second) for flip in flips.only_first] == [("drone/0.jpg", "drone", "bird")]
    assert [flip.path for flip in flips.only_second] == ["bird/2.jpg"]
    assert flips.only_first[0].thumbnail is not None
    table = table_of([one, other])
    assert table.columns == ["path", "label", "run:1", "run:1 confidence", "run:2", "run:2 confidence"]
    assert table["run:2"].to_list() == ["bird", "drone", "bird", "bird", "drone", "drone"]


@pytest.mark.browser
@pytest.mark.parametrize(("device", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_its_page_is_accessible_and_fits(
    browser: Browser, compared: Comparison, device: dict[str, Any], scheme: Literal["light", "dark"]
) -> None:
    with context_of(browser, **device, color_scheme=scheme) as context:
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.goto(Path(compared.page).as_uri())
        assert barriers(page) == []
        assert asked
        assert all(address.startswith((Path(compared.page).parent.as_uri(), "data:")) for address in asked)
        assert page.evaluate("document.documentElement.scrollWidth") <= device["viewport"]["width"]
        page.emulate_media(media="print", color_scheme=scheme)
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
        page.set_viewport_size({"width": 690, "height": 1000})  # A4 without its margins
        cut = "[...document.querySelectorAll('table')].filter(t => t.scrollWidth > t.closest('section').clientWidth)"
        assert page.evaluate(f"{cut}.length") == 0


def test_a_bundle_from_elsewhere_and_a_run_on_a_folder(work: Path, tmp_path: Path) -> None:
    run = fledged.train(work=work, report=silent, seed=1, **SMALL)
    fledged.evaluate(run, work=work, report=silent)
    bundle = fledged.export(run, work=work, report=silent)
    shutil.copytree(bundle.folder, tmp_path / "bundle")
    for label in run.classes:
        (tmp_path / "photos" / label).mkdir(parents=True)
        draw_photo(label, 99, (96, 72)).save(tmp_path / "photos" / label / "a.jpg")
    compared = fledged.compare(run, tmp_path / "bundle", folder=tmp_path / "photos", work=work, report=silent)
    assert {model.name for model in compared.contenders} == {f"run:{run.id}", f"bundle:{bundle.id}"}
    assert compared.pairs[0].p_value == 1
    told = "\n".join(comparison_lines(compared))
    assert "On folder photos (4 photos)" in told
    assert "McNemar p = 1, n = 4" in told
    assert told.rpartition("\n")[2].startswith("Next: fledged ")


def test_a_row_says_what_is_not_as_usual_and_how_long_it_took(compared: Comparison, work: Path) -> None:
    runs = {f"run:{run.id}": run for run in _runs(work)}
    for model in compared.contenders:
        assert f"seed={runs[model.name].settings.seed}" in model.settings
        assert model.train_s == runs[model.name].seconds > 0
    told = "\n".join(comparison_lines(compared))
    assert all(model.settings in told for model in compared.contenders)
    assert compared.contenders[0].settings in Path(compared.page).read_text()


def test_a_stage_of_gradual_unfreezing_took_as_long_as_all_up_to_it(work: Path, tmp_path: Path) -> None:
    shutil.copytree(work, own := tmp_path / "work", ignore=shutil.ignore_patterns("runs", "reports", "comparisons"))
    plan = {"stages": [0, 1], "patience": 3}
    fledged.train(work=own, report=silent, mode="gradual", gradual=plan, **SMALL)
    compared = fledged.compare(work=own, report=silent)
    rows = {model.mode: model for model in compared.contenders}
    assert set(rows) == {"gradual, stage 1 of 2: transfer", "gradual, stage 2 of 2: finetune, last block"}
    seconds = {run.settings.unfreeze: run.seconds for run in _runs(own)}
    assert rows["gradual, stage 1 of 2: transfer"].train_s == seconds[0]
    assert rows["gradual, stage 2 of 2: finetune, last block"].train_s == pytest.approx(seconds[0] + seconds[1])


def test_weights_are_looked_at_before_anything_is_trained(work: Path, tmp_path: Path) -> None:
    n_before = len(list((work / "runs").iterdir()))
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    asked: dict[str, Any] = {"work": work, "report": silent, "settings": {**SMALL, "weights": None}}
    bad = {"resnet18": str(tmp_path / "w.safetensors")}
    with pytest.raises(WeightsError, match=r"w\.safetensors.*--weights BACKBONE=FILE"):
        fledged.compare(backbones=["efficientnet_lite0", "resnet18"], weights=bad, **asked)
    with pytest.raises(ConfigError, match=r"weights for resnet18, which is not compared.*--backbones vgg11,resnet18"):
        fledged.compare(backbones=["vgg11"], weights=bad, **asked)
    assert len(list((work / "runs").iterdir())) == n_before


def test_backbones_and_modes_are_trained_once(work: Path) -> None:
    n_before = len(list((work / "runs").iterdir()))
    for _ in range(2):
        compared = fledged.compare(
            backbones=[BACKBONE],
            modes=["transfer", "scratch"],
            work=work,
            report=silent,
            settings={**SMALL, "seed": 2, "epochs": 1},
        )
        assert {model.mode for model in compared.contenders} == {"transfer", "scratch"}
        assert len(list((work / "runs").iterdir())) == n_before + 2


def test_there_must_be_two_and_of_one_test_split(work: Path, clean_lake: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"only one model to compare.*Name two"):
        fledged.compare(fledged.train(work=work, report=silent, **SMALL), work=work)
    fledged.prepare(work=work, shorter_side_px=64, seed=7)
    other = fledged.train(work=work, report=silent, **SMALL)
    first = next(run for run in _runs(work) if run.dataset_id != other.dataset_id)
    with pytest.raises(LakeError, match=r"2 different test splits.*Name a folder"):
        fledged.compare(first, other, work=work)


def _runs(work: Path) -> list[Run]:
    from fledged.workspace import Workspace

    return list(Workspace(work).all(Run))


def test_mcnemar_is_the_exact_binomial_test() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(3, 3) == 1
    assert mcnemar(0, 5) == mcnemar(5, 0) == 2 / 32
    assert mcnemar(1, 7) == pytest.approx(2 * 9 / 256)
    assert mcnemar(400, 600) == pytest.approx(2.7e-10, rel=0.05)


@pytest.mark.parametrize(
    ("words", "backbones", "expected"),
    [
        ([], ["a", "b"], (None, {})),
        (["w.safetensors"], ["a"], ("w.safetensors", {})),
        (["x=1/w.safetensors"], [], ("x=1/w.safetensors", {})),
        (["a=w", "b=x=y"], ["a", "b"], (None, {"a": "w", "b": "x=y"})),
    ],
)
def test_the_command_line_says_whose_weights_a_file_holds(
    words: list[str], backbones: list[str], expected: Any
) -> None:
    assert _weights(words, backbones) == expected


@pytest.mark.parametrize(("words", "backbones"), [(["w"], ["a", "b"]), (["w", "x"], ["a"]), (["a=w", "x"], ["a", "b"])])
def test_a_file_for_several_backbones_is_refused(words: list[str], backbones: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"not said which backbone.*--weights a=FILE"):
        _weights(words, backbones)
