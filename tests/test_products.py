"""Tables of products that the disk does not let be read are errors that name them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fledged.products import Run, Snapshot


@pytest.mark.parametrize("name", ["history.csv", "steps.csv", "photos.parquet"])
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("Input/output error (os error 5)")  # Polars' own names no file

    monkeypatch.setattr("polars.read_csv", fail)
    monkeypatch.setattr("polars.read_parquet", fail)
    (tmp_path / name).touch()
    nothing: dict[str, Any] = {}
    run, snapshot = Run.model_construct(**nothing), Snapshot.model_construct(**nothing)
    run.at(tmp_path)
    snapshot.at(tmp_path)
    read = {"history.csv": run.history, "steps.csv": run.steps, "photos.parquet": snapshot.photos}[name]
    with pytest.raises(OSError, match=r"Input/output error \(os error 5\).*" + re.escape(name)) as told:
        read()
    assert told.value.filename == str(tmp_path / name)
