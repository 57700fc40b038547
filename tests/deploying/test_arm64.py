"""The package for arm64, which is made here and cannot be run here: each library in it is of that processor."""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path

import pytest
import yaml

from fledged.deploying.deploy import deploy
from fledged.products import Bundle, Package
from fledged.progress import silent

_X86_64, _AARCH64 = 62, 183  # e_machine of ELF
_GLIBC = re.compile(rb"GLIBC_(\d+)\.(\d+)\0")


@pytest.fixture(scope="module")
def for_arm(bundle: Bundle, work: Path) -> Package:
    return deploy(bundle, work=work, report=silent, architecture="arm64")


def programs(package: Package) -> dict[str, tuple[int, tuple[int, int]]]:
    """Of each library: the processor it is for, and the newest glibc that it asks for."""
    found = {}
    with zipfile.ZipFile(package.folder / "function.zip") as archive:
        for name in archive.namelist():
            data = archive.read(name)
            if data.startswith(b"\x7fELF"):
                (machine,) = struct.unpack("<H", data[18:20])
                found[name] = (machine, max(((int(a), int(b)) for a, b in _GLIBC.findall(data)), default=(0, 0)))
    return found


def test_every_library_is_for_its_processor_and_for_amazons_linux(packed: Package, for_arm: Package) -> None:
    for package, machine in ((packed, _X86_64), (for_arm, _AARCH64)):
        found = programs(package)
        assert len(found) > 20
        assert {each for each, _ in found.values()} == {machine}
        assert (2, 17) <= max(glibc for _, glibc in found.values()) <= (2, 34)


def test_both_hold_the_same_but_for_the_libraries(packed: Package, for_arm: Package) -> None:
    modules = []
    for package in (packed, for_arm):
        with zipfile.ZipFile(package.folder / "function.zip") as archive:
            modules.append({name for name in archive.namelist() if name.endswith((".py", ".pyc"))})
    assert modules[0] == modules[1]
    assert packed.libraries == for_arm.libraries


def test_it_is_within_what_lambda_takes_with_room_for_a_model(for_arm: Package) -> None:
    model = 13.6 * 2**20  # efficientnet_lite0 in float32, which hardly gets smaller in a zip
    assert for_arm.n_bytes + model < 50 * 2**20
    assert for_arm.n_bytes_unpacked + model < 160 * 10**6


def test_the_templates_say_so(for_arm: Package) -> None:
    assert "Architectures: [arm64]" in (for_arm.folder / "template.yaml").read_text()
    assert yaml.safe_load((for_arm.folder / "serverless.yml").read_text())["provider"]["architecture"] == "arm64"
    assert "--platform linux/arm64" in (for_arm.folder / "Dockerfile").read_text()
