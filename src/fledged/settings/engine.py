"""Settings of where work over photos is done: unit, range, default and reason."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from fledged.records import Record


class EngineConfig(Record):
    """Where work over photos is done; no part of any product. Of all verbs that take `--engine`."""

    name: Literal["local", "ray"] = Field("local", description="local: this machine's cores; ray: a Ray cluster's.")
    address: str = Field(
        "",
        description="Of a Ray cluster that this machine is part of: auto, or host:port; empty starts one here.",
    )
    retries: int = Field(
        2, ge=0, le=10, description="How often work that lost its worker is begun anew before a photo is suspected."
    )
    answer_s: float = Field(20, gt=0, le=600, description="A cluster that takes longer to answer is taken for absent.")

    @field_validator("address")
    @classmethod
    def _of_a_member(cls, address: str) -> str:
        if address.startswith("ray://"):
            raise ValueError("Ray Client is not supported; run fledged on a machine of the cluster, with auto")
        host, colon, port = address.rpartition(":")
        if address not in ("", "auto") and not (colon and host and port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError("needs auto, or host:port such as 10.0.0.5:6379")
        return address
