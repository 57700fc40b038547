"""What is measured, each figure with its interval: parts of a Dataset, a Report, a Bundle and of `metrics.json`."""

from __future__ import annotations

from pydantic import Field

from fledged.records import Record


class Figure(Record):
    """A measured share, or loss, with its 95% interval and the number of cases behind it."""

    value: float
    low: float
    high: float
    n: int


class ClassFigures(Record):
    """How one class did; None in reports of before a figure was measured, or where there is nothing to measure."""

    label: str
    precision: float
    recall: Figure
    f1: float
    support: int
    precision_interval: Figure | None = None  # n: photos that were predicted as the class
    f1_interval: Figure | None = None
    auc: Figure | None = None  # area under the ROC curve, this class against all others
    average_precision: Figure | None = None


class TopK(Record):
    """How often the true class is among the `k` most probable ones."""

    k: int
    accuracy: Figure


class Overall(Record):
    """Figures over all classes. Intervals are made by drawing groups of alike photos anew, not single photos."""

    n_groups: int  # as many as photos where no two are alike
    n_resamples: int
    balanced_accuracy: Figure
    macro_f1: Figure
    weighted_f1: Figure
    log_loss: Figure  # nats
    brier: Figure  # summed over classes: 0 is perfect, 2 the worst
    brier_guess: float  # of always answering with the shares of the classes among these photos
    top_k: tuple[TopK, ...]
    macro_auc: Figure | None
    macro_average_precision: Figure | None


class SplitFigures(Record):
    """The same model on another split, for comparison only: it was trained or chosen on these photos."""

    split: str
    accuracy: Figure
    macro_f1: float | None
    log_loss: float | None
    how: str  # it was measured


class Slice(Record):
    """Photos that have something in common, and how the model does on them."""

    trait: str  # "brightness"
    value: str  # "up to 0.31"
    accuracy: Figure
    rest: Figure  # accuracy on all other photos that have the trait
    p_value: float  # of so low an accuracy here if it were that of the rest; corrected for the number of slices
    is_worse: bool


class LearningPoint(Record):
    """Accuracy with some of the training photos."""

    share: float  # of the groups
    n_photos: int  # on average
    accuracy: Figure


class LearningCurve(Record):
    """Accuracy on left-out folds of train and val against the number of training photos, and a law fitted to it."""

    points: tuple[LearningPoint, ...]
    n_folds: int
    n_seeds: int
    floor: float  # error = floor + scale * photos ** -exponent
    scale: float
    exponent: float
    fitted: tuple[tuple[int, float], ...]  # photos and accuracy by the law, up to twice as many
    gain: Figure  # accuracy that twice the photos would add


class Curves(Record):
    """One class against all others: the points of its curves, thinned to what a picture can show."""

    label: str
    roc: tuple[tuple[float, float], ...]  # false and true positive rate, from 0,0 to 1,1
    precision_recall: tuple[tuple[float, float], ...]  # recall and precision, from the surest answer on


class Spent(Record):
    """What a computation took."""

    seconds: float = Field(ge=0)
    cpu_seconds: float | None = None  # of all cores
    joules: float | None = None  # of the whole processor package; None where it cannot be measured


class Leak(Record):
    """What a random split would have claimed, and what holds when groups are kept together."""

    random: Figure  # accuracy with groups torn apart
    grouped: Figure  # accuracy with groups kept whole
    difference: Figure  # random less grouped, on the same photos
    backbone: str
    weights_sha256: str
    n_groups: int
    n_folds: int
    n_seeds: int


class ConfidenceBin(Record):
    """Photos of like confidence."""

    n: int
    confidence: float  # mean
    right: Figure


class CalibrationFigures(Record):
    """Whether a confidence is the share of right answers, before and after the temperature."""

    temperature: float
    n_validation: int
    ece_before: float  # expected calibration error, 0..1
    ece_after: float
    ece_by_chance: float  # what the answers' own confidences would show, were each exactly true
    before: tuple[ConfidenceBin, ...]  # bins of equally many photos, the least sure first
    after: tuple[ConfidenceBin, ...]


class LeftOutClass(Record):
    """A class that the model was not told of: how well its photos are told from those of the others."""

    label: str
    auroc: float
    fpr95: float  # share of its photos that are accepted where 95% of the others are
    n_known: int
    n_unknown: int


class UnknownFigures(Record):
    """What becomes of photos that are refused as none of the classes."""

    threshold: float
    share_kept: float  # asked for
    n_validation: int
    accepted: Figure  # share of the answered photos, all of which do belong to a class
    refused: Figure
    right_accepted: Figure  # share of right answers among them
    right_refused: Figure
    left_out: tuple[LeftOutClass, ...]
    mean_auroc: float | None
    mean_fpr95: float | None
    why_none: str  # why no class was left out; "" where it was done


class Speed(Record):
    """How long an answer takes, without decoding: medians, on the machine that exported."""

    ms_1: float  # of one photo
    ms_32: float  # of 32 together
    machine: str


class Parity(Record):
    """How far the exported model was from the run, on real photos through files."""

    n_photos: int
    label_agreement: float
    max_abs_difference: float  # of any class probability
    max_abs_score_difference: float | None = None  # of the unknown score; None for a model without
    # None in bundles of before they were measured.
    accuracy: Figure | None = None  # of the export, on these photos
    accuracy_difference: Figure | None = None  # export less run, on the same photos
    n_bytes: int | None = None  # of the model's files
    speed: Speed | None = None


class Histogram(Record):
    """Counts of a figure in bins; a value that is an edge is in the bin above it."""

    edges: tuple[float, ...]  # between the bins, ascending
    counts: tuple[int, ...]  # one more than edges


class Spread(Record):
    """How the answers to the photos that a bundle was judged on are spread, to tell later ones from."""

    n_photos: int
    confidence: Histogram  # of the top class
    unknown_score: Histogram | None = None  # None for a model without
