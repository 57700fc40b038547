"""What is taken for what, and what of that was measured would help against it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fledged.measuring.figures import Figures
from fledged.pages import words

_SIZES = {"small", "large", "big", "little", "tiny", "huge", "mini", "micro", "medium", "giant"}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_FEW_PHOTOS = 100  # of training, for a class
_TIMES_MORE = 3  # photos of one class than of the other
_SHARE = 1 / 3  # of the pair's mistakes that a cause must concern to be worth a word


@dataclass(frozen=True, slots=True)
class Pair:
    """Photos of class `true` that were predicted as class `predicted` (indices), and their share of class `true`."""

    true: int
    predicted: int
    n: int
    share: float


@dataclass(frozen=True, slots=True)
class PairFacts:
    """What was measured about the mistakes of one pair; None where it was not."""

    true: str
    predicted: str
    n: int
    n_doubtful: int = 0  # the model is so sure that the label may be wrong, and no training photo next to it says no
    n_copies: int | None = None  # the review has found them near-duplicates of photos labelled as was answered
    n_looked_up: int = 0  # those whose nearest training photo is known
    n_nearest_answered: int = 0  # of these, the nearest training photo carries the answered label
    n_nearest_true: int = 0  # or the true one
    n_trained_true: int | None = None  # training photos of the class that it is
    n_trained_predicted: int | None = None


def confused_pairs(figures: Figures) -> list[Pair]:
    """What was taken for what, the most frequent confusion first."""
    pairs = [
        Pair(true, predicted, n, n / sum(row))
        for true, row in enumerate(figures.confusion)
        for predicted, n in enumerate(row)
        if n and true != predicted
    ]
    return sorted(pairs, key=lambda pair: (-pair.n, -pair.share))


def what_would_help(facts: PairFacts) -> list[str]:
    """Sentences for people, each from a measured fact; none where nothing that was measured explains the mistakes."""
    return [sentence for rule in _RULES if (sentence := rule(facts))]


def differ_by_size(first: str, second: str) -> bool:
    """Whether two names of classes differ in words for size alone, such as `small_drone` and `LargeDrone`."""
    parts = [{word.lower() for word in _WORD.findall(name)} for name in (first, second)]
    return first != second and parts[0] - _SIZES == parts[1] - _SIZES and bool((parts[0] ^ parts[1]) & _SIZES)


def _size(facts: PairFacts) -> str:
    if not differ_by_size(facts.true, facts.predicted):
        return ""
    return (
        "By their names the two classes differ in size alone. Scale is not visible in a crop: a small one nearby looks "
        "like a large one far away. Make them one class, or give the model what shows scale."
    )


def _copies(facts: PairFacts) -> str:
    if not facts.n_copies or facts.n_copies < _SHARE * facts.n:
        return ""
    return (
        f"The review found {_of(facts.n_copies, facts.n)} to be near-duplicates of photos that are labelled "
        f"{words.visible(facts.predicted)}: the same picture has two labels. Decide which is right: fledged review."
    )


def _labels(facts: PairFacts) -> str:
    if facts.n_doubtful < 2 or facts.n_doubtful < _SHARE * facts.n:
        return ""
    return (
        f"For {_of(facts.n_doubtful, facts.n)} the model is so sure of its answer that the label may be wrong. "
        "Look at them first: fledged review."
    )


def _few(facts: PairFacts) -> str:
    n_true, n_predicted = facts.n_trained_true, facts.n_trained_predicted
    if n_true is None or n_predicted is None:
        return ""
    name, other = words.visible(facts.true), words.visible(facts.predicted)
    if n_true * _TIMES_MORE <= n_predicted:
        return (
            f"The model has learned from {words.photos(n_true)} of {name} and from {n_predicted:,} of {other}. More "
            f"photos of {name} would help, or --set train.balance=weights, which lets every class count alike."
        )
    if n_true < _FEW_PHOTOS:
        return f"The model has learned {name} from {words.photos(n_true)} alone: more would help."
    return ""


def _neighbours(facts: PairFacts) -> str:
    most, n = max(2.0, 2 / 3 * facts.n_looked_up), facts.n_looked_up
    if facts.n_nearest_answered >= most:
        return (
            f"For {_of(facts.n_nearest_answered, n)} the training photo that is most alike to the network is labelled "
            f"{words.visible(facts.predicted)}: what it sees does not tell the two apart there. Train more of the "
            "backbone (fledged train --unfreeze 3), or gather such photos with the right label."
        )
    if facts.n_nearest_true >= most:
        return (
            f"For {_of(facts.n_nearest_true, n)} the training photo that is most alike to the network is rightly "
            f"labelled {words.visible(facts.true)}: what it sees tells the two apart there, and the head makes too "
            "little of it. Give the head a hidden layer (--set train.head.hidden=256), or train more of the backbone."
        )
    return ""


def _of(part: int, whole: int) -> str:
    if whole == 1:
        return "the one mistake"
    return f"all {whole:,}" if part == whole else f"{part:,} of the {whole:,}"


_RULES = (_size, _copies, _labels, _few, _neighbours)
