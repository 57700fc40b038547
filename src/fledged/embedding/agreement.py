"""Whether another engine may compute the frozen part: only where its numbers are those that are served.

Both engines are asked for the same few photos, in turns. What was found is remembered for the graph, the processor and
the versions, so that asking again is the same answer, and measures nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fledged.augmenting import views
from fledged.embedding import engines
from fledged.embedding.engines import SERVES, Ask, Float32Array, Name
from fledged.embedding.features import Embedding
from fledged.errors import ConfigError, MissingExtra, WorkspaceError
from fledged.metering import cpu_name
from fledged.products import Preprocess
from fledged.records import Record
from fledged.sealed import bytes_if_intact, write_with_sha256
from fledged.workspace import Workspace

_LOG = logging.getLogger("fledged")

# Of the norm of what leaves the graph for a photo. Activations are kept in half precision, which rounds by up to five
# times as much: what is closer, a head cannot tell from what is served. float32 is off by 1e-6, bfloat16 by 5e-2.
LIMIT = 1e-4
N_PHOTOS = 16
_ROUNDS = 2
_WORTH = 1.05  # times as fast; less is noise, and opening the graph takes longer

Inputs = Sequence[npt.NDArray[Any]]  # (1, *shape) each


class Agreement(Record):
    """Of another engine with the one that serves, on the photo where it is worst, and how fast it was."""

    norm: float  # of the difference, as a share of the norm of what is served
    largest: float  # difference of a number, as a share of the largest number
    cosine: float
    times_as_fast: float  # by CPU time

    @property
    def is_close(self) -> bool:
        """Whether a head that is trained on the one answers as well on the other; what is no number never is."""
        return self.norm <= LIMIT

    @property
    def words(self) -> str:
        """How far apart they are."""
        return f"off by {self.norm:.1e} in norm (largest difference {self.largest:.1e}, cosine {self.cosine:.6f})"


def settled(
    embedding: Embedding, asked: Name | Literal["auto"], inputs: Callable[[], Inputs], workspace: Workspace
) -> Embedding:
    """The same, run by the engine that is asked for; auto takes the faster one of those that are here and agree.

    `inputs` are of a few photos, for a graph of which nothing is known yet. Where an engine was asked for by name, it
    raises MissingExtra if that is not installed, and ConfigError if its numbers are others.
    """
    other: Name = "openvino"
    if asked == SERVES:
        return embedding
    if not engines.is_installed(other):
        if asked != "auto":
            raise MissingExtra("openvino", "openvino")
        _LOG.info("ONNX Runtime computes the frozen part: OpenVINO is not here; pip install 'fledged[openvino]'")
        return embedding
    found = _known(embedding, other, inputs, workspace)
    if found is None:
        return embedding
    if asked != "auto":
        if not found.is_close:
            raise ConfigError(
                f"OpenVINO's numbers are {found.words} from those that are served; the limit is {LIMIT:.0e}",
                where="train.cache.engine",
                remedy=f"Take --set train.cache.engine={SERVES}",
            )
        return replace(embedding, engine=other)
    speed = f"{found.times_as_fast:.2f} times as fast here"
    if not found.is_close:
        _LOG.info("ONNX Runtime computes the frozen part: OpenVINO's numbers are %s, over %.0e", found.words, LIMIT)
    elif found.times_as_fast < _WORTH:
        _LOG.info("ONNX Runtime computes the frozen part: OpenVINO is only %s", speed)
    else:
        _LOG.info("OpenVINO computes the frozen part: %s, %s", speed, found.words)
        return replace(embedding, engine=other)
    return embedding


def as_inputs(photos: Sequence[tuple[bytes, str]], how: Preprocess) -> Inputs:
    """The first photos (jpeg and sha256) as a graph is given them."""
    return [views.view(jpeg, how, 0, ())[None] for jpeg, _ in photos[:N_PHOTOS]]


def measured(reference: Ask, other: Ask, inputs: Inputs) -> Agreement:
    """Of the engines on these inputs, which they are asked for in turns."""
    made: dict[Ask, list[Float32Array]] = {}
    rounds_s: list[tuple[float, float]] = []
    for ask in (reference, other):
        ask(inputs[0])  # the first one sets up
    for _ in range(_ROUNDS):
        seconds = {reference: 0.0, other: 0.0}
        made = {reference: [], other: []}
        for each in inputs:
            for ask in seconds:
                start_s = time.process_time()
                made[ask].append(ask(each))
                seconds[ask] += time.process_time() - start_s
        rounds_s.append((seconds[reference], seconds[other]))
    reference_s, other_s = (max(min(of_one), 1e-9) for of_one in zip(*rounds_s, strict=True))
    return _apart(made[reference], made[other], reference_s / other_s)


def _apart(reference: Sequence[Float32Array], other: Sequence[Float32Array], times_as_fast: float) -> Agreement:
    norms, largests, cosines = [], [], []
    for served, given in zip(reference, other, strict=True):
        a, b = served.ravel().astype(np.float64), given.ravel().astype(np.float64)
        length = max(float(np.linalg.norm(a)), 1e-30)
        norms.append(float(np.linalg.norm(b - a)) / length)
        largests.append(float(np.abs(b - a).max()) / max(float(np.abs(a).max()), 1e-30))
        cosines.append(float(a @ b) / length / max(float(np.linalg.norm(b)), 1e-30))
    # numpy's, unlike Python's, do not lose what is no number.
    return Agreement(
        norm=float(np.max(norms)),
        largest=float(np.max(largests)),
        cosine=float(np.min(cosines)),
        times_as_fast=times_as_fast,
    )


def _known(embedding: Embedding, other: Name, inputs: Callable[[], Inputs], workspace: Workspace) -> Agreement | None:
    """What was found once, or is found now; None where there are no photos."""
    parts = [embedding.key, other, _version(SERVES), _version(other), cpu_name()]
    path = workspace.cache(f"engines/{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.json")
    try:
        return Agreement.model_validate_json(bytes_if_intact(path) or b"")
    except (OSError, ValueError):  # none, a damaged one, or one of what is no number: it is found anew
        pass
    if not (given := inputs()):
        return None
    asks = [engines.opened(name, embedding.onnx) for name in (SERVES, other)]
    found = measured(asks[0], asks[1], given)
    with contextlib.suppress(WorkspaceError):  # on a full disk it is found anew the next time
        write_with_sha256(path, found.model_dump_json().encode())
    return found


def _version(name: Name) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""  # of another build's name
