"""Settings of evaluate, export and serve: unit, range, default and reason."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from fledged.records import Record
from fledged.settings.feedback import FeedbackConfig
from fledged.settings.serving import AccessConfig, BatchConfig, ByUrlConfig, DecodeConfig


class PageConfig(Record):
    """What the report shows of photos, beside the mistakes."""

    right: int = Field(
        30, ge=0, le=5000, description="Right answers at most: of each class, the least and the most confident ones."
    )
    doubts: int = Field(24, ge=0, le=5000, description="Photos at most whose label the model doubts.")
    neighbours: int = Field(
        3, ge=0, le=6, description="Training photos beside each mistake: those most alike to the network."
    )
    heatmaps: int = Field(9, ge=0, le=1000, description="Photos at most with heatmaps of where the network looked.")
    heatmap_blocks: tuple[int, ...] = Field(
        (), description="Blocks that heatmaps are taken at; none takes the last one of each resolution."
    )


class EvaluateConfig(Record):
    """How a model is judged."""

    gallery: int = Field(
        60,
        ge=0,
        le=5000,
        description="Misclassified photos on the page at most: of each kind, the most confident ones.",
    )
    batch_size: int = Field(
        4, ge=1, le=512, description="Photos that go through the model together; more than the caches hold is slower."
    )
    workers: int = Field(
        0, ge=0, description="Threads that decode photos, and as many that answer; 0 takes one a core."
    )
    learning_curve: bool = Field(
        True, description="Fit heads on parts of the cached training features, to tell what more photos would bring."
    )
    track: tuple[Literal["tensorboard"], ...] = Field(
        (), description="Where figures and pictures go as well: tensorboard. No part of what a report is."
    )
    page: PageConfig = Field(default_factory=PageConfig, description="What the page shows of photos.")
    sign: bool = Field(False, description="Sign requests for IAM where an address is judged. No part of a report.")

    @field_validator("track", mode="before")
    @classmethod
    def _one_by_name(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given


class ExplainConfig(Record):
    """What is told of a photo's answer."""

    blocks: tuple[int, ...] = Field(
        (), description="Blocks that heatmaps are taken at; none takes the last one of each resolution."
    )
    top_k: int = Field(5, ge=1, le=1000, description="Classes to name for each photo.")


class GridConfig(Record):
    """What is shown of the answers to unlabelled photos."""

    picture: int = Field(36, ge=1, le=400, description="Photos in the picture at most, evenly from all of them.")
    gallery: int = Field(500, ge=0, le=5000, description="Photos on the page at most, the least confident first.")


class Int8Config(Record):
    """How the backbone is quantised, and how far its answers may then be from the run's."""

    photos: int = Field(128, ge=8, le=2000, description="Training photos that show the range of each activation.")
    range: Literal["minmax", "percentile", "entropy"] = Field(
        "minmax", description="How the range follows from what was seen; the others cut off rare values."
    )
    per_channel: bool = Field(True, description="A scale for each channel of a weight instead of one for all.")
    float_share: float = Field(
        0.05, ge=0, le=1, description="Of the convolutions, from the first: sensitive and small, they stay in float32."
    )
    depthwise: bool = Field(True, description="Quantise depthwise convolutions too: slower without VNNI.")
    weights: Literal["u8", "s8"] = Field(
        "s8",
        description="s8 is what VNNI multiplies at once; u8 is also right in other programs than fledged without VNNI.",
    )
    max_abs_difference: float = Field(
        0.5, gt=0, le=1, description="Of any probability between run and export; more than this fails the export."
    )
    min_label_agreement: float = Field(
        0.97, ge=0, le=1, description="Share of test photos with the run's label; less fails the export."
    )
    max_accuracy_loss: float = Field(
        0.005, ge=0, le=1, description="On the same test photos; more fails the export. A single photo is allowed."
    )


class ExportConfig(Record):
    """What is exported, and when it is good enough."""

    precision: Literal["fp32", "int8"] = Field(
        "fp32", description="int8: a quarter of the size, and faster where the processor has VNNI or the like."
    )
    max_abs_difference: float = Field(
        1e-3, gt=0, le=1, description="Of any probability between run and export; more than this fails the export."
    )
    parity_photos: int = Field(1000, ge=1, description="Test photos to compare at most.")
    int8: Int8Config = Field(default_factory=Int8Config, description="With export.precision=int8.")


class ServeConfig(Record):
    """How the server listens."""

    host: str = Field("127.0.0.1", description="Loopback by default: nobody else can reach it.")
    port: int = Field(8000, ge=0, le=65535, description="0 takes a free port.")
    max_megabytes: float = Field(20, gt=0, le=1000, description="Larger requests are answered 413.")
    top_k: int = Field(5, ge=1, le=1000, description="Classes in an answer at most.")
    threads: int = Field(0, ge=0, description="Threads of one inference; 0 takes one a core.")
    max_waiting: int = Field(
        64, ge=0, le=100_000, description="Requests in line for a core; more are answered 429, with Retry-After."
    )
    deadline_s: float = Field(30, gt=0, le=3600, description="A request that takes longer is answered 504.")
    feedback: FeedbackConfig = Field(default_factory=FeedbackConfig, description="What people say of the answers.")
    receive_timeout_s: float = Field(
        60, gt=0, le=3600, description="A request that has not arrived whole by then is answered 408."
    )
    watch: bool = Field(False, description="Take up a newer bundle by itself, without a dropped request.")
    log: bool = Field(True, description="A line of JSON for each request, to standard error.")
    access: AccessConfig = Field(default_factory=AccessConfig, description="Who may ask.")
    decode: DecodeConfig = Field(default_factory=DecodeConfig, description="How photos are decoded.")
    batch: BatchConfig = Field(default_factory=BatchConfig, description="Photos that are answered together.")
    by_url: ByUrlConfig = Field(default_factory=ByUrlConfig, description="Photos that the server fetches.")
