"""What the server says of itself: versions, the model, and figures for Prometheus."""

from __future__ import annotations

from importlib.metadata import version

import onnxruntime

from fledged.products import Bundle
from fledged.serving.line import Line
from fledged.serving.metrics import Metrics, family
from fledged.serving.switch import Switch
from fledged.settings.results import ServeConfig


def version_facts(bundle: Bundle) -> dict[str, object]:
    """What answers, and what it came from."""
    names = bundle.model_dump(mode="json", include={"run_id", "dataset_id", "snapshot_id", "classes", "created_at"})
    versions = {"fledged": version("fledged"), "onnxruntime": onnxruntime.__version__}
    return {**versions, "bundle_id": bundle.id, **names}


def model_facts(bundle: Bundle, config: ServeConfig) -> dict[str, object]:
    """Classes, preprocessing, figures and limits."""
    told = {"classes", "preprocess", "backbone", "accuracy", "parity", "calibration", "unknown", "heatmap_cells"}
    limits = {"max_megabytes": config.max_megabytes, "top_k": config.top_k}
    takes = {"limits": limits, "feedback": bool(config.feedback.folder)}
    return {"bundle_id": bundle.id, **bundle.model_dump(mode="json", include=told), **takes}


def metrics_text(metrics: Metrics, switch: Switch, line: Line) -> str:
    """All figures in the text format of Prometheus."""
    served = switch.now
    bundle = served.predictor.bundle
    lines = [*metrics.lines()]
    answered, waiting = line.lengths()
    lines += family("fledged_in_progress", "gauge", "Requests that are answered right now.", [({}, answered)])
    lines += family("fledged_waiting", "gauge", "Requests that wait for a core.", [({}, waiting)])
    about = {"bundle_id": bundle.id, "run_id": bundle.run_id, "version": version("fledged")}
    lines += family("fledged_bundle_info", "gauge", "What answers, in its labels.", [(about, 1)])
    drifts = served.window.drifts()
    for name, words, values in (
        (
            "psi",
            "Population stability index of the last answers against the photos that the bundle was judged on.",
            [drift.psi for drift in drifts],
        ),
        ("psi_by_chance", "The index that is expected where nothing has changed.", [d.psi_by_chance for d in drifts]),
        ("window_photos", "Answers that the index is computed from.", [float(drift.n_photos) for drift in drifts]),
    ):
        samples = [({"of": drift.of}, value) for drift, value in zip(drifts, values, strict=True)]
        lines += family(f"fledged_drift_{name}", "gauge", words, samples)
    return "\n".join(lines) + "\n"
