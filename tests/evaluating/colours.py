"""A lake of drawn colour photos, a classifier that knows colours, and products made by hand around them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image, ImageDraw

from fledged.config import resolve
from fledged.images import UInt8Array
from fledged.measuring.subject import Float32Array, Probabilities, Subject
from fledged.products import BackboneInfo, Bundle, Dataset, Environment, Figure, Parity, Preprocess, Run
from fledged.settings.training import TrainConfig
from fledged.workspace import Workspace, now
from fledged.writing import write

CLASSES = ("blue", "green", "red")
RGB = {"blue": (30, 40, 220), "green": (30, 190, 40), "red": (220, 40, 30)}
HOW = Preprocess(size_px=32)
BACKBONE = BackboneInfo(
    name="colour", n_features=3, n_parameters=9, weights_origin="Drawn <i>by hand</i>.", weights_sha256=""
)


def draw(path: Path, colour: str, seed: int = 0, strength: float = 1.0) -> Path:
    """A JPEG of one colour with a speck of its own; less strength is nearer to grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    red, green, blue = (round(128 + strength * (value - 128)) for value in RGB[colour])
    image = Image.new("RGB", (48, 40), (red, green, blue))
    ImageDraw.Draw(image).rectangle((seed % 40, seed // 40, seed % 40 + 4, seed // 40 + 4), fill=(128, 128, seed % 256))
    image.save(path, "JPEG", quality=95)
    return path


def knows_colours(classes: Sequence[str] = CLASSES) -> Probabilities:
    """Probabilities by the mean colour, one class a colour; a class without a colour is never answered."""

    def probabilities(batch_NHWC: UInt8Array) -> Float32Array:
        means_NC = batch_NHWC.reshape(len(batch_NHWC), -1, 3).mean(axis=1) / 255
        channel = {"red": 0, "green": 1, "blue": 2}
        logits_NC = np.stack(
            [means_NC[:, channel[c]] if c in channel else -means_NC[:, 0] - 1 for c in classes], axis=1
        )
        scores_NC = np.exp(6 * logits_NC)
        shares_NC: Float32Array = (scores_NC / scores_NC.sum(axis=1, keepdims=True)).astype(np.float32)
        return shares_NC

    return probabilities


def small_lake(lake: Path, per_class: int = 4) -> list[tuple[str, str]]:
    """(path, label) of the photos of a lake, with one green photo under red and one weak blue one."""
    photos = []
    for label in CLASSES:
        for n in range(per_class):
            path = f"{label}/deep/{label}{n}.jpg" if n == 1 else f"{label}/{label}{n}.jpg"
            draw(lake / path, label, seed=n)
            photos.append((path, label))
    draw(lake / "red" / "really green.jpg", "green", seed=50)
    draw(lake / "blue" / "pale.jpg", "blue", seed=51, strength=0.1)
    return [*photos, ("red/really green.jpg", "red"), ("blue/pale.jpg", "blue")]


def save_dataset(
    workspace: Workspace, lake: Path, photos: Sequence[tuple[str, str]], classes: Sequence[str] = CLASSES
) -> Dataset:
    """A dataset whose test split is all of `photos`; beside it one photo each in train and left out."""
    rows: list[dict[str, object]] = [
        {
            "path": path,
            "sha256": hashlib.sha256((lake / path).read_bytes()).hexdigest() if (lake / path).exists() else "0" * 64,
            "label": label,
            "class_index": list(classes).index(label),
            "group": path,
            "split": "test",
            "left_out": None,
        }
        for path, label in photos
    ]
    other: dict[str, object] = {"label": "red", "class_index": 2, "group": "g"}
    rows.append({"path": "red/trained.jpg", "sha256": "1" * 64, "split": "train", "left_out": None, **other})
    rows.append({"path": "red/twin.jpg", "sha256": "2" * 64, "split": None, "left_out": "exact duplicate", **other})
    dataset_id = "da7a5e7" + hashlib.sha256(str(rows).encode()).hexdigest()[:5]
    write(workspace.folder("dataset", dataset_id) / "members.parquet", pl.DataFrame(rows).write_parquet)
    per_class = {label: sum(of == label for _, of in photos) for label in classes}
    return workspace.save(
        Dataset(
            id=dataset_id,
            version=Dataset.format_version,
            created_at=now(),
            snapshot_id="5a95407",
            review_id="4e71e3",
            lake=str(lake),
            classes=tuple(classes),
            photos_by_split={"train": {"red": 1}, "val": {}, "test": per_class},
            n_groups=len(rows),
            n_leaks=0,
            left_out={"exact duplicate": 1},
            shorter_side_px=64,
        )
    )


def save_run(workspace: Workspace, dataset: Dataset, classes: Sequence[str] = CLASSES, name: str = "40a") -> Run:
    """A run with three epochs, the second of them the best."""
    history = pl.DataFrame(
        {
            "epoch": [1, 2, 3],
            "train_loss": [1.1, 0.4, 0.2],
            "train_accuracy": [0.5, 0.9, 1.0],
            "val_loss": [1.0, 0.5, 0.6],
            "val_accuracy": [0.6, 0.95, 0.9],
            "learning_rate": [0.1, 0.2, 0.0],
            "seconds": [0.5, 0.5, 0.5],
        }
    )
    run_id = name + dataset.id[:9]
    write(workspace.folder("run", run_id) / "history.csv", history.write_csv)
    return workspace.save(
        Run(
            id=run_id,
            version=Run.format_version,
            created_at=now(),
            dataset_id=dataset.id,
            classes=tuple(classes),
            preprocess=HOW,
            backbone=BACKBONE,
            mode="transfer",
            settings=resolve(TrainConfig, {}),
            n_epochs=3,
            best_epoch=2,
            val_accuracy=0.95,
            val_loss=0.5,
            interrupted=False,
            environment=Environment(fledged="0", python="3", torch="2", cpu="c", n_threads=1, device="cpu"),
        )
    )


def save_bundle(workspace: Workspace, run: Run, classes: Sequence[str] = CLASSES) -> Bundle:
    """A bundle without its model: the tests load one of their own."""
    bundle_id = "b" + run.id[1:]
    return workspace.save(
        Bundle(
            id=bundle_id,
            version=Bundle.format_version,
            created_at=now(),
            run_id=run.id,
            dataset_id=run.dataset_id,
            snapshot_id="5a95407",
            report_id="4e9047",
            classes=tuple(classes),
            preprocess=HOW,
            backbone=BACKBONE,
            accuracy=Figure(value=1, low=0.5, high=1, n=3),
            parity=Parity(n_photos=1, label_agreement=1, max_abs_difference=0),
            fledged="0",
        )
    )


def subject_of(run: Run, load: Callable[[], Probabilities] | None = None) -> Subject:
    """The colour classifier in the place of a run's model."""
    return Subject(
        name=f"run:{run.id}",
        classes=run.classes,
        preprocess=run.preprocess,
        run_id=run.id,
        dataset_id=run.dataset_id,
        backbone=run.backbone,
        load=load or (lambda: knows_colours(run.classes)),
        file=run.folder / "run.json",
        run=run,
    )
