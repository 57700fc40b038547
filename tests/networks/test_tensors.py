"""A file of tensors that cannot be opened is one line with its path, whatever safetensors raises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch

from fledged.errors import WorkspaceError
from fledged.networks.tensors import tensors_of


def test_tensors_come_back(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.numpy.save_file({"bias": np.ones(3, np.float32)}, path)
    assert tensors_of(safetensors.torch.load_file, path)["bias"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("what", ["missing", "a folder", "cut off"])
def test_what_cannot_be_opened_is_named_in_one_line(tmp_path: Path, what: str) -> None:
    path = tmp_path / "weights.safetensors"
    if what == "a folder":
        path.mkdir()
    elif what == "cut off":
        path.write_bytes(b"\x40")
    for load in (safetensors.torch.load_file, safetensors.numpy.load_file):
        with pytest.raises(WorkspaceError, match="Cannot read") as raised:
            tensors_of(load, path)
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)
