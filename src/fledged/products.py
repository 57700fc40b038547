"""The products, in the order in which they flow: read this first.

    lake -> Snapshot -> Review -> Dataset -> Run -> Report
                                              └--> Bundle -> Prediction
                                                       └--> Package

A product is a small frozen record, saved as JSON in a folder of its own beside the files that it names with their
sha256. Its id is made of what it was made from, so asking for the same thing again finds it. Tables are Parquet,
read as Polars frames by the methods here; arrays never are fields.

Their parts are in `contract` (what a model needs to answer as it was judged) and `measured` (figures).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, PrivateAttr, field_validator

from fledged.contract import BackboneInfo as BackboneInfo
from fledged.contract import Calibration as Calibration
from fledged.contract import Environment as Environment
from fledged.contract import Preprocess as Preprocess
from fledged.contract import Reference as Reference
from fledged.contract import Unknown as Unknown
from fledged.errors import naming
from fledged.measured import CalibrationFigures as CalibrationFigures
from fledged.measured import ClassFigures as ClassFigures
from fledged.measured import ConfidenceBin as ConfidenceBin
from fledged.measured import Figure as Figure
from fledged.measured import Leak as Leak
from fledged.measured import LearningCurve, Overall, Slice, Spent, SplitFigures, Spread
from fledged.measured import LeftOutClass as LeftOutClass
from fledged.measured import Parity as Parity
from fledged.measured import UnknownFigures as UnknownFigures
from fledged.records import Record
from fledged.settings.deploying import DeployConfig
from fledged.settings.lake import PrepareConfig
from fledged.settings.training import FindLrConfig, TrainConfig

if TYPE_CHECKING:
    import polars as pl

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
# Folder names that people give to the parts of a split lake.
SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


# It becomes part of paths and templates.
Id = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]


class Product(Record):
    """A record with an identity and files of its own."""

    kind: ClassVar[str]
    format_version: ClassVar[int]

    id: Id
    version: int  # of the format, checked when the product is opened
    created_at: datetime
    files: dict[str, str] = Field(default_factory=dict)  # name inside the product's folder -> sha256
    seconds: float = Field(default=0.0, ge=0)  # wall time spent in making it
    seal: str = ""  # the sha256 of the record's own text with this left empty; "" in records of before there were any

    _folder: Path | None = PrivateAttr(None)

    @property
    def folder(self) -> Path:
        """Where the product lies; set by the workspace when it saves or opens it."""
        if self._folder is None:
            raise ValueError(f"{self.kind} {self.id} has not been saved yet")
        return self._folder

    def at(self, folder: Path) -> None:
        """Remember where the product lies."""
        self._folder = folder


class Snapshot(Product):
    """The lake at one moment: what is there, and what each file is."""

    kind: ClassVar[str] = "snapshot"
    format_version: ClassVar[int] = 3

    lake: str  # absolute path of the folder of photos
    n_photos: int  # files that look like photos, readable or not
    n_unreadable: int
    n_skipped: int  # hidden files, notes, thumbnails databases: not photos
    labels: dict[str, int]  # readable photos per label; an empty class folder is one with 0
    n_beyond_sample: int = 0  # photos that were left for later, since a sample was asked for
    # History, in which the id has no part: what the lake held before it came to hold this.
    previous_id: str | None
    changes_by_kind: dict[str, int]  # added, removed, changed, moved to another label, renamed

    def photos(self, columns: list[str] | None = None) -> pl.DataFrame:
        """A row a photo: path, label, lake_split, sha256, size, EXIF, figures, hashes, provenance and error.

        The columns of `scanning.walk.Found`, `scanning.probe.Probe` and `provenance.Provenance`, or only those that are
        named.
        """
        return _table(self, "photos.parquet", columns)

    def skipped(self) -> pl.DataFrame:
        """A row a file that is no photo: path, reason."""
        return _table(self, "skipped.parquet")

    @property
    def sample(self) -> int:
        """How many photos were asked for; 0: all."""
        return self.n_photos if self.n_beyond_sample else 0

    def changes(self) -> pl.DataFrame:
        """A row a change since the previous snapshot: kind, path, previous_path."""
        return _table(self, "changes.parquet")

    def clusters(self) -> pl.DataFrame:
        """A row a photo: path, size_cluster, shape_cluster (from 1, the smaller photos first; null if unreadable)."""
        return _table(self, "clusters.parquet")


class Review(Product):
    """What is wrong with the lake, and what people decided about it."""

    kind: ClassVar[str] = "review"
    format_version: ClassVar[int] = 1

    snapshot_id: str
    findings_by_kind: dict[str, int]
    n_decisions: int  # that count, the advised ones included
    n_advised: int = 0  # decisions that `--apply advice` made
    ignored_decisions: dict[str, int] = Field(default_factory=dict)  # reason -> decisions that do not count
    log_sha256: str = ""  # of decisions.jsonl as it was read; "" if there was none

    def findings(self) -> pl.DataFrame:
        """A row a finding: kind, path, related_path, suggested_label, score, threshold, advice."""
        return _table(self, "findings.parquet")

    def decisions(self) -> pl.DataFrame:
        """A row a decided photo, the last decision of each: path, action (keep, drop, relabel), label, reviewer."""
        return _table(self, "decisions.parquet")


class Dataset(Product):
    """Who is in train, val and test, in which group, and who was left out and why."""

    kind: ClassVar[str] = "dataset"
    format_version: ClassVar[int] = 2

    snapshot_id: str
    review_id: str
    lake: str
    classes: tuple[str, ...]  # the order of class_index, for good
    photos_by_split: dict[Split, dict[str, int]]  # split -> class -> photos
    n_groups: int
    n_leaks: int  # groups that the lake's own train/val/test folders put on two sides
    left_out: dict[str, int]  # reason -> photos
    tied: dict[str, int] = Field(default_factory=dict)  # why photos are kept together -> photos in a split, tied so
    shorter_side_px: int  # of the shrunk copies in the shards
    settings: PrepareConfig = Field(default_factory=PrepareConfig)  # as resolved
    leak: Leak | None = None  # of `--measure-leak`

    def members(self) -> pl.DataFrame:
        """A row a photo of the snapshot.

        path, sha256, label, lake_split, group, group_reason, split, left_out (reason), class_index.
        """
        return _table(self, "members.parquet")

    def shards(self, split: Split) -> list[Path]:
        """The Parquet shards of a split: image {bytes, path}, label, sha256."""
        return [self.folder / name for name in sorted(self.files) if name.startswith(f"{split}-")]

    def n_in(self, split: Split) -> int:
        """Photos in a split."""
        return sum(self.photos_by_split[split].values())


WEIGHTS_FILE = "weights.safetensors"  # of a run
REFERENCE_FILE = "reference.json"  # of a bundle: what it answered when it was exported
REGIONS_FILE = "regions.safetensors"  # of a run: where its classes lie among the features, for the unknown score


class Run(Product):
    """A trained classifier: weights, and how they came about."""

    kind: ClassVar[str] = "run"
    format_version: ClassVar[int] = 1

    dataset_id: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    backbone: BackboneInfo
    mode: Literal["transfer", "finetune", "scratch"]
    settings: TrainConfig  # as resolved: nothing in it is "auto"
    n_epochs: int  # completed
    best_epoch: int  # 1-based; its weights are the run's, chosen by validation loss
    val_accuracy: float
    val_loss: float  # at the temperature at which it is lowest
    val_loss_error: float = 0.0  # its standard error; runs of earlier versions have none
    interrupted: bool  # stopped by the user; `--resume` goes on
    environment: Environment
    spent: Spent | None = None  # of before it was measured
    calibration: Calibration | None = None  # None for runs of before there was one: as with a temperature of 1
    unknown: Unknown | None = None  # None where no validation photo could set a threshold

    def history(self) -> pl.DataFrame:
        """A row an epoch: epoch, {train,val}_loss, {train,val}_accuracy, val_loss_error, learning_rate, seconds."""
        return _csv(self.folder / "history.csv")

    def steps(self) -> pl.DataFrame:
        """A row a step of the optimizer: step, epoch, loss (of its photos, before it), learning_rate (of the head).

        None for a run of before they were kept.
        """
        import polars as pl

        path = self.folder / "steps.csv"
        return _csv(path) if path.exists() else pl.DataFrame()


class RangeTest(Product):
    """What learning rates do to the training loss of a model before its first step, and which ones that suggests."""

    kind: ClassVar[str] = "range_test"
    format_version: ClassVar[int] = 2

    dataset_id: str
    settings: TrainConfig  # of the training that it is for, as resolved
    tried: FindLrConfig
    rates: tuple[float, ...]  # of the steps that were taken, each higher than the one before
    losses: tuple[float, ...]  # of each step's batch: plain cross entropy
    smoothed: tuple[float, ...]
    ran_away: bool  # it stopped before the highest rate
    valley: float  # in the middle of the longest fall
    steepest: float  # where the loss falls fastest
    fits_already: bool  # the loss begins at less than half of what guessing has, so that little can fall
    usual: float  # the rate that the mode and the optimizer usually take

    @property
    def suggested(self) -> float:
        """The rate to take: the valley, or the usual one where there can be none."""
        return self.usual if self.fits_already else self.valley


class Report(Product):
    """How a run or a bundle does on photos that no choice has seen."""

    kind: ClassVar[str] = "report"
    format_version: ClassVar[int] = 1

    subject: str  # "run:…" or "bundle:…"
    source: str  # "test split of dataset:…" or a folder
    classes: tuple[str, ...]
    accuracy: Figure
    balanced_accuracy: float
    macro_f1: float
    log_loss: float
    by_class: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]  # [true][predicted], photos
    n_unreadable: int
    folders_without_class: dict[str, int]  # folder of a labelled folder that the model has no class for -> photos
    n_seen: int | None = None  # photos of a labelled folder that it was trained or chosen on; None if that is unknown
    # Not in reports of before they were measured.
    overall: Overall | None = None
    other_splits: tuple[SplitFigures, ...] = ()
    slices: tuple[Slice, ...] = ()
    learning: LearningCurve | None = None
    not_measured: dict[str, str] = Field(default_factory=dict)  # what -> why not
    calibration: CalibrationFigures | None = None
    unknown: UnknownFigures | None = None

    def predictions(self) -> pl.DataFrame:
        """A row a photo: path, label, predicted, confidence, p_<class>…, error.

        Between them unknown_score and accepted, where the model has such a score.
        """
        return _table(self, "predictions.parquet")


class Bundle(Product):
    """What is served: the model and everything that is needed to answer as the evaluation did."""

    kind: ClassVar[str] = "bundle"
    format_version: ClassVar[int] = 1

    run_id: Id
    dataset_id: Id
    snapshot_id: Id
    report_id: Id
    classes: tuple[str, ...]
    preprocess: Preprocess
    backbone: BackboneInfo
    accuracy: Figure
    parity: Parity
    fledged: str  # version that wrote it
    # None in bundles of before they were there, whose graph has no such output: they accept every photo.
    calibration: Calibration | None = None  # already inside the graph
    unknown: Unknown | None = None
    spread: Spread | None = None  # of the answers, to tell drift from; None in bundles of before it was recorded
    precision: Literal["fp32", "int8"] = "fp32"
    heatmap_cells: int | None = None  # along a side of the graph's heatmap; None: it has none

    @field_validator("classes")
    @classmethod
    def _are_told_apart(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if "" in classes or len({*classes}) < len(classes):
            raise ValueError("each class has a name, and no two the same")
        return classes

    def reference(self) -> Reference | None:
        """What it answered when it was exported; None for a bundle of before that was kept."""
        return Reference.open(self.folder / REFERENCE_FILE) if REFERENCE_FILE in self.files else None


class Package(Product):
    """What AWS Lambda is given: a bundle with all that it needs to answer, and templates that say how it is run."""

    kind: ClassVar[str] = "package"
    format_version: ClassVar[int] = 1

    bundle_id: str
    settings: DeployConfig
    n_bytes: int  # of function.zip
    n_bytes_unpacked: int
    sha256: str  # of function.zip
    libraries: dict[str, str]  # name -> version
    is_compiled: bool  # its modules were compiled ahead for its version of Python
    bundle_sha256: str = ""  # of bundle.zip, which goes to a bucket; "" where the bundle is in function.zip

    @property
    def bundle_key(self) -> str:
        """What the bundle is called in its bucket: named by its content, so that none ever replaces another."""
        return f"fledged/bundles/{self.bundle_sha256}.zip"

    @property
    def bundle_url(self) -> str:
        """Where the function has its bundle from; "" where it is in function.zip."""
        return f"s3://{self.settings.model.bucket}/{self.bundle_key}" if self.bundle_sha256 else ""


class ClassScore(Record):
    """A class and the model's probability for it."""

    label: str
    score: float


class Prediction(Record):
    """The answer for one photo."""

    label: str
    confidence: float  # the top class's probability, 0..1
    top_k: tuple[ClassScore, ...]  # most probable first
    bundle_id: str
    seconds: float  # decode and inference
    accepted: bool = True  # False: it is none of the classes, and `label` is only the nearest; True without a score
    # How far it is from the nearest class; training photos are about 1 from their own. None from an older bundle.
    unknown_score: float | None = None
    # Where the model input (the photo as `Preprocess` cuts it) speaks for `label`: rows of cells, 0..1, the hottest 1.
    # Only where an explanation was asked for, and there is one; left out of JSON where there is none.
    heatmap: tuple[tuple[float, ...], ...] | None = Field(None, exclude_if=lambda rows: rows is None)

    @property
    def class_scores(self) -> dict[str, float]:
        """The top classes by name."""
        return {entry.label: entry.score for entry in self.top_k}


class Failure(Record):
    """A photo that could not be answered, and why."""

    error: str
    remedy: str


def _csv(path: Path) -> pl.DataFrame:
    import polars as pl

    with naming(path):
        return pl.read_csv(path)


def _table(product: Product, name: str, columns: list[str] | None = None) -> pl.DataFrame:
    import polars as pl

    with naming(product.folder / name):
        return pl.read_parquet(product.folder / name, columns=columns)
