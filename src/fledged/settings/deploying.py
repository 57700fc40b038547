"""Settings of deploying: what the function is like, and who may ask it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from fledged.records import Record

# Lambda takes 6 MB of JSON, in which a photo is base64: a third longer.
PHOTO_MEGABYTES = 4.4


class ModelPlace(Record):
    """Where the function has its bundle from."""

    bucket: str = Field(
        "",
        pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$",
        description="An S3 bucket of yours that it is fetched from at a cold start; empty: it is in the package.",
    )


class AlarmConfig(Record):
    """Who is told where something is wrong."""

    topic: str = Field(
        "",
        pattern=r"^(arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256})?$",
        description="An SNS topic's ARN that alarms are sent to, such as by mail; empty: they are in the console only.",
    )


class DeployConfig(Record):
    """What runs where, and who may ask it."""

    name: str = Field("fledged", pattern=r"^[a-z][a-z0-9-]{0,39}$", description="Of the function and its stack.")
    architecture: Literal["x86_64", "arm64"] = Field("x86_64", description="Of the function's processor.")
    python: Literal["3.12", "3.13", "3.14"] = Field("3.13", description="The function's runtime; all have SnapStart.")
    memory_mb: int = Field(1769, ge=512, le=10240, description="Lambda gives a whole core at 1769.")
    timeout_s: int = Field(29, ge=3, le=29, description="API Gateways wait no longer.")
    max_concurrency: int = Field(10, ge=1, le=1000, description="Requests that are answered at a time; a cap on cost.")
    endpoint: Literal["url", "http_api", "rest_api"] = Field(
        "url", description="A function URL, or an API Gateway in front."
    )
    auth: Literal["iam", "api_key", "none"] = Field(
        "iam",
        description="iam: signed requests; api_key: a key in a header (the gateway's with rest_api, else the server's "
        "own, for which its page asks); none: open to everybody.",
    )
    requests_per_s: int = Field(20, ge=1, le=10_000, description="API Gateways refuse more; function URLs cannot.")
    model: ModelPlace = Field(ModelPlace(), description="Where the bundle is kept.")
    alarms: AlarmConfig = Field(AlarmConfig(), description="Of errors, refusals and slow answers.")
    log_days: Literal[1, 7, 14, 30, 90, 365] = Field(30, description="Days that log lines are kept.")

    @field_validator("python", mode="before")
    @classmethod
    def _in_words(cls, given: object) -> object:
        return str(given) if isinstance(given, float) else given  # `--set deploy.python=3.12` is a number to TOML
