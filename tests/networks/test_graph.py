"""What cannot be written as ONNX is told in a line."""

from __future__ import annotations

import pytest
import torch

from fledged.errors import ConfigError
from fledged.networks import graph


def test_what_onnx_has_no_words_for_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"cannot be written as ONNX.*adaptive_avg_pool2d.*--backbone") as raised:
        graph.to_onnx(torch.nn.AdaptiveAvgPool2d(7), torch.zeros(2, 3, 10, 10), "x")
    assert "\n" not in str(raised.value)
    assert "https" not in str(raised.value)
