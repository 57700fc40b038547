"""Templates of infrastructure, filled in for a package."""

from __future__ import annotations

from pathlib import Path

from fledged.deploying import wheel
from fledged.products import Bundle, Package
from fledged.settings.deploying import PHOTO_MEGABYTES

_TEMPLATES = ("template.yaml", "serverless.yml", "Dockerfile", "README.md")
_OF_A_BUCKET = "bucket.yaml"
_HANDLER = "fledged.serving.function.handler"
_ROUTES = (("ANY", "/"), ("ANY", "/{proxy+}"))


def templates_for(package: Package) -> tuple[str, ...]:
    """Their names: one more where the bundle is kept in a bucket."""
    return (*_TEMPLATES, _OF_A_BUCKET) if package.bundle_url else _TEMPLATES


def rendered(name: str, package: Package, bundle: Bundle) -> str:
    """One of them for this package. Names come from checked settings and ids: nothing in them needs quoting."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    config = package.settings
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=False,  # YAML, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return templates.get_template(f"{name}.jinja").render(
        config=config,
        bundle_id=bundle.id,
        n_classes=len(bundle.classes),
        sha256=package.sha256,
        bundle_url=package.bundle_url,
        bundle_key=package.bundle_key,
        zipped=f"{package.n_bytes / 2**20:.1f}",
        unpacked=f"{package.n_bytes_unpacked / 2**20:.0f}",
        max_megabytes=PHOTO_MEGABYTES,
        handler=_HANDLER,
        routes=_ROUTES,
        wheel=wheel.NAME,
        constraints=wheel.CONSTRAINTS,
        # REST APIs have keys of their own; elsewhere the server asks for them.
        asks_for_keys=config.auth == "api_key" and config.endpoint != "rest_api",
        platform={"x86_64": "linux/amd64", "arm64": "linux/arm64"}[config.architecture],
        # Any error, any refusal for want of room, and answers that take half of the time there is.
        alarms=(("Errors", "Sum", 0), ("Throttles", "Sum", 0), ("Duration", "p99", 500 * config.timeout_s)),
    )
