"""Figures that a model must reach before anybody goes on with it, for pipelines that deploy by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fledged.errors import ConfigError, GateError, suggestion
from fledged.products import Report


def gates_of(words: Sequence[str]) -> dict[str, float]:
    """`["accuracy=0.95", "recall:owl=0.9"]` by name. Raises ConfigError."""
    gates = {}
    for text in words:
        name, _, number = text.rpartition("=")
        try:
            gates[name] = float(number)
        except ValueError:
            gates[name] = -1.0
        if not name or not 0 <= gates[name] <= 1:
            raise ConfigError(
                "A gate is a figure and a share", where=text, remedy="Write, for example, --at-least accuracy=0.95"
            )
    return gates


def check(report: Report, gates: Mapping[str, float]) -> None:
    """Raise GateError for the figures that are below their gates, ConfigError for a figure that is not there.

    The figure itself is compared, not the lower end of its interval: with few photos that is far below.
    """
    figures = _figures(report)
    missed = []
    for name, wanted in gates.items():
        if name not in figures:
            raise ConfigError(f"No such figure: {name}", where="--at-least", remedy=suggestion(name, figures))
        value, told = figures[name]
        if value < wanted:
            missed.append(f"{name} is {told}, below {wanted:.1%}")
    if missed:
        remedy = "Look at the report's page before anything is deployed."
        raise GateError("; ".join(missed), where=report.subject, remedy=remedy)


def _figures(report: Report) -> dict[str, tuple[float, str]]:
    """Each figure and its words, by name."""
    accuracy = report.accuracy
    words = f"{accuracy.value:.1%} ({accuracy.low:.1%} to {accuracy.high:.1%} on {accuracy.n:,} photos)"
    found = {"accuracy": (accuracy.value, words)}
    for name, value in (("balanced_accuracy", report.balanced_accuracy), ("macro_f1", report.macro_f1)):
        found[name] = (value, f"{value:.1%}")
    for entry in report.by_class:
        for name, value in (("recall", entry.recall.value), ("precision", entry.precision), ("f1", entry.f1)):
            found[f"{name}:{entry.label}"] = (value, f"{value:.1%} ({entry.support:,} photos)")
    return found
