"""Gates: what is asked for in words, and what is below it."""

from __future__ import annotations

import pytest

from fledged.errors import ConfigError, GateError
from fledged.gates import check, gates_of
from tests.test_scorecard import report


def test_words_become_gates() -> None:
    assert gates_of(["accuracy=0.95", "recall:a=b=0.5", "macro_f1=1"]) == {
        "accuracy": 0.95,
        "recall:a=b": 0.5,
        "macro_f1": 1.0,
    }
    for text in ("accuracy", "accuracy=", "=0.5", "accuracy=95", "accuracy=-0.1", "accuracy=nan", "accuracy=high"):
        with pytest.raises(ConfigError, match=r"--at-least accuracy=0\.95"):
            gates_of([text])


def test_what_is_reached_passes() -> None:
    check(report(("bird", "drone")), {"accuracy": 0.5, "recall:drone": 0.5, "f1:bird": 0.125, "precision:bird": 0.25})


def test_all_that_is_below_is_told_in_one_line() -> None:
    with pytest.raises(GateError) as caught:
        check(report(("bird", "drone")), {"accuracy": 0.51, "recall:bird": 0.2, "macro_f1": 0.1})
    assert str(caught.value).startswith("accuracy is 50.0% (")
    assert "recall:bird is 0.0% (10 photos), below 20.0%" in str(caught.value)
    assert "macro_f1" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_figure_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"No such figure: recal:bird .*Did you mean `recall:bird`"):
        check(report(("bird", "drone")), {"recal:bird": 0.2})
