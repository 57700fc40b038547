"""Settings of what lies behind addresses: unit, range, default and reason."""

from __future__ import annotations

from pydantic import Field

from fledged.records import Record


class RemoteConfig(Record):
    """Working folders and bundles in a bucket (s3://…), and their copy on this machine. Only in `fledged.toml`."""

    cache: str = Field("", description="The folder for these copies; empty is `~/.cache/fledged` (or XDG_CACHE_HOME).")
    cache_gb: float = Field(
        20.0,
        gt=0,
        description="Of all copies; above, what the bucket has and was not used for longest is removed.",
    )
