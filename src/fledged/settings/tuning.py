"""Settings of tune: unit, range, default and reason."""

from __future__ import annotations

from pydantic import Field

from fledged.records import Record


class TuneConfig(Record):
    """How settings of a training are searched for."""

    trials: int = Field(20, ge=1, le=10_000, description="Settings that are tried, the usual ones first.")
    folds: int = Field(
        3, ge=2, le=20, description="Parts of train and val together; each judges a training on the others."
    )
    seed: int = Field(42, ge=0, le=2**32 - 1, description="The same seed tries the same settings.")
