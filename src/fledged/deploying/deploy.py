"""The door: a Bundle becomes a Package that AWS Lambda runs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

import fledged
from fledged import progress
from fledged.config import resolve
from fledged.deploying import distributions, package, wheel
from fledged.deploying.archive import n_bytes_of, write_zip
from fledged.deploying.templates import rendered, templates_for
from fledged.errors import ProductError
from fledged.product_files import is_product, open_place, open_product
from fledged.products import Bundle, Package
from fledged.settings.deploying import DeployConfig
from fledged.workspace import DEFAULT, Workspace, now, product_id
from fledged.writing import sha256_of_file, write, write_bytes

# What Lambda takes.
MAX_ZIPPED_BYTES = 50 * 2**20
MAX_UNPACKED_BYTES = 250 * 2**20
_STEPS = "Packing for Lambda"


def deploy(
    bundle: Bundle | str | os.PathLike[str] | None = None,
    *,
    to: Literal["lambda"] = "lambda",
    work: str | os.PathLike[str] = DEFAULT,
    report: progress.Report | None = None,
    **settings: object,
) -> Package:
    """A folder with `function.zip` and templates for AWS SAM, osls and containers. Nothing is sent anywhere.

    `bundle` is a bundle, its id or its folder; by default the newest. `settings` are the fields of
    `config.DeployConfig`. The same bundle, settings and versions of libraries give the same bytes. Raises ProductError
    if the libraries cannot be fetched, or if the package is larger than Lambda takes.
    """
    config = resolve(DeployConfig, settings)
    workspace = Workspace(work)
    told = report or progress.default()
    start_s = time.monotonic()
    with workspace.lock():
        chosen = _bundle(bundle, workspace)
        libraries = distributions.installed()
        interpreter = package.find_interpreter(config.python)
        made_from = (chosen.id, config, libraries, interpreter is not None, fledged.__version__, wheel.of_code())
        package_id = product_id(Package, *made_from)
        if (earlier := workspace.find(Package, package_id)) is not None:
            return earlier
        told(_STEPS, 0, 3)
        fetched = distributions.unpacked(config.python, config.architecture, workspace)
        told(_STEPS, 1, 3)
        files = package.contents(fetched, interpreter)
        told(_STEPS, 2, 3)
        folder = workspace.folder("package", package_id)
        archive, apart = folder / "function.zip", folder / "bundle.zip"
        if config.model.bucket:
            write(apart, lambda file: write_zip(file, package.of_bundle(chosen)))
        else:
            files |= package.of_bundle(chosen, "bundle/")
        write(archive, lambda file: write_zip(file, files))
        made = Package(
            id=package_id,
            version=Package.format_version,
            created_at=now(),
            seconds=time.monotonic() - start_s,
            bundle_id=chosen.id,
            settings=config,
            n_bytes=archive.stat().st_size,
            n_bytes_unpacked=n_bytes_of(files),
            sha256=sha256_of_file(archive),
            libraries=libraries,
            is_compiled=interpreter is not None,
            bundle_sha256=sha256_of_file(apart) if config.model.bucket else "",
        )
        _check_size(made, archive)
        write(folder / wheel.NAME, lambda file: write_zip(file, wheel.contents()))
        write_bytes(folder / wheel.CONSTRAINTS, wheel.constraints().encode())
        for name in templates_for(made):
            write_bytes(folder / name, rendered(name, made, chosen).encode())
        told(_STEPS, 3, 3)
        return workspace.save(made)


def _bundle(wanted: Bundle | str | os.PathLike[str] | None, workspace: Workspace) -> Bundle:
    if isinstance(wanted, Bundle):
        return open_product(Bundle, wanted.folder)
    if wanted is not None and is_product(Bundle, wanted):
        return open_place(Bundle, wanted)
    return workspace.load(Bundle, None if wanted is None else os.fspath(wanted))


def _check_size(made: Package, archive: Path) -> None:
    for what, n_bytes, limit in (
        ("", made.n_bytes, MAX_ZIPPED_BYTES),
        (" unpacked", made.n_bytes_unpacked, MAX_UNPACKED_BYTES),
    ):
        if n_bytes > limit:
            archive.unlink()
            raise ProductError(
                f"The package has {n_bytes / 2**20:.0f} MB{what}, and Lambda takes {limit // 2**20}",
                remedy="Train a smaller backbone: fledged train --backbone mobilenet_v2",
            )
