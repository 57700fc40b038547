"""What the squares that are taken out of a photo should be filled with, so that a map is judged and not the filling.

    python -m benchmarks fillings
    python -m benchmarks.fillings --work DIR [--only LAKE/BACKBONE]    (keeps and reuses what was measured)

Chosen on validation photos, out of which squares are taken at random: the best filling harms the answer least, and
tells nothing of what was taken out. Heatmaps are then judged with it on test photos, which took no part in the choice.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from benchmarks.holes import FILLINGS
from fledged import images
from fledged.embedding.graphs import embedding_of
from fledged.images import UInt8Array
from fledged.networks import deletion
from fledged.networks.deletion import Float32Array
from fledged.networks.gradcam import chosen, heat, observe
from fledged.networks.inference import load_classifier
from fledged.networks.model import Classifier
from fledged.onnx_sessions import options
from fledged.preparing.prepare import prepare
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.settings.lake import PrepareConfig
from fledged.training.train import train
from fledged.workspace import Workspace

Array = npt.NDArray[np.float64]

SUBJECTS = [(lake, of) for lake in ("ants_vs_bees", "birds_vs_drones") for of in ("mobilenet_v2", "efficientnet_lite0")]
_TRAIN, _VAL, _TEST = 120, 80, 100  # photos, as many of each class: a filling may speak for one
_STEPS = slice(None, None, 2)  # a fifth of the squares each
_JUDGED = ["the photo's mean colour", "the photo, blurred (10 px)", "linear"]  # by heatmaps as well
_HALFWAY = 2  # the step by which 40% are gone


def main(arguments: Sequence[str] = ()) -> None:
    """Measure each network on each lake, and write both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path)
    parser.add_argument("--only", choices=["/".join(subject) for subject in SUBJECTS])
    asked = parser.parse_args(arguments)
    if not DATA.is_dir() or not WEIGHTS.is_file():
        print(f"skipped: no photos in {DATA} or no weights at {WEIGHTS}")
        return
    with tempfile.TemporaryDirectory() as folder:
        work = asked.work or Path(folder)
        found = [measured(*subject, work) for subject in SUBJECTS if asked.only in (None, "/".join(subject))]
    if asked.only is None:
        _write_choice([at_random for at_random, _ in found])
        _write_maps([maps for _, maps in found])


@dataclass(frozen=True, slots=True)
class Network:
    """A run's network as it is served, with its features."""

    session: onnxruntime.InferenceSession
    model: Classifier
    temperature: float

    def features(self, photos: Sequence[UInt8Array]) -> Float32Array:
        """(N, F)."""
        return np.concatenate([self.session.run(None, {"photos": photo[None]})[0] for photo in photos])

    def says(self, features_NF: Float32Array) -> Float32Array:
        """Probabilities (N, C)."""
        with torch.inference_mode():
            answers_NC: Float32Array = (
                (self.model.head(torch.from_numpy(features_NF)) / self.temperature).softmax(1).numpy()
            )
        return answers_NC


def measured(lake: str, backbone: str, work: Path) -> tuple[dict[str, Array], dict[str, Array]]:
    """Of squares at random and of squares by heat."""
    parts = []
    for name, measure in (("random", _at_random), ("maps", _by_heat)):
        file = work / f"{lake}-{backbone}-{name}.npz"
        if not file.exists():
            run, dataset = _trained(lake, backbone, work / lake)
            np.savez(file, **measure(run, dataset, Workspace(work / lake)))  # type: ignore[arg-type]
        parts.append(dict(np.load(file)))
    return parts[0], parts[1]


def _trained(lake: str, backbone: str, work: Path) -> tuple[Run, Dataset]:
    snapshot = scan(DATA / lake, work=work, report=silent)
    # Of the 398 photos of ants and bees, the usual shares would leave 60 to be judged on.
    split = (0.5, 0.25, 0.25) if lake == "ants_vs_bees" else PrepareConfig().split
    dataset = prepare(snapshot, review(snapshot, work=work, report=silent), work=work, report=silent, split=split)
    weights = str(WEIGHTS) if backbone == "mobilenet_v2" else ""
    return train(dataset, work=work, report=silent, backbone=backbone, weights=weights), dataset


def _network(run: Run, workspace: Workspace) -> Network:
    model = load_classifier(run)
    graph = embedding_of(run.backbone.name, model.embed.backbone, run.preprocess, workspace).onnx
    session = onnxruntime.InferenceSession(graph, options(1), providers=["CPUExecutionProvider"])
    return Network(session, model, run.calibration.temperature if run.calibration else 1.0)


def _photos(run: Run, dataset: Dataset, split: str, n: int) -> tuple[list[UInt8Array], npt.NDArray[np.int64]]:
    """Some of a split, as the network sees them, and their class indices."""
    members = dataset.members().drop_nulls("split").sort("path")
    paths, labels = [], []
    for index, label in enumerate(run.classes):
        of_class = members.filter(members["split"] == split, members["label"] == label)["path"]
        some = of_class.sample(min(n // len(run.classes), len(of_class)), seed=0).to_list()
        paths += some
        labels += [index] * len(some)
    squares = [images.model_input((Path(dataset.lake) / path).read_bytes(), run.preprocess) for path in paths]
    return squares, np.array(labels)


def _at_random(run: Run, dataset: Dataset, workspace: Workspace) -> dict[str, Array]:
    """Areas (N photos, fillings), and shares of right answers of the run's head and of heads fitted anew."""
    network = _network(run, workspace)
    features: dict[str, list[list[Float32Array]]] = {split: [[] for _ in FILLINGS] for split in ("train", "val")}
    labels, areas = {}, []
    for split, n in (("train", _TRAIN), ("val", _VAL)):
        photos, labels[split] = _photos(run, dataset, split, n)
        for number, photo in enumerate(photos):
            gone = deletion.taken_out(deletion.at_random(number + 10_000 * (split == "val")))[_STEPS]
            steps = gone if split == "val" else gone[[_HALFWAY, -1]]
            found = [network.features(list(fill(photo, steps))) for fill in FILLINGS.values()]
            for kept, one in zip(features[split], found, strict=True):
                kept.append(one if split == "train" else one[[_HALFWAY, -1]])
            if split == "val":
                answers = [network.says(one) for one in found]
                areas.append([deletion.area(one[:-1, int(one[0].argmax())]) for one in answers])
    own, anew, of_nothing = [], [], []
    for train_NEF, val_NEF in zip(map(np.stack, features["train"]), map(np.stack, features["val"]), strict=True):
        fitted = [make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000)) for _ in range(2)]
        right = [
            fitted[end].fit(train_NEF[:, end], labels["train"]).score(val_NEF[:, end], labels["val"]) for end in (0, 1)
        ]
        own.append((network.says(val_NEF[:, 0]).argmax(1) == labels["val"]).mean())
        anew.append(right[0])
        of_nothing.append(right[1])
    return {"areas": np.array(areas), "own": np.array(own), "anew": np.array(anew), "nothing": np.array(of_nothing)}


def _by_heat(run: Run, dataset: Dataset, workspace: Workspace) -> dict[str, Array]:
    """Areas (N photos, fillings, orders): by heat, by heat moved elsewhere, at random; and what is left at last."""
    network = _network(run, workspace)
    observed = observe(network.model, run.backbone.name)
    depths = chosen(observed.depths, ())
    fills = [FILLINGS[name] for name in _JUDGED]
    areas, left = [], []
    for number, photo in enumerate(_photos(run, dataset, "test", _TEST)[0]):
        index = int(network.says(network.features([photo])).argmax())
        maps_DSS = heat(observed.network, depths, photo, [index]).maps_KDSS[0]
        moved_DSS = [deletion.elsewhere(map_SS, number) for map_SS in maps_DSS]
        orders = [*map(deletion.hottest_first, (*maps_DSS, *moved_DSS)), deletion.at_random(number)]
        gone = [deletion.taken_out(order)[_STEPS] for order in orders]
        curves = [[network.says(network.features(list(fill(photo, one))))[:, index] for one in gone] for fill in fills]
        areas.append([[deletion.area(one) for one in of_filling] for of_filling in curves])
        left.append(curves[0][0][-1])
    return {"areas": np.array(areas), "left": np.array(left)}


def _write_choice(found: Sequence[dict[str, Array]]) -> None:
    areas = np.concatenate([one["areas"] for one in found])
    means = {kind: np.mean([one[kind] for one in found], axis=0) for kind in ("own", "anew", "nothing")}
    rows = [
        [
            name,
            f"{areas[:, place].mean():.3f}",
            results.difference(areas[:, place] - areas[:, 0]) if place else "",
            *(f"{means[kind][place]:.3f}" for kind in ("own", "anew", "nothing")),
        ]
        for place, name in enumerate(FILLINGS)
    ]
    results.write(
        "Fillings: squares taken out at random",
        "python -m benchmarks fillings",
        [
            "filled with",
            "area",
            "more than with the mean colour",
            "right, 40% gone",
            "the same, fitted anew",
            "all gone, fitted anew",
        ],
        rows,
        "The less a filling harms and the less it tells of what is gone, the better it is. Area: under the\n"
        "probability of the answer as 0, 20, 40, 60 and 80% of 14 x 14 squares are taken out in random order; 95%\n"
        f"intervals by 2,000 bootstrap samples of photos. {len(areas)} validation photos, {_VAL} for each of two\n"
        "networks (mobilenet_v2 with the test weights, efficientnet_lite0) on each of ants_vs_bees and\n"
        "birds_vs_drones, as many of each class. Right: share of right answers by the run's head, and by one fitted\n"
        f"on the features of {_TRAIN} training photos with such holes. What that makes of photos of which all is gone\n"
        "is what the filling itself tells.",
    )


def _write_maps(found: Sequence[dict[str, Array]]) -> None:
    rows = []
    for subject, one in zip(SUBJECTS, found, strict=True):
        can_fall = one["areas"][one["left"] < 0.5]
        n_depths = can_fall.shape[2] // 2
        for place, name in enumerate(_JUDGED):
            by_heat, moved = can_fall[:, place, :n_depths], can_fall[:, place, n_depths:-1]
            less = {"moved": moved - by_heat, "random": can_fall[:, place, -1:] - by_heat}
            rows.append(
                [
                    ", ".join(subject),
                    len(can_fall),
                    name,
                    *(results.difference(of[:, -1]) for of in less.values()),
                    *(results.difference(of.mean(1)) for of in less.values()),
                    " and ".join(str(sum(results.interval(one)[0] > 0 for one in of.T)) for of in less.values()),
                ]
            )
    results.write(
        "Fillings: squares taken out by heat",
        "python -m benchmarks fillings",
        [
            "lake, network",
            "n",
            "filled with",
            "last depth: less than moved",
            "less than at random",
            "all depths: less than moved",
            "less than at random",
            "depths of four whose intervals are above 0, moved and random",
        ],
        rows,
        "As in the table of deletion curves, with steps of 20%, 95% intervals by 2,000 bootstrap samples of photos.\n"
        f"Of {_TEST} test photos, the n whose answer is another than that to a photo of one colour.",
    )


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
