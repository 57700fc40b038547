"""The answer to the photos of a request, as JSON will hold it; runs in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import State

from fledged.errors import RequestError
from fledged.serving.metrics import Metrics
from fledged.serving.switch import Served
from fledged.serving.uploads import Upload


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client wants to know of each photo."""

    top_k: int
    explain: bool


def answer(
    served: Served, uploads: Sequence[Upload], asked: Asked, metrics: Metrics, state: State
) -> dict[str, object]:
    """Of one photo its answer, of several `results`; leaves their number in `state.n_photos`.

    Raises RequestError where a single photo cannot be answered; among several it is a result that says so.
    """
    state.n_photos = len(uploads)
    if len(uploads) == 1:
        return _result(served, uploads[0], asked, metrics)
    results: list[dict[str, object]] = []
    for upload in uploads:
        try:
            results.append(_result(served, upload, asked, metrics))
        except RequestError as error:
            told = {"error": error.what, "remedy": error.remedy}
            results.append({"file": upload.name, "status": error.status, **told})
    return {"results": results}


def _result(served: Served, upload: Upload, asked: Asked, metrics: Metrics) -> dict[str, object]:
    predictor = served.predictor
    try:
        if asked.explain:
            prediction = predictor.predict(upload.data, asked.top_k, explain=True)
        else:
            prediction = predictor.predict(upload.data, asked.top_k)
    except RequestError:
        metrics.photo("failed")
        raise
    metrics.photo("accepted" if prediction.accepted else "unknown")
    served.window.add(prediction.confidence, prediction.unknown_score)
    # `file` and `predicted` are what the clients of earlier classifiers read; those of ours look at `accepted` first.
    return {"file": upload.name, "predicted": prediction.label, **prediction.model_dump(mode="json")}
