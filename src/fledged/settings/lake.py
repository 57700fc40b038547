"""Settings of collect, scan, review and prepare: unit, range, default and reason."""

from __future__ import annotations

import re

from pydantic import Field, ValidationInfo, field_validator

from fledged.records import Record


class CollectConfig(Record):
    """How photos are gathered, and what a server or an archive may cost at most."""

    concurrency: int = Field(16, ge=1, le=256, description="Downloads at the same time.")
    per_host: int = Field(4, ge=1, le=64, description="Downloads from one server at the same time.")
    max_megabytes: float = Field(50, gt=0, le=100, description="Larger photos are refused.")
    timeout_s: float = Field(30, gt=0, le=3600, description="For one photo, with its redirects.")
    retries: int = Field(3, ge=0, le=20, description="After errors that pass, such as a server that is busy.")
    max_redirects: int = Field(5, ge=0, le=20, description="For one photo; each address on the way is checked.")
    allow_private: bool = Field(False, description="Also ask servers in the local network and on this machine.")
    respect_robots: bool = Field(True, description="Leave alone what a server's robots.txt asks to.")
    keep_splits: bool = Field(True, description="Keep the train, val and test folders that a source has.")
    max_unpacked_gigabytes: float = Field(100, gt=0, description="An archive that holds more is stopped there.")


class ScanConfig(Record):
    """How the lake is read."""

    max_megapixels: float = Field(89, gt=0, le=89, description="Larger photos are rows with a reason, not decoded.")
    max_megabytes: float = Field(100, gt=0, le=2000, description="Larger files are rows with a reason, not read.")
    size_clusters: int = Field(0, ge=0, le=30, description="Groups of photos by file size; 0 lets the elbow decide.")
    shape_clusters: int = Field(
        0, ge=0, le=30, description="Groups of photos by height and width; 0 lets the elbow decide."
    )
    sample: int = Field(
        0,
        ge=0,
        description="Look at this many photos alone, evenly of each class; 0: at all. The same ones each time, and a "
        "larger sample holds a smaller one.",
    )
    workers: int = Field(0, ge=0, description="Processes that decode photos; 0 takes one a core.")


class ReviewConfig(Record):
    """What counts as wrong with a photo."""

    near_duplicate: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Photos whose edges agree at least this much, laid over each other, are duplicates.",
    )
    mislabel: float = Field(
        0.5, gt=0, le=1, description="Labels that are wrong with a score above this are findings; 0.5 is undecided."
    )
    outlier: float = Field(
        5.0, gt=0, description="Photos farther from their class than this many standard deviations are findings."
    )
    tiny_px: int = Field(64, ge=1, description="A shorter side below this is a finding.")
    huge_megapixels: float = Field(50.0, gt=0, description="More than this is a finding.")
    odd_aspect: float = Field(4.0, gt=1, description="A longer side of more than this many shorter ones is a finding.")
    brightness: tuple[float, float] = Field(
        (0.06, 0.97),
        description="Mean brightness (0..1) below the first (dark) or above the second (bright) is a finding.",
    )
    blurry: float = Field(
        0.17, ge=0, description="Edges weaker than this share of the contrast, at 128 pixels, are a finding."
    )
    low_information: float = Field(
        1.2, ge=0, le=8, description="Brightness that takes fewer bits than this to say is a finding: blanks and icons."
    )
    drop_clusters: tuple[str, ...] = Field(
        (), description="Clusters of the overview page, such as size:4 or shape:1, whose photos are advised to drop."
    )

    @field_validator("drop_clusters")
    @classmethod
    def _kind_and_number(cls, clusters: tuple[str, ...]) -> tuple[str, ...]:
        for cluster in clusters:
            if not re.fullmatch(r"(size|shape):[1-9]\d?", cluster):
                raise ValueError(f"{cluster!r} is no cluster; write size:4 or shape:1")
        return clusters


class PrepareConfig(Record):
    """How the photos are split and shrunk."""

    split: tuple[float, float, float] = Field((0.70, 0.15, 0.15), description="Shares of train, val and test.")
    seed: int = Field(42, ge=0, description="Decides which group goes where; the same seed gives the same split.")
    fold: str = Field(
        "",
        description="I/K, such as 1/5: test is the I-th of K folds, val the next one, train the rest; for I = 1 to K.",
    )
    group_by: str = Field(
        "auto",
        description="A regular expression on the file name; photos with the same match stay together. auto knows "
        "Roboflow's variants (x_jpg.rf.HASH.jpg) and frames named after a video file (x_mp4-12.jpg); empty: none.",
    )
    burst_s: float = Field(
        3.0, ge=0, le=60, description="Shots of one camera at most this far apart stay together; 0: they need not."
    )
    keep_splits: bool = Field(
        False, description="Respect the lake's own train, val (or valid) and test folders, and report leaks."
    )
    drop_classes: tuple[str, ...] = Field((), description="Classes to leave out.")
    shorter_side_px: int = Field(256, ge=64, le=1024, description="Of the shrunk copies that training reads.")
    jpeg_quality: int = Field(92, ge=50, le=100, description="Of the shrunk copies.")
    workers: int = Field(0, ge=0, description="Processes that decode photos; 0 takes one a core.")

    @field_validator("split")
    @classmethod
    def _shares_of_one(cls, split: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(split) < 0 or abs(sum(split) - 1) > 1e-6 or split[0] == 0 or split[1] == 0 or split[2] == 0:
            raise ValueError("needs three shares above 0 that add up to 1, such as 0.7,0.15,0.15")
        return split

    @field_validator("fold")
    @classmethod
    def _one_of_three_or_more(cls, fold: str) -> str:
        number, slash, n_folds = fold.partition("/")
        if fold and not (
            slash
            and number.isdecimal()
            and n_folds.isdecimal()
            and 3 <= int(n_folds) <= 100
            and 1 <= int(number) <= int(n_folds)
        ):
            raise ValueError("needs I/K with 3 to 100 folds, such as 1/5")
        return fold

    @field_validator("keep_splits")
    @classmethod
    def _instead_of_folds(cls, keep_splits: bool, info: ValidationInfo) -> bool:
        if keep_splits and info.data.get("fold"):
            raise ValueError("the lake's own splits and folds exclude each other")
        return keep_splits
