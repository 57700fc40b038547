"""What a comparison of models holds. Imports no torch: the terminal's words are made of it."""

from __future__ import annotations

from fledged.products import Figure
from fledged.records import Record


class Contender(Record):
    """A row of the comparison."""

    name: str  # as its Report says: "run:…", "bundle:…", …
    backbone: str
    mode: str  # "" where the run is not here
    settings: str  # those that are not as usual, in words
    accuracy: Figure
    macro_f1: float
    megabytes: float | None  # of its weights; of all for a package; None for an address
    # None where the run that a bundle was made of is not here
    n_parameters: int | None
    n_trained: int | None
    gflops: float | None  # multiplications and additions for one photo
    train_s: float | None  # of all stages of gradual unfreezing; what was in the caches by then not counted
    ms_a_photo: float | None  # median of answers to one photo at a time, here, without decoding; None from outside


class Pair(Record):
    """Two models that were asked about the same photos."""

    first: str
    second: str
    n: int
    only_first: int  # photos that the first got right and the second wrong
    only_second: int
    p_value: float  # of no difference, McNemar's exact test


class Comparison(Record):
    """The best first."""

    source: str
    contenders: tuple[Contender, ...]
    pairs: tuple[Pair, ...]
    page: str = ""  # its path
