"""The integer export: a quarter of the size, ranges from training photos alone, and a gate of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from fledged.errors import ParityError
from fledged.evaluating.compare import compare
from fledged.evaluating.evaluate import evaluate
from fledged.exporting import served as serving_graphs
from fledged.exporting.export import export
from fledged.exporting.int8 import in_integers
from fledged.exporting.served import in_fp32
from fledged.fitting.batches import read_split
from fledged.measured import Figure
from fledged.predicting.predictor import load
from fledged.products import Bundle, Dataset, Report, Run
from fledged.progress import silent
from fledged.settings.results import Int8Config
from fledged.workspace import Workspace

# A network that has seen few photos of 64 px is coarse: what is tested is that the limits are kept, and told.
LOOSE = {"photos": 16, "max_abs_difference": 1.0, "min_label_agreement": 0.0, "max_accuracy_loss": 1.0}


@pytest.fixture(scope="module")
def bundle(run: Run, judged: Report, work: Path) -> Bundle:
    return export(run, work=work, report=silent, precision="int8", int8=LOOSE)


def test_it_is_small_and_says_what_it_is(bundle: Bundle, run: Run, work: Path) -> None:
    in_full = len(in_fp32(run, Workspace(work)).onnx)
    assert bundle.precision == "int8"
    assert (
        bundle.parity.n_bytes == (bundle.folder / "model.onnx").stat().st_size < 0.75 * in_full
    )  # most of so small a network is its graph
    assert bundle.parity.speed is not None
    assert 0 < bundle.parity.speed.ms_1 < bundle.parity.speed.ms_32
    assert bundle.accuracy == bundle.parity.accuracy
    assert isinstance(bundle.parity.accuracy_difference, Figure)
    assert bundle.parity.max_abs_score_difference is None
    assert bundle.heatmap_cells == 2


def test_what_it_knows_of_itself_is_its_own(bundle: Bundle, run: Run) -> None:
    assert bundle.unknown is not None
    assert run.unknown is not None
    assert bundle.unknown.threshold != run.unknown.threshold
    assert (bundle.unknown.share_kept, bundle.unknown.n_photos) == (run.unknown.share_kept, run.unknown.n_photos)


def test_only_training_photos_show_their_ranges(
    run: Run, judged: Report, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[bytes] = []

    def remember(backbone_onnx: bytes, jpegs: list[bytes], *rest: object) -> bytes:
        shown.extend(jpegs)
        return backbone_onnx

    monkeypatch.setattr(serving_graphs, "in_integers", remember)
    export(run, work=work, report=silent, precision="int8", int8=LOOSE | {"photos": 12})
    dataset = Workspace(work).load(Dataset, run.dataset_id)
    training = read_split(dataset, "train")
    assert len(shown) == 12
    assert set(shown) <= set(training["jpeg"])
    assert set(training.filter(training["jpeg"].is_in(shown))["label"]) == {0, 1, 2, 3}


def test_weights_and_activations_are_integers_but_for_the_sensitive_ones(run: Run, work: Path) -> None:
    dataset = Workspace(work).load(Dataset, run.dataset_id)
    jpegs = read_split(dataset, "train")["jpeg"].to_list()[:8]
    from fledged.embedding.graphs import embedding_of
    from fledged.networks.inference import load_classifier

    module = load_classifier(run).embed.backbone
    exact = embedding_of(run.backbone.name, module, run.preprocess, Workspace(work)).onnx
    counts = []
    for config in (Int8Config(depthwise=False), Int8Config(), Int8Config(float_share=0.6)):
        graph = onnx.load_from_string(in_integers(exact, jpegs, run.preprocess, config)).graph
        makers = {output: node.op_type for node in graph.node for output in node.output}
        convolutions = [node for node in graph.node if node.op_type == "Conv"]
        in_integer = [makers.get(node.input[1]) == "DequantizeLinear" for node in convolutions]
        assert not any(in_integer[: int(config.float_share * len(convolutions))])
        counts.append(sum(in_integer))
    assert counts[2] < counts[0] < counts[1] < len(convolutions)


def test_it_is_judged_and_compared_like_any_bundle(bundle: Bundle, run: Run, work: Path) -> None:
    report = evaluate(f"bundle:{bundle.id}", work=work, report=silent)
    assert report.subject == f"bundle:{bundle.id}"
    assert report.accuracy.value == pytest.approx(bundle.accuracy.value)
    compared = compare(f"run:{run.id}", f"bundle:{bundle.id}", work=work, report=silent)
    assert {model.name for model in compared.contenders} == {f"run:{run.id}", f"bundle:{bundle.id}"}


def test_it_explains_itself(bundle: Bundle, clean_lake: Path, judged: Report) -> None:
    answer = load(bundle).predict(clean_lake / judged.predictions()["path"][0], explain=True)
    assert answer.heatmap is not None
    assert np.max(answer.heatmap) in (0, 1)


def test_beyond_its_limits_it_is_not_written(run: Run, judged: Report, work: Path) -> None:
    before = sorted(work.rglob("bundle.json"))
    with pytest.raises(ParityError, match=r"probabilities by up to .*\(limit 1e-06\).*precision=fp32") as caught:
        export(run, work=work, report=silent, precision="int8", int8=LOOSE | {"max_abs_difference": 1e-6})
    assert "\n" not in str(caught.value)
    assert sorted(work.rglob("bundle.json")) == before
