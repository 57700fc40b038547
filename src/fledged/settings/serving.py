"""Settings of serve, table by table: who may ask, how photos are decoded, what is fetched."""

from __future__ import annotations

from pydantic import Field, field_validator

from fledged.records import Record


class AccessConfig(Record):
    """Who may ask."""

    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Names under which the server may be asked, such as birds.example.org or *.example.org; localhost, "
        "serve.host and addresses in numbers always are. * allows all, and other sites' pages to send photos.",
    )
    allow_origins: tuple[str, ...] = Field(
        (), description="Sites whose pages may ask and read the answers (CORS), such as https://example.org; * is all."
    )
    keys_file: str = Field(
        "", description="A file with API keys, one a line. The environment variable FLEDGED_API_KEYS works too."
    )

    @field_validator("allowed_hosts", "allow_origins", mode="before")
    @classmethod
    def _one_by_name(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @field_validator("allow_origins")
    @classmethod
    def _are_origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for origin in given:
            scheme, _, rest = origin.partition("://")
            if origin != "*" and not (scheme in ("http", "https") and rest and not set(rest) & set("/?#@* ")):
                raise ValueError(f"{origin!r} is not of the form https://example.org, without a path")
        return given


class DecodeConfig(Record):
    """Photos are decoded in processes that may die: a hostile one takes nothing else with it."""

    processes: int = Field(
        -1, ge=-1, le=256, description="0 decodes in the server itself, a little faster; -1 takes one process a core."
    )
    timeout_s: float = Field(10, gt=0, le=600, description="A photo that takes longer to compute is answered 422.")
    max_megabytes: int = Field(
        2048, ge=256, le=65536, description="Memory of one process; a photo that needs more is answered 422."
    )


class BatchConfig(Record):
    """Photos that go through the model together. Measure it: where cores are few, it is no faster than one by one."""

    max_photos: int = Field(1, ge=1, le=256, description="Of one batch at most; 1 answers each photo by itself.")
    max_wait_ms: float = Field(
        10, ge=0, le=1000, description="A photo waits no longer for others; and not at all where the model is idle."
    )


class ByUrlConfig(Record):
    """POST /classify/url: photos that the server fetches itself, from the open internet alone."""

    enabled: bool = Field(False, description="Off by default: who may ask it makes your server ask others.")
    timeout_s: float = Field(10, gt=0, le=300, description="For the whole fetch, redirects included.")
    max_redirects: int = Field(3, ge=0, le=20, description="Each is vetted as the first address was.")
    at_once: int = Field(8, ge=1, le=256, description="Fetches at a time; as many more may wait.")
    allow_private: bool = Field(
        False, description="Fetch from your own network as well: only where you trust who asks."
    )
