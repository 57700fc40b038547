"""Plain, typed, frozen data: what settings and products are made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Plain, typed, frozen data."""

    model_config = ConfigDict(frozen=True, extra="forbid")
