"""Other formats: each asked in its own runtime, behind the same gate, beside the bundle and never inside of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from fledged.errors import ConfigError, MissingExtra, ParityError
from fledged.exporting import also as other_formats
from fledged.exporting.also import Exports, checked, export_lines
from fledged.exporting.export import export
from fledged.exporting.formats import torchscript
from fledged.exporting.formats.source import Source
from fledged.exporting.parity import Ask, Float32Array
from fledged.images import UInt8Array
from fledged.products import Bundle, Report, Run
from fledged.progress import silent
from fledged.writing import sha256_of_file
from tests.exporting.test_int8 import LOOSE


@pytest.fixture(scope="module")
def bundle(run: Run, judged: Report, work: Path) -> Bundle:
    return export(run, work=work, report=silent)


def exports(bundle: Bundle, work: Path) -> Exports:
    return Exports.model_validate_json((work / "exports" / bundle.id / "exports.json").read_bytes())


def test_torchscript_lies_beside_the_bundle_and_answers_as_the_run(bundle: Bundle, run: Run, work: Path) -> None:
    assert export(run, work=work, report=silent, also=["torchscript"]) == bundle
    (written,) = exports(bundle, work).written
    place = work / "exports" / bundle.id / "torchscript"
    assert written.files == {"model.pt": sha256_of_file(place / "model.pt")}
    assert written.n_bytes == (place / "model.pt").stat().st_size
    assert written.parity is not None
    assert (written.parity.label_agreement, written.parity.n_photos) == (1.0, bundle.parity.n_photos)
    assert written.parity.max_abs_difference < 1e-4
    assert written.parity.speed is not None
    # Loaded as anybody would, without fledged's classes, and for any number of photos.
    with pytest.warns(FutureWarning, match="deprecated"):
        loaded = torch.jit.load(place / "model.pt")  # type: ignore[no-untyped-call]
    probabilities, scores = loaded(torch.zeros((3, 64, 64, 3), dtype=torch.uint8))
    assert (tuple(probabilities.shape), tuple(scores.shape)) == ((3, 4), (3,))
    assert not any("torchscript" in name for name in bundle.files)


def test_the_table_has_a_line_for_each_format(bundle: Bundle, run: Run, work: Path) -> None:
    export(run, work=work, report=silent, also=["torchscript"])
    int8 = export(run, work=work, report=silent, precision="int8", int8=LOOSE)
    first, head, of_bundle, *others, of_script, place = export_lines(bundle, work)
    assert first.startswith(f"On {bundle.parity.n_photos} test photos")
    assert head.split()[:2] == ["format", "MB"]
    assert of_bundle.startswith("onnx fp32")
    assert any(line.startswith(f"onnx int8, {int8.id}") for line in others)  # of the same run
    assert of_script.startswith("torchscript")
    assert "100.0%" in of_script
    assert place.endswith(bundle.id)


def test_one_that_answers_otherwise_is_not_written(
    bundle: Bundle, run: Run, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turned(source: Source, folder: Path) -> Ask | None:
        right = torchscript.convert(source, folder)
        assert right is not None

        def ask(photos_NHWC: UInt8Array) -> Mapping[str, Float32Array]:
            said = right(photos_NHWC)
            return {**said, "probabilities": np.ascontiguousarray(said["probabilities"][:, ::-1])}

        return ask

    monkeypatch.setitem(other_formats._CONVERT, "openvino", turned)
    with pytest.raises(ParityError, match=r"^openvino does not answer as the run: \d+ of \d+ labels differ"):
        export(run, work=work, report=silent, also=["openvino"])
    assert not (work / "exports" / bundle.id / "openvino").exists()


def test_one_that_cannot_run_here_is_said_to_be_unchecked(
    bundle: Bundle, run: Run, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def foreign(source: Source, folder: Path) -> Ask | None:
        (folder / "inner").mkdir()
        (folder / "inner" / "model.bin").write_bytes(b"model")
        return None

    monkeypatch.setitem(other_formats._CONVERT, "coreml", foreign)
    export(run, work=work, report=silent, also=["coreml"])
    written = next(each for each in exports(bundle, work).written if each.format == "coreml")
    assert (written.parity, list(written.files), written.n_bytes) == (None, ["inner/model.bin"], 5)
    assert "not checked: it does not run on this machine" in "\n".join(export_lines(bundle, work))


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("openvino", "openvino", "openvino"),
        ("executorch", "executorch", "executorch"),
        ("coreml", "coremltools", "coreml"),
    ],
)
def test_what_is_not_installed_is_named_with_its_install_line(
    run: Run, judged: Report, work: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"pip install 'fledged\[{extra}\]'"):
        export(run, work=work, report=silent, also=[name])


def test_names_are_checked_before_anything_is_done() -> None:
    assert checked(["executorch", "torchscript", "executorch"]) == ("torchscript", "executorch")
    with pytest.raises(ConfigError, match=r"no format `torchscrip`.*Did you mean `torchscript`"):
        checked(["torchscrip"])


@pytest.mark.parametrize(("name", "package"), [("openvino", "openvino"), ("executorch", "executorch")])
def test_the_others_answer_as_the_run_where_they_are_installed(
    bundle: Bundle, run: Run, work: Path, name: str, package: str
) -> None:
    pytest.importorskip(package)
    export(run, work=work, report=silent, also=[name])
    text = (work / "exports" / bundle.id / "exports.json").read_text()
    written = next(each for each in json.loads(text)["written"] if each["format"] == name)
    assert written["parity"]["label_agreement"] == 1.0
