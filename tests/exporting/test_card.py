"""The card says what was measured, and names what was not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fledged.exporting.card import model_card
from fledged.exporting.export import export
from fledged.measured import Figure, LearningCurve, LearningPoint, Slice, Spent
from fledged.products import Bundle, Dataset, Report, Run
from fledged.progress import silent
from fledged.workspace import Workspace


@pytest.fixture(scope="module")
def bundle(run: Run, judged: Report, work: Path) -> Bundle:
    return export(run, work=work, report=silent)


@pytest.fixture
def dataset(work: Path, run: Run) -> Dataset:
    return Workspace(work).load(Dataset, run.dataset_id)


def test_figures_come_with_intervals_and_lineage(bundle: Bundle, run: Run, judged: Report, dataset: Dataset) -> None:
    card = model_card(bundle, run, dataset, judged)
    assert judged.overall is not None
    for figure, form in ((judged.accuracy, ".1%"), (judged.overall.macro_f1, ".3f"), (judged.overall.brier, ".3f")):
        assert f"| {figure.value:{form}} | {figure.low:{form}} to {figure.high:{form}} |" in card
    for known in (dataset.id, dataset.snapshot_id, dataset.review_id, run.id, judged.id):
        assert f"`{known}`" in card
    assert "- train: " in card
    assert "- Not measured: learning curve (train and val have fewer than 40 groups of photos)." in card
    assert run.spent is not None
    assert f"processor time: {run.spent.cpu_seconds:.0f} s" in card


def test_energy_only_where_it_was_measured(bundle: Bundle, run: Run, judged: Report, dataset: Dataset) -> None:
    spent = Spent(seconds=9.0, cpu_seconds=17.0, joules=720.0)
    card = model_card(bundle, run.model_copy(update={"spent": spent}), dataset, judged)
    assert "processor time: 17 s; energy: 720 J (0.0002 kWh)" in card
    card = model_card(bundle, run.model_copy(update={"spent": None}), dataset, judged)
    assert "processor time: not measured; energy: not measured." in card


def test_weak_slices_and_the_learning_curve_are_limits(
    bundle: Bundle, run: Run, judged: Report, dataset: Dataset
) -> None:
    half = Figure(value=0.5, low=0.4, high=0.6, n=20)
    weak = Slice(trait="brightness", value="up to 0.2", accuracy=half, rest=half, p_value=0.01, is_worse=True)
    curve = LearningCurve(
        points=(LearningPoint(share=1.0, n_photos=10, accuracy=half),),
        n_folds=5,
        n_seeds=2,
        floor=0.0,
        scale=1.0,
        exponent=0.5,
        fitted=((10, 0.5),),
        gain=Figure(value=0.02, low=0.01, high=0.03, n=10),
    )
    card = model_card(bundle, run, dataset, judged.model_copy(update={"slices": (weak,), "learning": curve}))
    assert "- Weak: brightness up to 0.2, 50.0% of 20 photos right, 50.0% of the others (p = 0.01, corrected" in card
    assert "about +2.0 points of accuracy (95% interval +1.0 to +3.0)" in card


def test_a_report_of_an_earlier_version_still_makes_a_card(
    bundle: Bundle, run: Run, judged: Report, dataset: Dataset
) -> None:
    text = judged.model_dump(mode="json")
    for name in ("overall", "other_splits", "slices", "learning", "not_measured"):
        del text[name]
    for entry in text["by_class"]:
        for name in ("precision_interval", "f1_interval", "auc", "average_precision"):
            del entry[name]
    old = Report.model_validate(text)
    card = model_card(bundle, run, dataset, old)
    assert f"Macro F1 {judged.macro_f1:.3f}" in card
    assert judged.by_class[0].label in card
